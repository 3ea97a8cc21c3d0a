"""How a port takes newcomers in; the sockets themselves are tested where real ports are."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port

from mailpost.listening import ACCEPTED_AT_ONCE, accept_few

pytestmark = pytest.mark.usefixtures("log")


class Crowd:
    """A socket at which ever more wait."""

    def __init__(self) -> None:
        self.taken = 0

    def accept(self) -> tuple[Crowd, tuple[str, int]]:
        self.taken += 1
        return self, ("192.0.2.1", 1025)

    def close(self) -> None:
        pass


class Closed(Factory):
    """Lets nobody in."""

    def buildProtocol(self, addr: object) -> None:  # type: ignore[override]
        return None


def test_a_port_takes_few_at_once() -> None:
    """However many wait, and in every round anew; Twisted's own takes a hundred to begin with."""
    port: Any = Port(0, Closed())
    port.socket = crowd = Crowd()
    port.numberAccepts = 100  # as startListening has it
    accept_few(port)
    for rounds in (1, 2, 3):
        port.doRead()
        assert crowd.taken == rounds * ACCEPTED_AT_ONCE
