"""Delivery: the store's face to intake. A draft gathers a letter's octets and commits them.

A small body waits in memory and goes into a row. A large one is written to a parcel while it arrives,
so that no more than a few hundred KiB of it are ever held.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailpost.interfaces import IDelivery, ILetterDraft
from mailpost.outcome import Delivered, Outcome, TemporaryFailure
from mailpost.store import plain, schema
from mailpost.store.errors import DiskFull
from mailpost.store.parcelstream import ParcelStream
from mailpost.store.posting import Post

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime

    from mailpost.envelope import Copy, Destination, Envelope, Group, Report, Traits
    from mailpost.store.ledger import Ledger
    from mailpost.store.parcels import Parcels
    from mailpost.store.quotas import Quotas
    from mailpost.store.space import Space

ROW = 96 * 1024
"""A body up to so many octets is kept in a row. A row is written twice, to the log and to its page; a parcel
needs a file and a sync of its own. At 64 KiB a row costs half of a parcel's processor time, at 128 KiB it is
slower."""


@implementer(IDelivery)
class Delivery:
    """Takes letters in.

    :param make_room: told when the disk is short.
    :param quotas: how much each maildrop may hold.
    :ivar posted: told when something is posted, where there are quotas.
    """

    def __init__(
        self,
        ledger: Ledger,
        parcels: Parcels,
        space: Space,
        clock: IReactorTime,
        defer_to_thread: Callable[..., Deferred[Any]],
        make_room: Callable[[], None],
        quotas: Quotas,
    ) -> None:
        self.ledger = ledger
        self.parcels = parcels
        self.space = space
        self.clock = clock
        self.defer_to_thread = defer_to_thread
        self._make_room = make_room
        self.quotas = quotas
        self.posted: Callable[[], None] = _nothing

    def has_room(self) -> bool:
        """Whether the reserve of free disk is untouched; if not for long, room is made where that can be."""
        enough = self.space.enough()
        if self.space.short:
            self._make_room()
        return enough

    def room_for(self, sorted_to: Destination | Group, octets: int) -> bool:
        """Whether a recipient's maildrop has room."""
        return self.quotas.room_for(sorted_to, octets)

    def begin(self) -> Draft:
        """Begin to take a letter in."""
        return Draft(self)

    def written(self, report: Report, arrived: int) -> Post:
        """What enters a letter that the office itself has written."""
        self.space.take(2 * len(report.body))
        post = Post(
            trace=report.envelope.trace,
            reverse_path=None,
            octets=len(report.body),
            flags=flags_of(report.traits),
            extra=0,
            arrived=arrived,
            body=report.body,
            copies=report.copies,
            atomic=False,  # its maildrop may have gone: that is told of it alone
        )
        if plain.concerned(report.traits, report.body):
            post.plain = plain.of_body(report.body, 0)  # its own header is short: no thread for it
        return post


@implementer(ILetterDraft)
class Draft:
    """A letter on its way in."""

    __slots__ = ("_chunks", "_delivery", "_done", "_octets", "_parcel", "_waiting")

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._chunks: list[bytes] = []
        self._octets = 0
        self._waiting = 0
        self._parcel: ParcelStream | None = None
        self._done = False

    def write(self, chunk: bytes) -> Deferred[None] | None:
        """Take the next octets."""
        self._octets += len(chunk)
        space = self._delivery.space
        space.take(2 * len(chunk))  # a row is written twice: to the log, then to its page
        if self._parcel is not None:
            if not self._delivery.has_room():
                self._parcel.stop(OSError(errno.ENOSPC, "the rest of the disk is a reserve"))
            return self._parcel.write(chunk)
        self._chunks.append(chunk)
        if self._octets <= ROW:
            return None
        self._parcel = ParcelStream(self._delivery.parcels.begin(), self._delivery.defer_to_thread)
        chunks, self._chunks = self._chunks, []
        for held in chunks[:-1]:
            self._parcel.write(held)
        return self._parcel.write(chunks[-1])

    def commit(
        self,
        envelope: Envelope,
        copies: Sequence[Copy],
        traits: Traits,
        *,
        atomic: bool,
        report: Report | None = None,
    ) -> Deferred[Sequence[Outcome]]:
        """Keep the letter and its copies durably."""
        self._done = True
        path = envelope.reverse_path
        extra = 0 if traits.final_crlf else 2
        arrived = int(self._delivery.clock.seconds())
        if self._delivery.quotas.any:
            self._delivery.posted()
        post = Post(
            trace=envelope.trace,
            reverse_path=None if path is None else str(path),
            octets=self._octets,
            flags=flags_of(traits),
            extra=extra,
            arrived=arrived,
            body=b"".join(self._chunks) if self._parcel is None else None,
            copies=copies,
            atomic=atomic,
            report=None if report is None else self._delivery.written(report, arrived),
            quota=self._delivery.quotas.default,
        )
        if post.body is not None:
            self._chunks = []
            if plain.concerned(traits, post.body):
                return Deferred.fromCoroutine(self._commit_utf8(post))
            return self._delivery.ledger.submit(post)
        assert self._parcel is not None
        return Deferred.fromCoroutine(self._commit_parcel(self._parcel, post))

    async def _commit_utf8(self, post: Post) -> Sequence[Outcome]:
        assert post.body is not None
        try:
            measured = self._delivery.defer_to_thread(plain.of_body, post.body, post.extra)
            post.plain = await measured
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was kept
            return post.refused(_trouble(error))
        return await self._delivery.ledger.submit(post)

    async def _commit_parcel(self, parcel: ParcelStream, post: Post) -> Sequence[Outcome]:
        try:
            post.digest = await parcel.keep()
            if post.flags & (schema.UTF8 | schema.EIGHT_BIT):
                parcels = self._delivery.parcels
                post.plain = await self._delivery.defer_to_thread(
                    plain.of_parcel, parcels, parcel.name, post.extra
                )
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was kept
            parcel.discard()
            return post.refused(_trouble(error))
        post.parcel = parcel.name
        outcomes = await self._delivery.ledger.submit(post)
        if not post.in_doubt and not any(isinstance(each, Delivered) for each in outcomes):
            parcel.discard()  # one in doubt is left to the sweeper, when this process has ended
        return outcomes

    def abort(self) -> None:
        """Forget the draft."""
        if self._done:
            return
        self._done = True
        self._chunks = []
        if self._parcel is not None:
            self._parcel.discard()


def _nothing() -> None:
    """Nobody is told."""


def flags_of(traits: Traits) -> int:
    """What a letter's row keeps of what was seen of it."""
    return (
        schema.EIGHT_BIT * traits.eight_bit
        + schema.UTF8 * traits.utf8
        + schema.NO_FINAL_CRLF * (not traits.final_crlf)
    )


def _trouble(error: Exception) -> TemporaryFailure:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(str(error))
    return TemporaryFailure(str(error))
