"""POP3 over Twisted: what the engine asks is answered by the Portal and by the open maildrop.

Login opens a maildrop, RETR takes letters from its snapshot, QUIT alone lets letters go.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from twisted.cred.error import LoginFailed
from twisted.internet.defer import Deferred

from mailpost.accounts.admission import LoginConnection
from mailpost.accounts.entrance import Entrance
from mailpost.collection.login_delay import LoginDelay
from mailpost.interfaces import IDowngrading, IRemembering
from mailpost.limits import ConnectionLimits
from mailpost.listener import ConnectionFactory
from mailpost.logs import EventLogger, told
from mailpost.outcome import LetterGone, MaildropInUse, MaildropLocked, TemporaryFailure, TooSoon
from mailpost.wire import reply
from mailpost.wire.pop3 import POP3Server
from mailpost.wire.pop3_events import LetterAsked, TLSAsked, UpdateAsked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.cred.portal import Portal
    from twisted.internet.interfaces import IReactorTime

    from mailpost.connection import Connection
    from mailpost.interfaces import IMaildrop, IPieces, ISnapshot
    from mailpost.wire.login import Login
    from mailpost.wire.reply import Response
    from mailpost.wire.session import Event, SessionEnded


IDLE_SECONDS = 600.0
"""RFC 1939 §3: at least 10 minutes."""

_NOT_LET_IN: dict[type, Response] = {
    MaildropInUse: reply.POP_IN_USE,
    TooSoon: reply.POP_TOO_SOON,
}

_log = EventLogger(namespace="mailpost.collection")


class POP3Connection(LoginConnection):
    """One peer that collects.

    :ivar snapshot: the open maildrop; None before login and after the end.
    """

    session: POP3Server
    factory: POP3Factory

    def __init__(self, session: POP3Server, peer: str) -> None:
        super().__init__(session, peer)
        self.snapshot: ISnapshot | None = None
        self._since = 0.0
        self._let_go = 0

    # What a dialect says --------------------------------------------------------------------------

    @property
    def letters(self) -> int:
        """How many letters were retrieved."""
        return self.session.retrieved

    def greet(self) -> None:
        """The greeting."""
        self._since = self.factory.clock.seconds()
        self.session.greet()

    def refuse(self) -> SessionEnded:
        """-ERR in place of the greeting."""
        return self.session.end(reply.POP_TOO_MANY_CONNECTIONS, orderly=True)

    def turn_away(self) -> SessionEnded:
        """-ERR [SYS/TEMP]: with [AUTH] a client would ask its user for another password (RFC 3206)."""
        return self.session.end(reply.POP_BANNED, orderly=True)

    def give_up(self) -> SessionEnded:
        """After too long a silence; nothing is deleted (RFC 1939 §3)."""
        return self.session.end(reply.POP_IDLE)

    def close_down(self) -> SessionEnded:
        """The office closes; nothing is deleted."""
        return self.session.end(reply.POP_SHUTTING_DOWN)

    def lock_out(self, reason: str) -> SessionEnded:
        """The owner of the office has locked the maildrop; nothing is deleted."""
        return self.session.end(reply.pop_locked(reason))

    def turn_out(self) -> SessionEnded:
        """The login was taken away; nothing is deleted."""
        return self.session.end(reply.POP_REVOKED)

    def fault(self) -> SessionEnded | None:
        """-ERR [SYS/TEMP] to whatever was asked."""
        asked = self.session.asked
        if isinstance(asked, UpdateAsked):
            return self.session.updated(committed=False)
        if self.session.giving:
            return self.session.end(reply.POP_TRY_LATER)  # as in _not_readable
        self.session.refuse(reply.POP_TRY_LATER)
        return None

    def gone(self) -> None:
        """Release the maildrop; one line for the session."""
        session = self.session
        super().gone()
        self._close()
        _log.info(
            "collection by {user} from {peer}: {retrieved} retrieved, {deleted} deleted, {seconds:.3f} s",
            user=told(session.name) if session.name else "nobody",
            peer=self.peer,
            retrieved=session.retrieved,
            deleted=self._let_go,
            seconds=self.factory.clock.seconds() - self._since,
        )

    def act(self, event: Event) -> SessionEnded | None:
        """Answer what the session asks."""
        if isinstance(event, LetterAsked):
            self._fetch(event)
        elif isinstance(event, UpdateAsked):
            self.answer_later(self._update(event.indexes))
        elif isinstance(event, TLSAsked):
            self.session.begin_tls()
            self.begin_tls()
        else:
            return super().act(event)
        return None

    # Login ----------------------------------------------------------------------------------------

    @property
    def entrance(self) -> Entrance:
        """The listener's."""
        return self.factory.entrance

    async def let_in(self, event: Login) -> Callable[[], None]:
        """What a login gives here is an open maildrop."""
        factory = self.factory
        maildrop, name = await factory.entrance.to_collect(event, self.peer, factory.guard, self)
        snapshot = await self._open(maildrop)
        if factory.delay.too_soon(name):
            snapshot.close()
            raise TooSoon
        return partial(self._admit, snapshot, name)

    def _admit(self, snapshot: ISnapshot, name: str) -> None:
        if self.session.closed:
            snapshot.close()
            return
        self.factory.delay.came(name)
        if not self.session.utf8 and IDowngrading.providedBy(snapshot):
            snapshot.downgrade()  # RFC 6856 §2
        self.snapshot = snapshot
        days = snapshot.days if IRemembering.providedBy(snapshot) else 0
        self.session.admit(snapshot, name, days)

    def not_let_in(self, why: Exception) -> SessionEnded | None:
        """-ERR, with the response code that tells why (RFC 2449 §8, RFC 3206)."""
        if isinstance(why, MaildropLocked):
            return self.session.refuse(reply.pop_locked(str(why)))
        if isinstance(why, LoginFailed):
            return self.session.refuse(reply.POP_BAD_LOGIN)
        return self.session.refuse(_NOT_LET_IN.get(type(why), reply.POP_TRY_LATER))

    async def _open(self, maildrop: IMaildrop) -> ISnapshot:
        opened = maildrop.open()
        return await opened if isinstance(opened, Deferred) else opened

    # Letters --------------------------------------------------------------------------------------

    def _fetch(self, event: LetterAsked) -> None:
        """The hot path: most letters are in memory already, and cost no Deferred."""
        assert self.snapshot is not None
        try:
            letter = self.snapshot.fetch(event.index)
        except TemporaryFailure as failure:
            self._not_readable(failure)
            return
        if isinstance(letter, bytes):
            self.session.give(letter, *self._at_hand(event))
        else:
            self.answer_later(self._fetch_late(event, letter))

    def _at_hand(self, event: LetterAsked) -> Sequence[bytes]:
        """What was asked for with a letter, and can go out with it."""
        snapshot = self.snapshot
        return snapshot.at_hand(event.more) if event.more and snapshot is not None else ()

    async def _fetch_late(
        self, event: LetterAsked, letter: IPieces | Deferred[bytes | IPieces]
    ) -> None:
        try:
            fetched = await letter if isinstance(letter, Deferred) else letter
        except TemporaryFailure as failure:
            if not self.session.closed:
                self._not_readable(failure)
            return
        if isinstance(fetched, bytes):
            if not self.session.closed:
                self.session.give(fetched, *self._at_hand(event))
        else:
            await self._send_pieces(event.index, fetched)

    async def _send_pieces(self, index: int, pieces: IPieces) -> None:
        session = self.session
        try:
            piece = b"" if session.closed else await _next(pieces)  # it may fail: +OK comes after
            if session.closed:
                return
            assert self.snapshot is not None
            session.begin_pieces(self.snapshot.sizes[index])
            while piece and not session.closed:
                wanted = session.give_piece(piece)
                await self.taken()
                if session.closed or not wanted:
                    break
                piece = await _next(pieces)
            if not session.closed:
                session.end_pieces()
        except TemporaryFailure as failure:
            if not session.closed:
                self._not_readable(failure)
        finally:
            pieces.close()

    def _not_readable(self, failure: TemporaryFailure) -> None:
        _log.warn("a letter of {user} cannot be read: {why}", user=self.session.name, why=failure)
        if self.session.giving:
            self.end(self.session.end(reply.POP_TRY_LATER))  # cut short: no other way to say so
            return
        gone = isinstance(failure, LetterGone)
        self.session.refuse(reply.POP_LETTER_GONE if gone else reply.POP_TRY_LATER)

    # The end --------------------------------------------------------------------------------------

    async def _update(self, indexes: Sequence[int]) -> None:
        assert self.snapshot is not None
        committed = True
        try:
            await self.snapshot.let_go(indexes)
            self._let_go = len(indexes)
        except TemporaryFailure as failure:
            committed = False
            _log.warn("nothing let go for {user}: {why}", user=self.session.name, why=failure)
        if not self.session.closed:
            self.end(self.session.updated(committed=committed))

    def end(self, end: SessionEnded) -> None:
        """Release the lock before the peer hears that the session is over: it may come again at once."""
        self._close()
        super().end(end)

    def _close(self) -> None:
        if self.snapshot is not None:
            given = self.session.given
            if given is not None and IRemembering.providedBy(self.snapshot):
                self.snapshot.given(given)
            self.snapshot.close()
            self.snapshot = None


