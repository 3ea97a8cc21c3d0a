"""A letter on its way through intake: its envelope, whom it is for, and the draft that holds its octets.

One of these stands between MAIL and the reply after the last octet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.envelope import Copy, Destination
from mailpost.intake.report import ReportUnderWay
from mailpost.outcome import Delivered, TryLater
from mailpost.wire.dsn import Notify
from mailpost.wire.parameters import NO_RECIPIENT_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from mailpost.envelope import Address, Envelope, Group, Report, Traits
    from mailpost.intake.postmarks import Postmarks
    from mailpost.interfaces import IDelivery, ILetterDraft
    from mailpost.outcome import Outcome
    from mailpost.wire.parameters import RecipientParameters

_NAMED = 10
MAX_EXPANDED = 10_000
"""Destinations that groups bring to a letter, the last of them whole; then it takes no more recipients."""


class LetterUnderWay:
    """A letter that is being handed in.

    :param envelope_id: the sender's mark for it, for a report.
    :param announced: octets that the sender says it has; 0: nothing was said.
    :ivar spoiled: a piece of it was lost, so nothing of it may be kept.
    :ivar full: groups have brought so many copies that no recipient is taken any more.
    :ivar report: what its sender wants to be told; None: nothing.
    """

    __slots__ = (
        "_accepted",
        "_announced",
        "_anyway",
        "_delivery",
        "_draft",
        "_envelope_id",
        "_expanded",
        "_recipients",
        "envelope",
        "full",
        "report",
        "spoiled",
    )

    def __init__(
        self, envelope: Envelope, delivery: IDelivery, envelope_id: str = "", announced: int = 0
    ) -> None:
        self.envelope = envelope
        self._envelope_id = envelope_id
        self.report: ReportUnderWay | None = None
        self._delivery = delivery
        self._draft: ILetterDraft | None = None
        self.spoiled = False
        self._recipients: dict[int, tuple[Destination, Address]] = {}  # by maildrop: one copy each
        self._accepted: list[Destination | Group] = []  # of each RCPT, in their order
        self._expanded = 0
        self._announced = announced
        self._anyway: set[int] = (
            set()
        )  # maildrops of groups, which take it in however full they are
        self.full = False

    @property
    def addressed(self) -> bool:
        """Whether a recipient was accepted."""
        return bool(self._accepted)

    def fits(self, sorted_to: Destination | Group) -> bool:
        """Whether there is room for it where this recipient's letters go."""
        return self._delivery.room_for(sorted_to, self._announced)

    def address_to(
        self,
        sorted_to: Destination | Group,
        recipient: Address,
        parameters: RecipientParameters = NO_RECIPIENT_PARAMETERS,
    ) -> None:
        """One more RCPT was accepted; a maildrop to which several ways lead still gets one copy."""
        if isinstance(sorted_to, Destination):
            self._recipients.setdefault(sorted_to.maildrop, (sorted_to, recipient))
        else:
            for destination in sorted_to.destinations:
                self._recipients.setdefault(destination.maildrop, (destination, recipient))
                self._anyway.add(destination.maildrop)
            self._expanded += len(sorted_to.destinations)
            self.full = self._expanded >= MAX_EXPANDED
        self._accepted.append(sorted_to)
        notify = parameters.notify
        # Nobody is told of a letter from nobody (RFC 3461 §5.2.3; a report is one).
        if notify and Notify.SUCCESS in notify and self.envelope.reverse_path is not None:
            if self.report is None:
                self.report = ReportUnderWay(self._envelope_id)
            first = sorted_to.destinations[0]
            named = str(recipient) if recipient.domain else first.delivered_to
            expanded = first is not sorted_to
            self.report.delivered(named, parameters.original, expanded=expanded)

    def take(self, octets: bytes) -> Deferred[None] | None:
        """Take the next octets; a Deferred: no more before it fires."""
        if self._draft is None:
            self._draft = self._delivery.begin()
        if self.report is not None:
            self.report.take(octets)
        return self._draft.write(octets)

    def commit(
        self,
        postmarks: Postmarks,
        added: bytes,
        now: float,
        traits: Traits,
        *,
        atomic: bool,
        report: Report | None = None,
    ) -> Deferred[Sequence[Outcome]]:
        """Have it kept; fires with an outcome for each RCPT that was accepted, in their order.

        The outcomes of the report's copies, if there is one, are the last.

        :param added: header lines for the postmark of every copy.
        :param now: seconds since the epoch.
        """
        if self._draft is None:
            self._draft = self._delivery.begin()
        copies = [
            Copy(
                destination.maildrop,
                postmarks.write(self.envelope, destination.delivered_to, str(recipient), now)
                + added,
                destination.always or destination.maildrop in self._anyway,
            )
            for destination, recipient in self._recipients.values()
        ]
        committed = self._draft.commit(self.envelope, copies, traits, atomic=atomic, report=report)
        if len(self._accepted) == len(copies) and not self._expanded:
            return committed
        return committed.addCallback(self._to_each)

    def _to_each(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        of = dict(zip(self._recipients, outcomes, strict=False))
        accepted = [
            _of_all([of[destination.maildrop] for destination in sorted_to.destinations])
            for sorted_to in self._accepted
        ]
        return [*accepted, *outcomes[len(of) :]]

    def abort(self) -> None:
        """Forget it. Harmless after :meth:`commit`."""
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.abort()

    @property
    def names(self) -> str:
        """The recipients for the log: all of a few, the first of many; what they were called, if not so."""
        recipients = list(self._recipients.values())
        names = [_named(*recipient) for recipient in recipients[:_NAMED]]
        more = len(recipients) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")


def _named(destination: Destination, recipient: Address) -> str:
    """Whom a copy is for; behind it in parentheses the address that the peer named, where it is another."""
    known = destination.delivered_to
    if not recipient.domain or known == f"{recipient.local}@{recipient.domain}":
        return known
    named = str(recipient)
    return known if named.lower() == known.lower() else f"{known} ({named})"


def _of_all(outcomes: Sequence[Outcome]) -> Outcome:
    """What became of a recipient, out of what became of its copies.

    It has the letter when they are kept. One whose maildrop was removed this very moment counts no more than
    one removed before, as long as somebody is left: a bounce would say that nobody has the letter.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    by_kind: dict[type, Outcome] = {type(outcome): outcome for outcome in outcomes}
    return by_kind.get(TryLater) or by_kind.get(Delivered) or outcomes[0]
