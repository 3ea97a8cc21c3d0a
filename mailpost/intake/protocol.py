"""SMTP over Twisted: what the engine asks is answered by sorting and by the store.

The one path of a letter: sender, recipients, pieces, commit, and only then the 250.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailpost.connection import Connection, ConnectionFactory
from mailpost.envelope import Address, Copy, Destination, Envelope, Traits
from mailpost.intake.postmarks import Postmarks
from mailpost.limits import ConnectionLimits
from mailpost.outcome import Delivered, Outcome, Refused, TryLater
from mailpost.wire import reply
from mailpost.wire.reply import Reply
from mailpost.wire.smtp import Settings, SMTPServer
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TransactionAborted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from mailpost.interfaces import IDelivery, ILetterDraft, ISorter
    from mailpost.wire.session import Event, SessionEnded


IDLE_SECONDS = 300.0
"""RFC 5321 §4.5.3.2.7: at least 5 minutes."""

_log = Logger(namespace="mailpost.intake")

_Recipients = dict[int, tuple[Destination, Address]]  # by maildrop: each has one copy


def new_trace() -> str:
    """A letter's trace id: 16 hexadecimal digits, all of them random."""
    return os.urandom(8).hex()


class SMTPConnection(Connection):
    """One peer that hands letters in."""

    session: SMTPServer
    factory: SMTPFactory

    def __init__(self, session: SMTPServer, peer: str) -> None:
        super().__init__(session, peer)
        self._envelope: Envelope | None = None
        self._recipients: _Recipients = {}
        self._draft: ILetterDraft | None = None
        self._spoiled = False  # a piece of the letter at hand was lost
        self._letters = 0
        self._refused = 0  # recipients
        self._since = 0.0

    # What a dialect says --------------------------------------------------------------------------

    def greet(self) -> None:
        """220."""
        self._since = self.factory.clock.seconds()
        self.session.greet()

    def refuse(self) -> SessionEnded:
        """421, before the greeting."""
        return self.session.end(reply.TOO_MANY_CONNECTIONS, orderly=True)

    def give_up(self) -> SessionEnded:
        """421, after too long a silence."""
        return self.session.end(reply.IDLE)

    def close_down(self) -> SessionEnded:
        """421, the office closes."""
        return self.session.end(reply.SHUTTING_DOWN)

    def fault(self) -> SessionEnded | None:
        """451 to whatever was asked."""
        asked = self.session.asked
        self.session.answer(reply.LOCAL_ERROR)
        if isinstance(asked, LetterReceived):
            self._abort(TransactionAborted(reply.LOCAL_ERROR))
        return None

    def unexpected(self, failure: Failure) -> None:
        """Log it, and answer 451 if something was asked; if not, the letter at hand has a hole now."""
        self._spoiled = self._spoiled or self.session.asked is None
        super().unexpected(failure)

    def gone(self) -> None:
        """Forget an unfinished letter; one line for the session."""
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
            self._sort(event.recipient)
        elif isinstance(event, LetterReceived):
            self._commit(event)
        elif isinstance(event, SenderOffered):
            self._begin(event)
        elif isinstance(event, TransactionAborted):
            self._abort(event)
        return None

    # A letter's steps -----------------------------------------------------------------------------

    def _begin(self, event: SenderOffered) -> None:
        if not self.factory.delivery.has_room():
            self.session.answer(reply.DISK_FULL)
            return
        session = self.session
        self._spoiled = False
        self._envelope = Envelope(
            trace=new_trace(),
            reverse_path=event.reverse_path,
            protocol="ESMTP" if session.extended else "SMTP",
            helo=session.helo,
            peer=self.peer,
        )
        session.answer(reply.SENDER_OK)

    def _sort(self, recipient: Address) -> None:
        sorted_to = self.factory.sorter.sort(recipient)
        if isinstance(sorted_to, Deferred):
            sorted_to.addCallback(self._sorted_late, recipient)
            sorted_to.addErrback(self.unexpected)
            sorted_to.addBoth(lambda _: self.go_on())
        else:
            self._sorted(sorted_to, recipient)

    def _sorted_late(self, sorted_to: Destination | Refused | TryLater, recipient: Address) -> None:
        if not self.session.closed:
            self._sorted(sorted_to, recipient)

    def _sorted(self, sorted_to: Destination | Refused | TryLater, recipient: Address) -> None:
        if isinstance(sorted_to, Destination):
            self._recipients.setdefault(sorted_to.maildrop, (sorted_to, recipient))
            self.session.answer(reply.RECIPIENT_OK)
        else:
            self.session.answer(sorted_to.reply)
            self._refused += 1

    def _take(self, octets: bytes) -> None:
        if self._spoiled:
            return
        if self._draft is None:
            self._draft = self.factory.delivery.begin()
        behind = self._draft.write(octets)
        if behind is not None:
            self.hold_until(behind)

    def _commit(self, event: LetterReceived) -> None:
        if self._spoiled:
            self.fault()
            return
        factory, envelope, recipients = self.factory, self._envelope, self._recipients
        assert envelope is not None
        draft = self._draft or factory.delivery.begin()
        self._draft = draft
        now = factory.clock.seconds()
        copies = [
            Copy(
                destination.maildrop,
                factory.postmarks.write(envelope, destination.delivered_to, str(recipient), now),
            )
            for destination, recipient in recipients.values()
        ]
        committed = draft.commit(envelope, copies, Traits(eight_bit=event.eight_bit), atomic=True)
        committed.addCallback(self._committed, envelope, recipients, event.octets)
        committed.addErrback(self.unexpected)
        committed.addBoth(lambda _: self.go_on())

    def _committed(
        self,
        outcomes: Sequence[Outcome],
        envelope: Envelope,
        recipients: _Recipients,
        octets: int,
    ) -> None:
        failed = next((o for o in outcomes if not isinstance(o, Delivered)), None)
        answer = (
            Reply(250, "2.0.0", f"kept as {envelope.trace}") if failed is None else failed.reply
        )
        self._letters += failed is None
        self._forget()
        if not self.session.closed:
            self.session.answer(answer)
            self.flush()  # whoever waits for it need not wait for the log as well
        _log.info(
            "letter {trace} from <{sender}> to {recipients}, {octets} octets, by {peer}: {outcome}",
            trace=envelope.trace,
            sender=envelope.reverse_path or "",
            recipients=_names(recipients),
            octets=octets,
            peer=self.peer,
            outcome="kept" if failed is None else f"{answer} ({failed.reason})",
        )

    def _abort(self, event: TransactionAborted) -> None:
        if event.refusal is not None and self._envelope is not None:
            _log.info(
                "letter {trace} from <{sender}> to {recipients}, by {peer}: {outcome}",
                trace=self._envelope.trace,
                sender=self._envelope.reverse_path or "",
                recipients=_names(self._recipients),
                peer=self.peer,
                outcome=str(event.refusal),
            )
        self._forget()

    def _forget(self) -> None:
        self._envelope = None
        if self._recipients:
            self._recipients = {}
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.abort()


class SMTPFactory(ConnectionFactory):
    """A listener for SMTP.

    :param sorter: decides at RCPT.
    :param delivery: keeps what is handed in.
    :param clock: its ``seconds()`` are taken for the time of day as well.
    """

    def __init__(
        self,
        settings: Settings,
        sorter: ISorter,
        delivery: IDelivery,
        clock: IReactorTime,
        limits: ConnectionLimits | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        super().__init__(clock, limits or ConnectionLimits(), idle_seconds)
        self._settings = settings
        self.sorter = sorter
        self.delivery = delivery
        self.postmarks = Postmarks(settings.hostname)

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return SMTPConnection(SMTPServer(self._settings), peer)


_NAMED = 10


def _names(recipients: _Recipients) -> str:
    """The recipients for the log: all of a few, the first of many."""
    names = [destination.delivered_to for destination, _ in list(recipients.values())[:_NAMED]]
    more = len(recipients) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
