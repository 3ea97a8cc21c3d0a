"""How a port takes newcomers in; the sockets themselves are tested where real ports are."""

from __future__ import annotations

from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port

from mailpost.listening import ACCEPTED_AT_ONCE, accept_few


class Crowded(Port):
    """A port at which ever more wait, as Twisted's own treats them."""

    def __init__(self) -> None:
        super().__init__(0, Factory())
        self.taken: list[int] = []

    def doRead(self) -> None:
        self.taken.append(self.numberAccepts)
        self.numberAccepts += 20


def test_a_port_takes_few_at_once() -> None:
    """However many wait, and in every round anew; Twisted's own takes ten times as many to begin with."""
    port = Crowded()
    assert port.numberAccepts > ACCEPTED_AT_ONCE
    accept_few(port)
    for _ in range(3):
        port.doRead()
    assert port.taken == [ACCEPTED_AT_ONCE] * 3
