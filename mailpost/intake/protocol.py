"""SMTP over Twisted: what the engine asks is answered by sorting and by the store.

The one path of a letter: sender, recipients, pieces, commit, and only then the 250.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from twisted.cred.error import LoginFailed
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailpost.accounts.entrance import Entrance
from mailpost.connection import Connection, ConnectionFactory
from mailpost.envelope import Destination, Envelope, Group, Report, Traits
from mailpost.intake.letter import LetterUnderWay
from mailpost.intake.postmarks import Postmarks
from mailpost.intake.reports import Reports
from mailpost.limits import ConnectionLimits
from mailpost.logs import told
from mailpost.outcome import Delivered, MaildropLocked, Outcome, Refused, TemporaryFailure, TryLater
from mailpost.wire import reply
from mailpost.wire.lmtp import LMTPServer
from mailpost.wire.login import Login
from mailpost.wire.reply import Reply
from mailpost.wire.sasl import Checks
from mailpost.wire.sasl_events import KeysAsked
from mailpost.wire.smtp import Settings, SMTPServer
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TLSAsked,
    TransactionAborted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.cred.portal import Portal
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from mailpost.intake.allowance import Allowance
    from mailpost.interfaces import IDelivery, ISender, ISorter
    from mailpost.outcome import Sorted
    from mailpost.wire.session import Event, SessionEnded


IDLE_SECONDS = 300.0
"""RFC 5321 §4.5.3.2.7: at least 5 minutes."""

_log = Logger(namespace="mailpost.intake")
_ACCEPTED = (Destination, Group)

S = TypeVar("S", bound=SMTPServer)


def new_trace() -> str:
    """A letter's trace id: 16 hexadecimal digits, all of them random."""
    return os.urandom(8).hex()


