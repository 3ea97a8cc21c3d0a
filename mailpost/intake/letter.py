"""A letter on its way through intake: its envelope, whom it is for, and the draft that holds its octets.

One of these stands between MAIL and the reply after the last octet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.envelope import Copy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from mailpost.envelope import Address, Destination, Envelope, Traits
    from mailpost.intake.postmarks import Postmarks
    from mailpost.interfaces import IDelivery, ILetterDraft
    from mailpost.outcome import Outcome

_NAMED = 10


class LetterUnderWay:
    """A letter that is being handed in.

    :ivar spoiled: a piece of it was lost, so nothing of it may be kept.
    """

    __slots__ = ("_accepted", "_delivery", "_draft", "_recipients", "envelope", "spoiled")

    def __init__(self, envelope: Envelope, delivery: IDelivery) -> None:
        self.envelope = envelope
        self._delivery = delivery
        self._draft: ILetterDraft | None = None
        self.spoiled = False
        self._recipients: dict[int, tuple[Destination, Address]] = {}  # by maildrop: one copy each
        self._accepted: list[
            int
        ] = []  # the maildrop of each RCPT that was accepted, in their order

    def address_to(self, destination: Destination, recipient: Address) -> None:
        """One more RCPT was accepted; who is named twice still gets one copy."""
        self._recipients.setdefault(destination.maildrop, (destination, recipient))
        self._accepted.append(destination.maildrop)

    def take(self, octets: bytes) -> Deferred[None] | None:
        """Take the next octets; a Deferred: no more before it fires."""
        if self._draft is None:
            self._draft = self._delivery.begin()
        return self._draft.write(octets)

    def commit(
        self, postmarks: Postmarks, added: bytes, now: float, traits: Traits, *, atomic: bool
    ) -> Deferred[Sequence[Outcome]]:
        """Have it kept; fires with an outcome for each RCPT that was accepted, in their order.

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
        committed = self._draft.commit(self.envelope, copies, traits, atomic=atomic)
        if len(self._accepted) == len(copies):
            return committed
        return committed.addCallback(self._to_each)

    def _to_each(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        of = dict(zip(self._recipients, outcomes, strict=True))
        return [of[maildrop] for maildrop in self._accepted]

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
