"""How many newcomers a listener takes at once, and when it leaves them to another worker.

Below :mod:`mailpost.doors`. Where several workers have one listening socket, the kernel wakes all of them for
each newcomer, and the same one is first again and again: measured, of 50 that come at once the other of two
often has none. So a worker that has clearly more connections than another leaves the newcomer to it, and
takes it after all if it is still there some milliseconds later.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mailpost.occupancy import Share

AT_ONCE = 4
"""Connections that a listener takes in one round of the reactor."""

MOMENT = 0.001  # seconds from one look at whether another worker has taken them to the next
PATIENCE = 10  # such looks; then they are taken, for the other is busy, or stopped


def accept_few(port: object, share: Share | None = None) -> None:
    """Have a port take no more than a few connections in a round of the reactor, and no more than its share.

    Twisted's begins with a hundred and, the more wait, takes ever more. What a hundred newcomers cost is a
    pause for everybody who is there; and the other workers of the office get none of them.

    :param share: how many are here, and at the other workers; None: there are no others.
    """
    if isinstance(port, tcp.Port):
        port.doRead = _Acceptor(port, share).take_some  # type: ignore[method-assign]  # of this one alone


class _Acceptor:
    """Takes what has come to a port."""

    def __init__(self, port: tcp.Port, share: Share | None) -> None:
        self._port: Any = port
        self._take_all: Callable[[], object] = port.doRead
        self._share = share

    def take_some(self) -> None:
        """Somebody has come."""
        room = AT_ONCE if self._share is None else self._share.room()
        if room:
            self._take(room)
        else:
            self._port.stopReading()
            self._look_later(1)

    def _look_later(self, looks: int) -> None:
        self._port.reactor.callLater(MOMENT, self._look, looks)

    def _look(self, looks: int) -> None:
        port, share = self._port, self._share
        assert share is not None
        if not port.connected or port.disconnecting:
            return
        room = AT_ONCE if looks >= PATIENCE else share.room()
        if not room and _somebody_waits(port.socket):
            self._look_later(looks + 1)
            return
        port.startReading()
        if room:
            self._take(room)

    def _take(self, room: int) -> None:
        port = self._port
        port.numberAccepts = min(port.numberAccepts, room, AT_ONCE)
        self._take_all()


def _somebody_waits(listening: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    return bool(poll.poll(0))