class SMTPConnection(Connection):
    """One peer that hands letters in."""

    session: SMTPServer
    factory: SMTPFactory

    def __init__(self, session: SMTPServer, peer: str) -> None:
        super().__init__(session, peer)
        self._letter: LetterUnderWay | None = None
        self._sender: ISender | None = None  # who has logged in
        self._login: Deferred[None] | None = None  # while it is under way
        self._letters = 0
        self._refused = 0  # recipients
        self._since = 0.0

    # What a dialect says --------------------------------------------------------------------------

    @property
    def letters(self) -> int:
        """How many letters were kept."""
        return self._letters

    def greet(self) -> None:
        """220."""
        self._since = self.factory.clock.seconds()
        self.session.greet()

    def refuse(self) -> SessionEnded:
        """421, before the greeting."""
        return self.session.end(reply.TOO_MANY_CONNECTIONS, orderly=True)

    def turn_away(self) -> SessionEnded:
        """421, since a relay that shares the address may bring its letters later."""
        return self.session.end(reply.BANNED, orderly=True)

    def give_up(self) -> SessionEnded:
        """421, after too long a silence."""
        return self.session.end(reply.IDLE)

    def close_down(self) -> SessionEnded:
        """421, the office closes."""
        return self.session.end(reply.SHUTTING_DOWN)

    def turn_out(self) -> SessionEnded:
        """421, the login was taken away."""
        return self.session.end(reply.REVOKED)

    def fault(self) -> SessionEnded | None:
        """451 to whatever was asked."""
        asked = self.session.asked
        if isinstance(asked, LetterReceived):
            self._conclude([TryLater(reply.LOCAL_ERROR)])
            self._abort(TransactionAborted(reply.LOCAL_ERROR))
        else:
            self.session.answer(reply.LOCAL_ERROR)
        return None

    def unexpected(self, failure: Failure) -> None:
        """Log it, and answer 451 if something was asked; if not, the letter at hand has a hole now."""
        if self._letter is not None and self.session.asked is None:
            self._letter.spoiled = True
        super().unexpected(failure)

    def gone(self) -> None:
        """Forget an unfinished letter; one line for the session."""
        if self._login is not None:
            self._login.cancel()  # nobody waits for it: a place in the queue is free
        self._forget()
        _log.info(
            "intake from {peer} ({helo}): {letters} letters, {refused} recipients refused,"
            " {seconds:.3f} s",
            peer=self.peer,
            helo=self.session.helo,
            letters=self._letters,
            refused=self._refused,
            seconds=self.factory.clock.seconds() - self._since,
        )

    def act(self, event: Event) -> SessionEnded | None:
        """Take a letter a step further."""
        if isinstance(event, PieceReceived):
            self._take(event.octets)
        elif isinstance(event, RecipientOffered):
            self._sort(event)
        elif isinstance(event, LetterReceived):
            self._commit(event)
        elif isinstance(event, SenderOffered):
            self._begin(event)
        elif isinstance(event, TransactionAborted):
            self._abort(event)
        elif isinstance(event, Login):
            self._login = self.answer_later(self._log_in(event))
        elif isinstance(event, KeysAsked):
            self._give_keys(event)
        elif isinstance(event, TLSAsked):
            self._forget()  # nothing said before counts (RFC 3207 §4.2)
            self._sender = None
            self.session.begin_tls()
            self.begin_tls()
        return None

    # Login ----------------------------------------------------------------------------------------

    def _give_keys(self, event: KeysAsked) -> None:
        entrance = self.factory.entrance
        assert entrance is not None
        try:
            self.session.give_keys(entrance.keys(event.name))
        except TemporaryFailure as failure:
            _log.warn("login of {user} put off: {why}", user=told(event.name), why=failure)
            self.session.answer(reply.LOGIN_LATER)

    async def _log_in(self, event: Login) -> None:
        entrance = self.factory.entrance
        assert entrance is not None
        answer: Reply | None = None
        try:
            self._sender, name = await entrance.to_send(event, self.peer, self.factory.guard, self)
        except LoginFailed:
            answer = reply.BAD_LOGIN
        except MaildropLocked as locked:
            answer = reply.locked(str(locked))
        except TemporaryFailure as failure:
            _log.warn("login of {user} put off: {why}", user=told(event.name), why=failure)
            answer = reply.LOGIN_LATER
        self._login = None
        if self.session.closed:
            return
        if answer is None:
            self.session.admit(name)
        elif end := self.session.answer(answer):
            self.end(end)

    # A letter's steps -----------------------------------------------------------------------------

    def _begin(self, event: SenderOffered) -> None:
        session, reverse_path = self.session, event.reverse_path
        if not self.factory.delivery.has_room():
            session.answer(reply.DISK_FULL)
        elif self._sender and reverse_path and not self._sender.may_send_as(reverse_path):
            session.answer(reply.NOT_YOUR_ADDRESS)  # RFC 6409 §6.1
        else:
            session.answer(reply.SENDER_OK)
            envelope = Envelope(
                trace=new_trace(),
                reverse_path=reverse_path,
                protocol=session.protocol,
                helo=session.helo,
                peer=self.peer,
            )
            self._letter = LetterUnderWay(
                envelope,
                self.factory.delivery,
                event.parameters.envelope_id,
                event.parameters.size,
            )

    def _sort(self, event: RecipientOffered) -> None:
        assert self._letter is not None
        if self._letter.full:  # RFC 5321 §4.5.3.1.10: the rest comes separately
            self.session.answer(reply.TOO_MANY_RECIPIENTS)
            return
        sorted_to = self.factory.sorter.sort(event.recipient)
        if isinstance(sorted_to, Deferred):
            sorted_to.addCallback(self._sorted_late, event)
            sorted_to.addErrback(self.unexpected)
            sorted_to.addBoth(lambda _: self.go_on())
        else:
            self._sorted(sorted_to, event)

    def _sorted_late(self, sorted_to: Sorted, event: RecipientOffered) -> None:
        if not self.session.closed:
            self._sorted(sorted_to, event)

    def _sorted(self, sorted_to: Sorted, event: RecipientOffered) -> None:
        assert self._letter is not None
        if isinstance(sorted_to, _ACCEPTED):
            if refusal := self._no_room(sorted_to) or self._too_many():
                self.session.answer(refusal)
                self._refused += 1
                return
            self._letter.address_to(sorted_to, event.recipient, event.parameters)
            self.session.answer(reply.RECIPIENT_OK)
        else:
            self.session.answer(sorted_to.reply)
            self._refused += 1

    def _no_room(self, sorted_to: Destination | Group) -> Reply | None:
        """Whether the maildrop is full: the reply."""
        assert self._letter is not None
        return None if self._letter.fits(sorted_to) else reply.MAILDROP_FULL

    def _too_many(self) -> Reply | None:
        """Whether whoever has logged in has handed in enough for now: the reply."""
        allowance, user = self.factory.allowance, self.session.user
        assert self._letter is not None
        if not user or allowance is None:
            return None
        return allowance.take(user, self.peer, first=not self._letter.addressed)

    def _take(self, octets: bytes) -> None:
        letter = self._letter
        assert letter is not None
        if letter.spoiled:
            return
        behind = letter.take(octets)
        if behind is not None:
            self.hold_until(behind)

    def _commit(self, event: LetterReceived) -> None:
        letter = self._letter
        assert letter is not None
        if letter.spoiled:
            self.fault()
            return
        if letter.report is None:
            self._keep(event, letter)
        else:
            self.answer_later(self._keep_with_report(event, letter))

    async def _keep_with_report(self, event: LetterReceived, letter: LetterUnderWay) -> None:
        """The sender is to be told that it was delivered: ask first where that goes."""
        assert letter.envelope.reverse_path is not None
        sender = self.factory.sorter.sort(letter.envelope.reverse_path)
        if isinstance(sender, Deferred):
            sender = await sender
        if self.session.closed:
            return
        if isinstance(sender, TryLater):  # a report was promised: without one there is no letter
            self._committed([sender], letter, event.octets)
        else:
            self._keep(event, letter, sender)

    def _keep(
        self,
        event: LetterReceived,
        letter: LetterUnderWay,
        sender: Destination | Group | Refused | None = None,
    ) -> None:
        """Have it kept, and in the same transaction the report on it, if one was asked for."""
        factory = self.factory
        now = factory.clock.seconds()
        added = b""
        if factory.submission and not (event.dated and event.identified):
            added = factory.postmarks.complete(
                letter.envelope, now, dated=event.dated, identified=event.identified
            )
        traits = Traits(
            eight_bit=event.eight_bit,
            utf8=letter.envelope.protocol.startswith("UTF8"),
            final_crlf=event.final_crlf,
        )
        told: Report | Refused | None = None
        if isinstance(sender, Refused):  # its account has been removed meanwhile
            told = sender
        elif letter.report is not None:
            assert sender is not None
            told = factory.reports.write(
                new_trace(), letter.envelope, sender, letter.report, added, now
            )
        report = told if isinstance(told, Report) else None
        committed = letter.commit(
            factory.postmarks, added, now, traits, atomic=factory.atomic, report=report
        )
        committed.addCallback(self._committed, letter, event.octets, told)
        committed.addErrback(self.unexpected)
        committed.addBoth(lambda _: self.go_on())

    def _committed(
        self,
        outcomes: Sequence[Outcome],
        letter: LetterUnderWay,
        octets: int,
        told: Report | Refused | None = None,
    ) -> None:
        reported: Outcome | None = told if isinstance(told, Refused) else None
        if isinstance(told, Report):
            of_letter = len(outcomes) - len(told.copies)
            outcomes, of_report = outcomes[:of_letter], outcomes[of_letter:]
            reported = next((o for o in of_report if isinstance(o, Delivered)), of_report[-1])
        failed = next((o for o in outcomes if not isinstance(o, Delivered)), None)
        self._letters += failed is None
        self._forget()
        if not self.session.closed:
            self._conclude(outcomes, letter.envelope.trace)
            self.flush()  # whoever waits for it need not wait for the log as well
        _log.info(
            "letter {trace} from <{sender}> to {recipients}, {octets} octets, by {peer}: {outcome}",
            trace=letter.envelope.trace,
            sender=letter.envelope.reverse_path or "",
            recipients=letter.names,
            octets=octets,
            peer=self.peer,
            outcome="kept" if failed is None else _why(failed),
        )
        if failed is None and reported is not None:
            _log.info(
                "report on letter {trace} to <{sender}>: {outcome}",
                trace=letter.envelope.trace,
                sender=letter.envelope.reverse_path,
                outcome="kept" if isinstance(reported, Delivered) else _why(reported),
            )

    def _conclude(self, outcomes: Sequence[Outcome], trace: str = "") -> None:
        """Say what became of the letter: one reply for all, since all were kept or none."""
        failed = next((o for o in outcomes if not isinstance(o, Delivered)), None)
        self.session.answer(_kept(trace) if failed is None else failed.reply)

    def _abort(self, event: TransactionAborted) -> None:
        letter = self._letter
        if event.refusal is not None and letter is not None:
            _log.info(
                "letter {trace} from <{sender}> to {recipients}, by {peer}: {outcome}",
                trace=letter.envelope.trace,
                sender=letter.envelope.reverse_path or "",
                recipients=letter.names,
                peer=self.peer,
                outcome=str(event.refusal),
            )
        self._forget()

    def _forget(self) -> None:
        letter, self._letter = self._letter, None
        if letter is not None:
            letter.abort()