async def _next(pieces: IPieces) -> bytes:
    piece = pieces.read()
    return await piece if isinstance(piece, Deferred) else piece


def _never() -> str:
    return "NEVER"


class POP3Factory(ConnectionFactory):
    """A listener for POP3 behind a Portal.

    :param portal: its realm gives :class:`~mailpost.interfaces.IMaildrop`, or the
        ``twisted.mail.pop3.IMailbox`` that a realm written for Twisted's own POP3 server gives.
    :param login_delay: seconds between two logins to the same maildrop (RFC 2449 §6.5); 0: none.
    :ivar expire: tells for how long letters are kept at least, as CAPA has it before login (RFC 2449 §6.7).
    :param apop: whether APOP is offered; a few accounts have a secret for it (RFC 1939 §7).
    """

    def __init__(
        self,
        hostname: str,
        portal: Portal,
        clock: IReactorTime,
        limits: ConnectionLimits | None = None,
        idle_seconds: float = IDLE_SECONDS,
        max_errors: int = 30,
        login_delay: int = 0,
        *,
        apop: bool = False,
    ) -> None:
        super().__init__(clock, limits or ConnectionLimits(), idle_seconds)
        self._hostname = hostname
        self.expire: Callable[[], str] = _never
        self.entrance = Entrance(portal, clock)
        self._apop = apop
        self.delay = LoginDelay(login_delay, clock)
        self._max_errors = max_errors

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        access = self.security.access_from(peer, self.entrance.checks, self.entrance.told)
        session = POP3Server(
            self._hostname,
            self._max_errors,
            access,
            self.delay.seconds,
            self._timestamp(),
            self.expire(),
        )
        return POP3Connection(session, peer)

    def _timestamp(self) -> str:
        """What no other greeting has said, nor will (RFC 1939 §7)."""
        if not self._apop:
            return ""
        return f"<{secrets.token_hex(8)}.{int(self.clock.seconds())}@{self._hostname}>"
