"""SMTP over Twisted: what the engine asks is answered by sorting and by the store.

The one path of a letter: sender, recipients, pieces, commit, and only then the 250.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.cred.error import LoginFailed
from twisted.internet.defer import Deferred

from mailpost.accounts.admission import LoginConnection
from mailpost.envelope import Destination, Envelope, Group, new_trace
from mailpost.intake.keeping import Kept, keep, log_letter, log_refusal
from mailpost.intake.letter import LetterUnderWay
from mailpost.limits import LETTER_READ, READ
from mailpost.logs import EventLogger
from mailpost.outcome import Delivered, MaildropLocked, Outcome, Refused, TryLater
from mailpost.wire import reply
from mailpost.wire.reply import Reply
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TLSAsked,
    TransactionAborted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.python.failure import Failure

    from mailpost.accounts.entrance import Entrance
    from mailpost.intake.desk import Desk
    from mailpost.interfaces import ISender
    from mailpost.outcome import Sorted
    from mailpost.wire.lmtp import LMTPServer
    from mailpost.wire.login import Login
    from mailpost.wire.session import Event, SessionEnded
    from mailpost.wire.smtp import SMTPServer


OF_USE = 1024
"""Octets at once that tell somebody who sends a letter from somebody who lets it drip."""

_LONG = READ // 2  # octets of a letter at once that tell that many more follow
_log = EventLogger(namespace="mailpost.intake")
_ACCEPTED = (Destination, Group)


class SMTPConnection(LoginConnection):
    """One peer that hands letters in."""

    session: SMTPServer

    def __init__(self, session: SMTPServer, peer: str, desk: Desk) -> None:
        super().__init__(session, peer)
        self._desk = desk
        self._letter: LetterUnderWay | None = None
        self._sender: ISender | None = None  # who has logged in
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

    def lock_out(self, reason: str) -> SessionEnded:
        """421, the owner of the office has locked the account."""
        return self.session.end(reply.locked_out(reason))

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
        super().gone()
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
        elif isinstance(event, TLSAsked):
            self._forget()  # nothing said before counts (RFC 3207 §4.2)
            self._sender = None
            self.session.begin_tls()
            self.begin_tls()
        else:
            return super().act(event)
        return None

    # Login ----------------------------------------------------------------------------------------

    @property
    def entrance(self) -> Entrance:
        """The listener's."""
        assert self._desk.entrance is not None
        return self._desk.entrance

    async def let_in(self, event: Login) -> Callable[[], None]:
        """What a login gives here is a sender."""
        sender, name = await self.entrance.to_send(event, self.peer, self.factory.guard, self)

        def admit() -> None:
            self._sender = sender
            if not self.session.closed:
                self.session.admit(name)

        return admit

    def not_let_in(self, why: Exception) -> SessionEnded | None:
        """535, 525, or 454."""
        if isinstance(why, LoginFailed):
            return self.session.answer(reply.BAD_LOGIN)
        if isinstance(why, MaildropLocked):
            return self.session.answer(reply.locked(str(why)))
        return self.session.answer(reply.LOGIN_LATER)

    # A letter's steps -----------------------------------------------------------------------------

    def _begin(self, event: SenderOffered) -> None:
        session, reverse_path = self.session, event.reverse_path
        if not self._desk.delivery.has_room():
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
                self._desk.delivery,
                event.parameters.envelope_id,
                event.parameters.size,
            )

    def _sort(self, event: RecipientOffered) -> None:
        assert self._letter is not None
        if self._letter.full:  # RFC 5321 §4.5.3.1.10: the rest comes separately
            self.session.answer(reply.TOO_MANY_RECIPIENTS)
            return
        sorted_to = self._desk.sorter.sort(event.recipient)
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
        allowance, user = self._desk.allowance, self.session.user
        assert self._letter is not None
        if not user or allowance is None:
            return None
        return allowance.take(user, self.peer, first=not self._letter.addressed)

    def _take(self, octets: bytes) -> None:
        letter = self._letter
        assert letter is not None
        if letter.spoiled:
            return
        if self.stranger and len(octets) >= OF_USE:
            self.factory.of_use(self)
        if len(octets) >= _LONG:
            self.read_at_most(LETTER_READ)
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
        sender = self._desk.sorter.sort(letter.envelope.reverse_path)
        if isinstance(sender, Deferred):
            sender = await sender
        if self.session.closed:
            return
        if isinstance(sender, TryLater):  # a report was promised: without one there is no letter
            self._kept(Kept([sender]), letter, event.octets)
        else:
            self._keep(event, letter, sender)

    def _keep(
        self,
        event: LetterReceived,
        letter: LetterUnderWay,
        sender: Destination | Group | Refused | None = None,
    ) -> None:
        keeping = keep(letter, event, self._desk, self.factory.clock.seconds(), sender)
        keeping.addCallback(self._kept, letter, event.octets)
        keeping.addErrback(self.unexpected)
        keeping.addBoth(lambda _: self.go_on())

    def _kept(self, kept: Kept, letter: LetterUnderWay, octets: int) -> None:
        self._letters += kept.failed is None
        self._forget()
        if self.stranger and kept.failed is None:
            self.factory.of_use(self)
        if not self.session.closed:
            self._conclude(kept.outcomes, letter.envelope.trace)
            self.flush()  # whoever waits for it need not wait for the log as well
        log_letter(letter, self.peer, octets, kept)

    def _conclude(self, outcomes: Sequence[Outcome], trace: str = "") -> None:
        """Say what became of the letter: one reply for all, since all were kept or none."""
        failed = next((o for o in outcomes if not isinstance(o, Delivered)), None)
        self.session.answer(_kept(trace) if failed is None else failed.reply)

    def _abort(self, event: TransactionAborted) -> None:
        if event.refusal is not None and self._letter is not None:
            log_refusal(self._letter, self.peer, event.refusal)
        self._forget()

    def _forget(self) -> None:
        letter, self._letter = self._letter, None
        if letter is not None:
            self.read_at_most(READ)
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


def _kept(trace: str) -> Reply:
    return Reply(250, "2.0.0", f"kept as {trace}")
