"""A letter on its way through intake: its envelope, whom it is for, and the draft that holds its octets.

One of these stands between MAIL and the reply after the last octet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.envelope import Copy
from mailpost.intake.report import ReportUnderWay
from mailpost.wire.dsn import Notify
from mailpost.wire.parameters import NO_RECIPIENT_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from mailpost.envelope import Address, Destination, Envelope, Report, Traits
    from mailpost.intake.postmarks import Postmarks
    from mailpost.interfaces import IDelivery, ILetterDraft
    from mailpost.outcome import Outcome
    from mailpost.wire.parameters import RecipientParameters

_NAMED = 10


class LetterUnderWay:
    """A letter that is being handed in.

    :param envelope_id: the sender's mark for it, for a report.
    :ivar spoiled: a piece of it was lost, so nothing of it may be kept.
    :ivar report: what its sender wants to be told; None: nothing.
    """

    __slots__ = (
        "_accepted",
        "_delivery",
        "_draft",
        "_envelope_id",
        "_recipients",
        "envelope",
        "report",
        "spoiled",
    )

    def __init__(self, envelope: Envelope, delivery: IDelivery, envelope_id: str = "") -> None:
        self.envelope = envelope
        self._envelope_id = envelope_id
        self.report: ReportUnderWay | None = None
        self._delivery = delivery
        self._draft: ILetterDraft | None = None
        self.spoiled = False
        self._recipients: dict[int, tuple[Destination, Address]] = {}  # by maildrop: one copy each
        self._accepted: list[
            int
        ] = []  # the maildrop of each RCPT that was accepted, in their order

    def address_to(
        self,
        destination: Destination,
        recipient: Address,
        parameters: RecipientParameters = NO_RECIPIENT_PARAMETERS,
    ) -> None:
        """One more RCPT was accepted; who is named twice still gets one copy."""
        self._recipients.setdefault(destination.maildrop, (destination, recipient))
        self._accepted.append(destination.maildrop)
        notify = parameters.notify
        # Nobody is told of a letter from nobody (RFC 3461 §5.2.3; a report is one).
        if notify and Notify.SUCCESS in notify and self.envelope.reverse_path is not None:
            if self.report is None:
                self.report = ReportUnderWay(self._envelope_id)
            named = str(recipient) if recipient.domain else destination.delivered_to
            self.report.delivered(named, parameters.original)

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

        The report's, if there is one, is the last.

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
            )
            for destination, recipient in self._recipients.values()
        ]
        committed = self._draft.commit(self.envelope, copies, traits, atomic=atomic, report=report)
        if len(self._accepted) == len(copies):
            return committed
        return committed.addCallback(self._to_each)

    def _to_each(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        of = dict(zip(self._recipients, outcomes, strict=False))
        return [*(of[maildrop] for maildrop in self._accepted), *outcomes[len(of) :]]

    def abort(self) -> None:
        """Forget it. Harmless after :meth:`commit`."""
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.abort()

    @property
    def names(self) -> str:
        """The recipients for the log: all of a few, the first of many."""
        recipients = list(self._recipients.values())
        names = [destination.delivered_to for destination, _ in recipients[:_NAMED]]
        more = len(recipients) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")