class LMTPConnection(SMTPConnection):
    """A relay that hands letters in, and keeps those that cannot be kept here (RFC 2033)."""

    session: LMTPServer

    def _conclude(self, outcomes: Sequence[Outcome], trace: str = "") -> None:
        """One reply for each recipient, in their order."""
        kept = _kept(trace)
        answers = [kept if isinstance(o, Delivered) else o.reply for o in outcomes]
        if len(answers) != self.session.recipients:  # a fault: the same for all of them
            answers = answers[:1] * self.session.recipients
        self.session.answer_each(answers)


def _why(outcome: TryLater | Refused) -> str:
    return f"{outcome.reply} ({outcome.reason})"


def _kept(trace: str) -> Reply:
    return Reply(250, "2.0.0", f"kept as {trace}")


class SMTPFactory(ConnectionFactory):
    """A listener for SMTP.

    :param sorter: decides at RCPT.
    :param delivery: keeps what is handed in.
    :param clock: its ``seconds()`` are taken for the time of day as well.
    :param portal: who may log in; its realm gives :class:`~mailpost.interfaces.ISender`. None: nobody.
    :ivar allowance: how much they may hand in; None: as much as they like.
    """

    allowance: Allowance | None = None

    atomic = True
    """All recipients of a letter are served, or none is."""

    submission = False
    """Letters come from their authors: what they lack is added (RFC 6409)."""

    def __init__(
        self,
        settings: Settings,
        sorter: ISorter,
        delivery: IDelivery,
        clock: IReactorTime,
        limits: ConnectionLimits | None = None,
        idle_seconds: float = IDLE_SECONDS,
        portal: Portal | None = None,
    ) -> None:
        super().__init__(clock, limits or ConnectionLimits(), idle_seconds)
        self._settings = settings
        self.entrance = None if portal is None else Entrance(portal, clock)
        self.sorter = sorter
        self.delivery = delivery
        self.postmarks = Postmarks(settings.hostname)
        self.reports = Reports(settings.hostname, self.postmarks)

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return SMTPConnection(self._session(SMTPServer, peer), peer)

    def _session(self, dialect: type[S], peer: str) -> S:
        entrance = self.entrance
        if entrance is None:
            return dialect(self._settings, self.security.access_from(peer, Checks(0)))
        access = self.security.access_from(peer, entrance.checks, entrance.told)
        return dialect(self._settings, access)


class SubmissionFactory(SMTPFactory):
    """A listener for the office's own users (RFC 6409). Its settings say that a login is needed."""

    submission = True


class LMTPFactory(SMTPFactory):
    """A listener for a relay that stands in front (RFC 2033)."""

    atomic = False

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return LMTPConnection(self._session(LMTPServer, peer), peer)
