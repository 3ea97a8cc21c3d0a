"""A letter on its way through intake: its envelope, whom it is for, and the draft that holds its octets.

One of these stands between MAIL and the reply after the last octet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import succeed
from twisted.logger import Logger

from mailpost.envelope import Copy
from mailpost.outcome import TryLater
from mailpost.wire import reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from mailpost.envelope import Address, Destination, Envelope, Traits
    from mailpost.intake.postmarks import Postmarks
    from mailpost.interfaces import IDelivery, ILetterDraft
    from mailpost.outcome import Outcome

_log = Logger(namespace="mailpost.intake")
_NAMED = 10


class LetterUnderWay:
    """A letter that is being handed in.

    :ivar octets: how many of them have come.
    """

    __slots__ = ("_accepted", "_broken", "_delivery", "_draft", "_recipients", "envelope", "octets")

    def __init__(self, envelope: Envelope, delivery: IDelivery) -> None:
        self.envelope = envelope
        self.octets = 0
        self._delivery = delivery
        self._draft: ILetterDraft | None = None
        self._broken = False
        self._recipients: dict[int, tuple[Destination, Address]] = {}  # by maildrop: one copy each
        self._accepted: list[int] = []  # the maildrop of each RCPT that was accepted, in their order

    def address_to(self, destination: Destination, recipient: Address) -> None:
        """One more RCPT was accepted; who is named twice still gets one copy."""
        self._recipients.setdefault(destination.maildrop, (destination, recipient))
        self._accepted.append(destination.maildrop)

    def take(self, octets: bytes) -> Deferred[None] | None:
        """Take the next octets; a Deferred: no more before it fires."""
        self.octets += len(octets)
        if self._broken:
            return None
        try:
            if self._draft is None:
                self._draft = self._delivery.begin()
            return self._draft.write(octets)
        except Exception:  # noqa: BLE001 - nothing may be kept of a letter that lost a piece
            _log.failure("letter {trace} cannot be taken in", trace=self.envelope.trace)
            self._broken = True
            return None

    def commit(
        self, postmarks: Postmarks, added: bytes, now: float, traits: Traits, *, atomic: bool
    ) -> Deferred[Sequence[Outcome]]:
        """Have it kept; fires with an outcome for each RCPT that was accepted, in their order.

        :param added: header lines for the postmark of every copy.
        :param now: seconds since the epoch.
        """
        if self._broken:
            lost = TryLater(reply.LOCAL_ERROR, "a piece of it was lost")
            return succeed([lost] * len(self._accepted))
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
        if self._draft is not None:
            self._draft.abort()
            self._draft = None

    @property
    def names(self) -> str:
        """The recipients for the log: all of a few, the first of many."""
        recipients = list(self._recipients.values())
        names = [destination.delivered_to for destination, _ in recipients[:_NAMED]]
        more = len(recipients) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")
