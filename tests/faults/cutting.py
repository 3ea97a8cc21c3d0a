"""A wire that is cut after so many octets: in memory, and as a proxy between real sockets."""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tests.memory import Peer
from tests.river.office import PATIENCE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

UP, DOWN = "up", "down"  # what the client says; what it hears
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST (socket(7))


class Cut(NamedTuple):
    """Where and how a connection ends.

    :ivar at: it is cut when so many octets have passed on this side.
    :ivar cleanly: by FIN; if not, by RST.
    :ivar late: the office gets to know when it has written what it had begun; if not, before.
    """

    side: str
    at: int
    cleanly: bool = False
    late: bool = False


class Severed(Exception):  # noqa: N818 - it says what has happened
    """The wire is cut."""


class Wire:
    """A client's connection in memory, through a proxy that cuts it.

    :param work: has the office write what waits to be written.
    :param cut: None: it is never cut.
    :ivar passed: how many octets went each way.
    :ivar answers: what the client heard, its greeting first; the last may be a part of an answer.
    """

    def __init__(
        self, factory: Any, clock: Any, work: Callable[[], object], cut: Cut | None
    ) -> None:
        self._work = work
        self._cut = cut
        self.passed = {UP: 0, DOWN: 0}
        self.answers: list[bytes] = []
        self.peer = Peer(factory, clock)

    def run(self, steps: Iterable[bytes]) -> Self:
        """Say each step when the one before was answered, until all is said or the wire is cut."""
        with suppress(Severed):
            self._sever_at(UP)
            self._hear()
            for step in steps:
                self.peer.say(self._pass(UP, step))
                self.peer.settle()  # much that is said at once is obeyed in turns
                self._sever_at(UP)
                self.peer.settle()
                self._work()
                self._hear()
        if self.peer.connected:
            self.peer.leave(cleanly=True)
        return self

    def _pass(self, side: str, octets: bytes) -> bytes:
        cut = self._cut
        if cut is not None and cut.side == side:
            octets = octets[: cut.at - self.passed[side]]
        self.passed[side] += len(octets)
        return octets

    def _hear(self) -> None:
        self.answers.append(self._pass(DOWN, self.peer.heard()))
        self._sever_at(DOWN)

    def _sever_at(self, side: str) -> None:
        cut = self._cut
        if cut is None or cut.side != side or self.passed[side] < cut.at:
            return
        if cut.late:
            self.peer.settle()
            self._work()
        self.peer.leave(cleanly=cut.cleanly)
        raise Severed


class Cable:
    """A connection between a client and the office, that is cut.

    :ivar passed: how many octets went each way.
    """

    def __init__(self, client: socket.socket, office: socket.socket, cut: Cut | None) -> None:
        self._client = client
        self._office = office
        self._cut = cut
        self.passed = {UP: 0, DOWN: 0}
        for end in (client, office):
            end.settimeout(PATIENCE)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def carry(self) -> None:
        """Carry octets until it is cut, or one of the ends is closed.

        :raises OSError: one of them is gone.
        """
        ways = {self._client: (UP, self._office), self._office: (DOWN, self._client)}
        while not self._reached():
            readable, _, _ = select.select(list(ways), [], [], PATIENCE)
            for source in readable:
                side, sink = ways[source]
                octets = source.recv(1 << 16)
                if not octets:
                    return
                if self._cut is not None and self._cut.side == side:
                    octets = octets[: self._cut.at - self.passed[side]]
                sink.sendall(octets)
                self.passed[side] += len(octets)
                if self._reached():
                    break
        self._sever(self._client, self._office)

    def _reached(self) -> bool:
        return self._cut is not None and self.passed[self._cut.side] >= self._cut.at

    def _sever(self, *ends: socket.socket) -> None:
        assert self._cut is not None
        for end in ends:
            if self._cut.cleanly:
                end.shutdown(socket.SHUT_WR)
            else:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.close()
        if self._cut.cleanly:
            for end in ends:
                while end.recv(1 << 16):
                    pass


class Proxies:
    """A proxy on loopback, for any number of connections.

    :param target: the office's port.
    :ivar port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()
        assert not self._thread.is_alive()

    def next_cut(self) -> Cut | None:
        """What becomes of the next connection; None: it lives as long as its ends."""
        raise NotImplementedError

    def accepted(self, client: socket.socket) -> None:
        """Somebody has connected."""
        threading.Thread(target=self.carry, args=[client], daemon=True).start()

    def carry(self, client: socket.socket) -> None:
        """Be the connection's cable, from its first octet to its last."""
        with (
            suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self._target)) as office,
        ):
            self.begun(Cable(client, office, self.next_cut())).carry()

    def begun(self, cable: Cable) -> Cable:
        """A cable is about to carry."""
        return cable

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted(client)


class Proxy(Proxies):
    """One connection after another, each cut as it is said.

    :ivar cut: what becomes of the next connection.
    """

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.cut: Cut | None = None
        self._cable: Cable | None = None
        self._idle = threading.Event()

    @property
    def passed(self) -> dict[str, int]:
        """How many octets of the last connection went each way."""
        return {UP: 0, DOWN: 0} if self._cable is None else self._cable.passed

    def arm(self, cut: Cut | None) -> None:
        """Say what becomes of the next connection."""
        self.cut = cut
        self._cable = None
        self._idle.clear()

    def done(self) -> None:
        """Wait until both ends of the last connection are closed."""
        assert self._idle.wait(PATIENCE)

    def next_cut(self) -> Cut | None:
        """As it was said."""
        return self.cut

    def accepted(self, client: socket.socket) -> None:
        """Nobody else gets in meanwhile."""
        self.carry(client)
        self._idle.set()

    def begun(self, cable: Cable) -> Cable:
        """It is the one that counts."""
        self._cable = cable
        return cable


class Weather(Proxies):
    """Some of the connections are cut, at a random octet.

    :param share: how many of them.
    :param within: octets, within which they are.
    """

    def __init__(self, target: int, dice: random.Random, share: float, within: int) -> None:
        super().__init__(target)
        self._dice = dice
        self._share = share
        self._within = within
        self.cuts = 0

    def next_cut(self) -> Cut | None:
        """Perhaps one."""
        if self._dice.random() >= self._share:
            return None
        self.cuts += 1
        at = int(self._within ** self._dice.random())  # as many in a greeting as in a letter
        return Cut(self._dice.choice([UP, DOWN]), at, cleanly=self._dice.random() < 0.5)
