"""A listener's factory: it keeps the connections, limits them, watches them, and ends them.

Every room that listens has one; what the connections say is their own (:mod:`mailpost.connection`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from mailpost.limits import CLOSING_SECONDS, ConnectionLimits, IdleWatch, neighbourhood
from mailpost.rates import Seldom
from mailpost.rota import Rota
from mailpost.silence import SilenceWatch
from mailpost.tls.security import Security

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IReactorTime

    from mailpost.connection import Connection
    from mailpost.guard import Guard
    from mailpost.occupancy import Share

_log = Logger(namespace="mailpost.connection")


class ConnectionFactory(Factory):
    """Keeps a listener's connections: limits them, watches them, ends them.

    :param clock: for the patience.
    :param limits: shared by all listeners.
    :param idle_seconds: how long a peer may be silent.
    :ivar security: what of TLS is offered here.
    :ivar guard: who is banned; None: nobody.
    :ivar share: what other workers are told of how many are here; None: there are none.
    :ivar rota: where whoever has much to say waits for a turn; an office has one for all listeners.
    :ivar transcripts: whether every line of every session is logged (at debug, secrets masked).
    :ivar ended: how many sessions have ended since the start.
    :ivar refused: how many connections were not let in since then: by a limit, or a ban.
    """

    transcripts = False
    security = Security()
    guard: Guard | None = None
    share: Share | None = None

    def __init__(self, clock: IReactorTime, limits: ConnectionLimits, idle_seconds: float) -> None:
        self.clock = clock
        self.limits = limits
        self.connections: set[Connection] = set()
        self.rota = Rota(clock)
        self.ended = 0
        self.refused = 0
        self._seldom = Seldom(clock)
        self._crowded = Seldom(clock)
        self._letters = 0  # of those that have ended
        self.idle: SilenceWatch[Connection] = SilenceWatch(
            clock, idle_seconds, self.connections, lambda connection: connection.silent()
        )
        self.closing: IdleWatch[Connection] = IdleWatch(
            clock, CLOSING_SECONDS, lambda connection: connection.cut_off()
        )
        self._empty: list[Deferred[None]] = []

    def buildProtocol(  # type: ignore[override]  # our factory attribute is narrower
        self, addr: IAddress | None
    ) -> Connection:
        """A connection for a peer that has come."""
        host = str(getattr(addr, "host", "") or "")
        connection = self.connection(host.removeprefix("::ffff:"))  # IPv4 at a socket for both
        connection.factory = self
        return connection

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        raise NotImplementedError

    @property
    def letters(self) -> int:
        """How many letters have come in, or gone out, here since the start."""
        return self._letters + sum(connection.letters for connection in self.connections)

    def banned(self, peer: str) -> bool:
        """Whether a peer is banned."""
        return self.guard is not None and self.guard.banned(peer)

    def turn_away(self) -> int:
        """End the sessions of whoever is banned by hand; how many those were."""
        guard = self.guard
        assert guard is not None
        bans = [(one, guard.ban_on(one.peer)) for one in self.connections]
        ending = [one for one, ban in bans if ban is not None and ban.by_hand]
        for connection in ending:
            connection.turned_away()
        return len(ending)

    def arrive(self, connection: Connection) -> bool:
        """Whether this one may stay."""
        peer = connection.peer
        known = None if self.guard is None else self.guard.knows
        banned = self.banned(peer)
        if banned or not self.limits.admit(peer, known):
            self.refused += 1
            if not banned and (unsaid := self._seldom.time()) is not None:
                _log.warn(
                    "connection from {peer} refused: there are too many ({unsaid} more before it)",
                    peer=peer,
                    unsaid=unsaid,
                )
            return False
        self.connections.add(connection)
        if self.share is not None:
            self.share.has(len(self.connections))
        self.idle.touch(connection)
        if known is not None and not known(peer):
            connection.stranger = True
            self.of_use(connection)
        return True

    def of_use(self, connection: Connection) -> None:
        """A stranger has brought something, or is just coming: it is the last that has to give way."""
        self.limits.strangers.arrive(connection, neighbourhood(connection.peer))

    def acquainted(self, connection: Connection) -> None:
        """A stranger has logged in, and never has to give way."""
        connection.stranger = False
        self.limits.strangers.depart(connection, neighbourhood(connection.peer))

    def gave_way(self, connection: Connection) -> None:
        """A stranger has made room for another."""
        if (unsaid := self._crowded.time()) is not None:
            _log.warn(
                "the office is full of strangers: {peer} gave way to another ({unsaid} more before it)",
                peer=connection.peer,
                unsaid=unsaid,
            )

    def depart(self, connection: Connection) -> None:
        """One that stayed has gone."""
        self.connections.discard(connection)
        if self.share is not None:
            self.share.has(len(self.connections))
        if connection.stranger:
            self.limits.strangers.depart(connection, neighbourhood(connection.peer))
        self.ended += 1
        self._letters += connection.letters
        self.limits.release(connection.peer)
        if not self.connections:
            self.idle.rest()
            waiting, self._empty = self._empty, []
            for deferred in waiting:
                deferred.callback(None)

    def emptied(self) -> Deferred[None]:
        """Fires when no session is left."""
        empty: Deferred[None] = Deferred()
        if self.connections:
            self._empty.append(empty)
        else:
            empty.callback(None)
        return empty

    def shut_down(self) -> Deferred[None]:
        """End every session; fires when the last has gone."""
        empty = self.emptied()
        for connection in list(self.connections):
            connection.shut_down()
        return empty

    def cut_off(self) -> None:
        """End every session that has not ended by itself."""
        for connection in list(self.connections):
            connection.cut_off()
