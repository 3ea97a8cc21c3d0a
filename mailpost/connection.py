"""One peer's connection, whatever the dialect: the thin shell between Twisted and an engine.

Bytes go into the session, events come out and are acted on, output goes to the outlet. Everything that
SMTP and POP3 have in common at this seam is here: order, back-pressure both ways, patience, limits,
the end. ``intake`` and ``collection`` add what the events mean.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from typing import Protocol as Structural

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection as SocketConnection
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.encrypted import Encrypted
from mailpost.limits import MAX_BUFFERED, MAX_THROWN_AWAY, READ, IdleWatch
from mailpost.outlet import Outlet, outlet_for
from mailpost.proxied import proxy_header
from mailpost.rota import TURN, Rota
from mailpost.silence import NEVER, SilenceWatch
from mailpost.tls.session import channel_bindings
from mailpost.wire.session import Event, OutputWaiting, SessionEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twisted.internet.interfaces import IReactorTime

    from mailpost.guard import Guard
    from mailpost.tls.security import Security
    from mailpost.wire.login import LoginSession

_log = Logger(namespace="mailpost.connection")


class Doorkeeper(Structural):
    """What a connection needs of its factory; see :mod:`mailpost.listener`."""

    clock: IReactorTime
    guard: Guard | None
    idle: SilenceWatch[Connection]
    closing: IdleWatch[Connection]
    rota: Rota
    security: Security
    transcripts: bool

    def banned(self, peer: str) -> bool:
        """Whether a peer is banned."""

    def arrive(self, connection: Connection) -> bool:
        """Whether this one may stay."""

    def depart(self, connection: Connection) -> None:
        """One that stayed has gone."""

    def of_use(self, connection: Connection) -> None:
        """A stranger has brought something."""

    def acquainted(self, connection: Connection) -> None:
        """A stranger has logged in."""

    def gave_way(self, connection: Connection) -> None:
        """A stranger has made room for another."""


class Connection(Protocol):
    """Drives one session; subclasses act on its events.

    :ivar session: the engine.
    :ivar peer: the peer's IP address, ``""`` where there is none.
    :ivar account: the number of the account that has logged in; None: nobody has.
    :ivar device: the number of its device; None: it came with the main password.
    :ivar heard: when something came last; see :mod:`mailpost.silence`.
    :ivar stranger: it has to give way to others where the office is full (:mod:`mailpost.strangers`).
    """

    session: LoginSession
    factory: Doorkeeper
    stranger = False
    _read = READ
    _thrown_away = 0  # octets that came after the end

    def __init__(self, session: LoginSession, peer: str) -> None:
        self.session = session
        self.peer = peer
        self.heard = NEVER
        self.account: int | None = None
        self.device: int | None = None
        self._outlet: Outlet | None = None
        self._admitted = False
        self._holds = 0  # reasons to take no further event just now
        self._pumping = False
        self._paused = False
        self._drained: Deferred[None] | None = None
        self._leaving = False  # closes as soon as the question at hand is answered
        self._waits = False  # for a turn, with more to act on

    # What a dialect says --------------------------------------------------------------------------

    def act(self, event: Event) -> SessionEnded | None:
        """Act on an event; a question may be answered now or later. The end it leads to, if any."""
        raise NotImplementedError

    def fault(self) -> SessionEnded | None:
        """Something unexpected was raised (and logged): answer the open question with try-later."""
        raise NotImplementedError

    def greet(self) -> None:
        """Put the greeting into the session's output."""
        raise NotImplementedError

    def refuse(self) -> SessionEnded:
        """There are too many connections: say so and end the session."""
        raise NotImplementedError

    def give_up(self) -> SessionEnded:
        """The peer was silent for too long: say so and end the session."""
        raise NotImplementedError

    def turn_away(self) -> SessionEnded:
        """Say that the peer is banned, and end the session, before its greeting or in the midst of it."""
        raise NotImplementedError

    def close_down(self) -> SessionEnded:
        """The office closes: say so and end the session."""
        raise NotImplementedError

    def lock_out(self, reason: str) -> SessionEnded:
        """The account was locked by hand: say so and end the session."""
        raise NotImplementedError

    def turn_out(self) -> SessionEnded:
        """The login was taken away: say so and end the session."""
        raise NotImplementedError

    def gone(self) -> None:
        """The connection is gone: release what the session holds, write its line in the log."""

    # From Twisted ---------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Admit the peer and greet it, or say that there are too many."""
        transport = self.transport
        assert transport is not None
        if isinstance(transport, Encrypted):
            self._speak_through(transport)
        else:
            self._outlet = outlet_for(transport, self)
        header = proxy_header(transport)
        if header is not None and header.tls is not None:
            self.session.tls = True  # with a balancer that is trusted, and ends it
        self._admitted = self.factory.arrive(self)
        if self._admitted:
            if self.factory.transcripts:
                self.session.transcript = self._transcribe
            self.greet()
            self.flush()
        elif self.factory.banned(self.peer):
            self.end(self.turn_away())
        else:
            self.end(self.refuse())

    def dataReceived(self, data: bytes) -> None:
        """Take what came in; hold the peer back while too much of it waits."""
        session = self.session
        if session.closed:
            self._throw_away(len(data))
            return
        session.receive(data)
        self._pump()
        self.factory.idle.touch(self)
        if not self._paused and session.buffered >= MAX_BUFFERED:
            self._paused = True
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def _throw_away(self, octets: int) -> None:
        """Throw away what comes after the end, but not for ever: who sends that much hears nothing."""
        self._thrown_away += octets
        if self._thrown_away > MAX_THROWN_AWAY:
            self.cut_off()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Release everything; what was not confirmed has not happened."""
        self.session.closed = True
        if self._outlet is not None:
            self._outlet.stopProducing()
            self._outlet = None
        self.factory.idle.forget(self)
        self.factory.closing.forget(self)
        self.drained()
        if self._admitted:
            self._admitted = False
            try:
                self.gone()
            finally:
                self.factory.depart(self)  # the last: whoever waits for it may close the store

    # For the dialects -----------------------------------------------------------------------------

    @property
    def letters(self) -> int:
        """How many letters were taken in, or handed out, so far."""
        return 0

    @property
    def lost(self) -> bool:
        """Whether nobody is there any more to be answered."""
        return self._outlet is None

    def begin_tls(self) -> None:
        """What follows is encrypted. The session has said so, in the clear, as its last word."""
        tls = self.factory.security.tls
        assert tls is not None
        assert self._outlet is not None
        self.flush()
        self._outlet.detach()
        encrypted = Encrypted(tls, self)
        self.transport.protocol = encrypted  # type: ignore[union-attr]  # every stream has one
        encrypted.begin(self.transport)
        self.transport = encrypted
        self._speak_through(encrypted)

    def _speak_through(self, encrypted: Encrypted) -> None:
        self._outlet = encrypted.outlet(self)
        self.session.bindings = partial(channel_bindings, encrypted)

    def read_at_most(self, octets: int) -> None:
        """How much one read may give from now on. Under TLS it stays as it is."""
        transport: object = self.transport
        if octets != self._read and isinstance(transport, SocketConnection):
            self._read = transport.bufferSize = octets

    def go_on(self) -> None:
        """A question was answered later than asked: take the next event."""
        if not self._pumping:
            self._pump()

    def answer_later(self, answering: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        """Run a coroutine that answers the question at hand; whatever it raises is answered too.

        Cancel the Deferred when nobody waits for the answer any more; None: it was given at once.
        """

        def done(result: object) -> None:
            if isinstance(result, Failure) and not result.check(CancelledError):
                self.unexpected(result)
            self.go_on()

        deferred = Deferred.fromCoroutine(answering).addBoth(done)
        return None if deferred.called else deferred

    def hold_until(self, ready: Deferred[None]) -> None:
        """Take no further event before this fires; a failure is logged and answered."""
        self._holds += 1

        def let_go(result: object) -> None:
            self._holds -= 1
            if isinstance(result, Failure):
                self.unexpected(result)
            self.go_on()

        ready.addBoth(let_go)

    def unexpected(self, failure: Failure) -> None:
        """Log what should not have happened, and answer try-later: never a dropped line."""
        _log.failure("unexpected, with {peer}", failure=failure, peer=self.peer)
        if self.session.asked is not None and not self.lost:
            end = self.fault()
            if end is not None:
                self.end(end)

    async def taken(self) -> None:
        """Send what is there, and wait until the peer has taken it (or has gone)."""
        self.flush()
        if self._outlet is not None and self._outlet.full:
            self._drained = Deferred()
            await self._drained

    def _transcribe(self, side: str, line: str) -> None:
        _log.debug("{peer} {side}: {line}", peer=self.peer, side=side, line=line)

    def drained(self) -> None:
        """The peer has taken what was sent (or has gone): go on."""
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)
        if not self.lost:
            self.factory.idle.touch(self)
            self._pump()

    # The pump -------------------------------------------------------------------------------------

    def take_turn(self) -> None:
        """Go on; there was more to act on than one turn takes."""
        self._waits = False
        self._pump()

    def _pump(self) -> None:
        """Act on the events there are, until octets, an answer or the peer's reading is waited for.

        No more than a turn's worth at once: for the rest this connection waits like all who have one.
        """
        if self._pumping or self._waits:
            return
        session = self.session
        self._pumping = True
        try:
            self._waits = self._act_in_turn()
        except Exception:  # noqa: BLE001 - the engine itself has failed: it cannot go on
            self.unexpected(Failure())
            self._leaving = True
        finally:
            self._pumping = False
        self.flush()
        if self._waits:
            self.factory.rota.wait(self)
        if self._leaving and session.asked is None and not session.closed:
            self.end(self.close_down())
        if self._paused and session.buffered < MAX_BUFFERED and self._outlet is not None:
            self._paused = False
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def _act_in_turn(self) -> bool:
        """Act on the events of one turn; whether there may be more."""
        session = self.session
        left = TURN
        while self._outlet is not None and not (self._holds or self._outlet.full):
            if self._leaving and session.asked is None:
                break
            if left <= 0:
                return True
            event = session.next_event()
            if event is None:
                break
            if isinstance(event, OutputWaiting):
                left = 0
                self.flush()
            else:
                left -= 1
                self._act_on(event)
        return False

    def _act_on(self, event: Event) -> None:
        try:
            end = event if isinstance(event, SessionEnded) else self.act(event)
            if end is not None:
                self.end(end)
        except Exception:  # noqa: BLE001 - a fault of ours is never the end of a session
            self.unexpected(Failure())

    def flush(self) -> None:
        """Send what is there."""
        octets = self.session.take_output()
        if octets and self._outlet is not None:
            self._outlet.send(octets)

    def end(self, end: SessionEnded) -> None:
        """Send the last words and close; a peer that does not go is cut off."""
        last = self.session.take_output()
        if self._outlet is not None:
            if self._paused:
                self._paused = False
                self.transport.resumeProducing()  # type: ignore[union-attr]
            self.factory.idle.forget(self)
            self.factory.closing.touch(self)
            self._outlet.close(last, orderly=end.orderly)

    def shut_down(self) -> None:
        """The office closes: end now, or as soon as the question at hand is answered."""
        if self.session.asked is not None:
            self._leaving = True
        elif not self.session.closed:
            self.end(self.close_down())

    def revoked(self) -> None:
        """The login was taken away: end now; whatever is under way is broken off."""
        self._end_now(self.turn_out)

    def locked(self, reason: str) -> None:
        """The account was locked by hand: likewise."""
        self._end_now(partial(self.lock_out, reason))

    def turned_away(self) -> None:
        """The peer was banned by hand: likewise."""
        self._end_now(self.turn_away)

    def _end_now(self, say_why: Callable[[], SessionEnded]) -> None:
        if self.session.asked is not None:
            self.cut_off()
        elif not self.session.closed:
            self.end(say_why())

    def may_go(self, *, alone: bool) -> bool:  # noqa: ARG002 - a login minds
        """Whether nothing is lost if it gives way just now: nothing was asked that is not answered."""
        return self.session.asked is None

    def give_way(self) -> None:
        """Others need the room: say so, and be gone. What the peer does not take now it will not hear."""
        outlet = self._outlet
        if self.session.closed or outlet is None or outlet.full:
            self.cut_off()
        else:
            self.refuse()
            outlet.close(self.session.take_output(), orderly=True)
        self.factory.gave_way(self)
        self.connectionLost()

    def silent(self) -> None:
        """Nothing was heard for too long."""
        if self.session.asked is not None and not (self._outlet and self._outlet.full):
            self.factory.idle.touch(self)  # it waits for us, not we for it
        elif not self.session.closed:
            self.end(self.give_up())

    def cut_off(self) -> None:
        """It was told to go and has not gone."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]  # every stream has it
