"""Warnings: an owner hears in time that the maildrop is nearly full.

It is looked at a few seconds after something was posted or let go of, in a thread; an office without quotas
never looks. At 80 and at 95 per cent a letter is entered in the maildrop itself, whose row bears in the
same transaction that its owner was told. The same again only when it had been well below meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailpost.outcome import TemporaryFailure
from mailpost.store import sql, sql_keeping
from mailpost.store.sqlite import execute_large
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from mailpost.envelope import Report
    from mailpost.store.delivery import Delivery
    from mailpost.store.ledger import Ledger
    from mailpost.store.posting import Post
    from mailpost.store.readers import Readers

LEVELS = (95, 80)  # per cent
MARGIN = 5  # per cent below a level, from which on it can be reached again
SOON = 5.0  # seconds from a posting to the look


class Filling(NamedTuple):
    """A maildrop that is nearly full.

    :ivar name: the account's.
    :ivar held: octets in it.
    :ivar quota: octets that it may hold.
    :ivar level: per cent that it has reached, one of :data:`LEVELS`; 0: none of them.
    :ivar warned: of how many its owner has been told.
    """

    name: str
    maildrop: int
    held: int
    quota: int
    level: int
    warned: int

    @property
    def percent(self) -> int:
        """How full it is."""
        return self.held * 100 // self.quota if self.quota else 0

    @property
    def calm(self) -> bool:
        """Whether it has fallen below what its owner was told of."""
        return self.level < self.warned and self.percent < self.warned - MARGIN


def filling(db: apsw.Connection, default: int) -> list[Filling]:
    """The maildrops whose owners are to be told something, or were told.

    :param default: octets that a maildrop may hold which has no quota of its own.
    """
    rows: list[Any] = db.execute(sql_keeping.FILLING, (default,) * 3).fetchall()
    found = [
        Filling(name, maildrop, held, quota, 0, warned)
        for name, maildrop, held, quota, warned in rows
    ]
    return [
        one._replace(level=next((level for level in LEVELS if one.percent >= level), 0))
        for one in found
    ]


class Warnings:
    """Looks at how full maildrops are, and has their owners told.

    :ivar write: writes the letter that tells it; None: nobody is told.
    """

    log = Logger()

    def __init__(
        self, *, clock: IReactorTime, ledger: Ledger, readers: Readers, delivery: Delivery
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._readers = readers
        self._delivery = delivery
        self._call: IDelayedCall | None = None
        self._looking = False
        self._again = False
        self._running = False
        self.write: Callable[[Filling, float], Report] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._running = True
        self.look_soon()

    def stop(self) -> None:
        """Look no more. Harmless when repeated."""
        self._running = False
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def look_soon(self) -> None:
        """Something was posted, or let go of."""
        if self._looking:
            self._again = True
        elif self._call is None and self._running and self._delivery.quotas.any:
            self._call = self._clock.callLater(SOON, self._look)

    def _look(self) -> None:
        self._call = None
        self._looking = True
        Deferred.fromCoroutine(self._tell()).addErrback(self._failed).addBoth(self._rest)

    def _failed(self, failure: Any) -> None:
        if failure.check(TemporaryFailure):
            self.log.info("nobody is warned just now: {why}", why=failure.getErrorMessage())
        else:
            self.log.failure("nobody is warned, for a reason of ours", failure)

    def _rest(self, _: object) -> None:
        self._looking = False
        if self._again:
            self._again = False
            self.look_soon()

    async def _tell(self) -> None:
        for one in await self._readers.defer(filling, self._delivery.quotas.default):
            if one.calm:
                await self._ledger.submit(Calm(one.maildrop, one.level))
            elif one.level > one.warned and self.write is not None:
                now = self._clock.seconds()
                post = self._delivery.written(self.write(one, now), int(now))
                if await self._ledger.submit(Warn(one.maildrop, one.level, post)):
                    self.log.info(
                        "{user} is told that the maildrop is {percent} per cent full",
                        user=one.name,
                        percent=one.percent,
                    )


class Warn(Operation[bool]):
    """Enter a warning, unless its owner was told meanwhile; whether it was entered."""

    __slots__ = ("level", "maildrop", "post")

    def __init__(self, maildrop: int, level: int, post: Post) -> None:
        self.maildrop = maildrop
        self.level = level
        self.post = post

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Warn]) -> Sequence[bool]:
        """One after the other."""
        return [warning.one(db) for warning in operations]

    def one(self, db: apsw.Connection) -> bool:
        """The maildrop's row, and the letter."""
        db.execute(sql_keeping.WARN, (self.level, self.maildrop, self.level))
        if not db.changes():
            return False
        values: list[object] = []
        self.post.enter(db, values)
        sql.each(partial(execute_large, db), sql.POST, values)
        return True


class Calm(Operation[None]):
    """Note that a maildrop has fallen below what its owner was told of."""

    __slots__ = ("level", "maildrop")

    def __init__(self, maildrop: int, level: int) -> None:
        self.maildrop = maildrop
        self.level = level

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Calm]) -> Sequence[None]:
        """One row each."""
        for calm in operations:
            db.execute(sql_keeping.CALM, (calm.level, calm.maildrop, calm.level))
        return [None] * len(operations)
