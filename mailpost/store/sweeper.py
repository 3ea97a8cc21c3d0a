"""The sweeper: takes away letters that every view has let go of, and gives the disk back.

A session's QUIT moves a cursor, no more; what it left below is taken away here, in small slices through
the ledger, so that no letter waits long behind one. It goes into the bin, where there is one. Then unused
pages of the database go back to the system, except for some that the next letters will fill. What another
process, a crash or ``mailpost user remove`` left is looked for at the start and once an hour, and so are
views that have lapsed, bans that are over, and letters that were kept for long enough, in a maildrop or in
the bin.

While a backup is written parcels stay: it may be of a moment at which a letter named them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailpost.outcome import TemporaryFailure
from mailpost.store import sql
from mailpost.store.bans import Forget
from mailpost.store.expiring import Expire, Overdue, portion, retentions
from mailpost.store.lapsing import STEADY, Lapse
from mailpost.store.locks import BACKUP
from mailpost.store.taking import Empty, GiveBack, Take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from mailpost.retention import Retention
    from mailpost.store.ledger import Ledger
    from mailpost.store.locks import LockFile
    from mailpost.store.parcels import Parcels
    from mailpost.store.policy import Policy
    from mailpost.store.readers import Readers
    from mailpost.store.space import Space

SOON = 1.0  # seconds from a QUIT to the broom, so that one sweep serves several
PAUSE = 0.01  # seconds between slices
SLICE = 128  # letters in a slice
PAGES = 128  # pages given back in a slice
AGAIN = 3600.0  # seconds from one search for litter to the next
LATER = 30.0  # seconds to wait after something went wrong
SHOWN = 0.25  # seconds until what was given back is seen to be free
KEEP_PAGES = 4096  # unused pages kept for the next letters: 16 MiB
KEEP_SHARE = 8  # or one page of so many, where that is more


class Sweeper:
    """Sweeps one store.

    :param in_thread: runs a callable in some thread; a Deferred of its result.
    """

    log = Logger()

    def __init__(
        self,
        *,
        clock: IReactorTime,
        ledger: Ledger,
        readers: Readers,
        parcels: Parcels,
        locks: LockFile,
        space: Space,
        in_thread: Callable[..., Deferred[Any]],
        policy: Policy,
    ) -> None:
        self._clock = clock
        self._lapse = policy.lapse
        self._bin_keeps = policy.bin_keeps
        self._retention = policy.retention
        self._ledger = ledger
        self._readers = readers
        self._parcels = parcels
        self._locks = locks
        self._space = space
        self._in_thread = in_thread
        self._littered: set[int] = set()
        self._call: IDelayedCall | None = None
        self._search: IDelayedCall | None = None
        self._sweeping: Deferred[None] | None = None
        self._running = False
        self._overdue = False  # a search, since a sweep was under way
        self._short = False  # of disk, likewise
        self._vain = float("-inf")  # when the bin was found to be empty
        self._late: list[str] = []  # parcels that nobody names, and that a backup may need

    def start(self) -> None:
        """Look for what was left, and sweep from now on."""
        self._running = True
        self._look_again()

    def let_go(self, maildrop: int) -> None:
        """Letters of this maildrop were let go of."""
        self._littered.add(maildrop)
        self._plan(SOON)

    def search(self) -> None:
        """Look for what another process has left."""
        if self._sweeping is not None:
            self._overdue = True
        elif self._running:
            self._begin(self._look())

    def make_room(self) -> None:
        """The disk is short: empty the bin until as much as the reserve is free above it."""
        if self._clock.seconds() - self._vain < LATER:
            return
        if self._sweeping is not None:
            self._short = True
        elif self._running:
            self._begin(self._make_room())

    def stop(self) -> None:
        """Stop after the slice that is being swept. Harmless when repeated."""
        self._running = False
        for call in (self._call, self._search):
            if call is not None and call.active():
                call.cancel()

    def _plan(self, delay: float) -> None:
        if self._running and self._sweeping is None and self._call is None:
            self._call = self._clock.callLater(delay, self._wake)

    def _wake(self) -> None:
        self._call = None
        self._begin(self._sweep())

    def _begin(self, work: Any) -> None:
        if self._sweeping is not None:
            work.close()
            return
        self._sweeping = sweeping = Deferred.fromCoroutine(work)
        sweeping.addErrback(self._failed).addBoth(self._rest)

    def _rest(self, _: object) -> None:
        self._sweeping = None
        if self._short and self._running:
            self._short = False
            self._begin(self._make_room())
        elif self._overdue and self._running:
            self._overdue = False
            self._begin(self._look())
        elif self._littered:
            self._plan(SOON)
        elif self._late:
            self._plan(LATER)

    def _failed(self, failure: Any) -> None:
        if failure.check(TemporaryFailure):
            self.log.info("the sweeper will try again: {why}", why=failure.getErrorMessage())
        else:
            self.log.failure("the sweeper failed and will try again", failure)
        if self._running:
            self._call = self._clock.callLater(LATER, self._wake)

    def _look_again(self) -> None:
        self._search = self._clock.callLater(AGAIN, self._look_again)
        self.search()

    async def _look(self) -> None:
        now = int(self._clock.seconds())
        believed = await self._ledger.submit(Lapse(now, self._lapse)) >= STEADY
        await self._ledger.submit(Forget(now))
        await self._in_thread(self.remove_orphans)
        if believed:
            await self._expire(now)
        before = now - self._bin_keeps if self._bin_keeps else None
        if believed or before is None:
            while self._running and await self._empty(before) == SLICE:
                await self._pause()
        self._littered.update(await self._readers.defer(_littered))
        await self._sweep()

    async def _expire(self, now: int) -> None:
        """Take out what no retention keeps any more."""
        for maildrop, retention in await self._readers.defer(retentions, self._retention):
            letters = 0
            above: int | None = 0
            while self._running and above is not None:
                found, above = await self._readers.defer(portion, maildrop, retention, now, above)
                for start in range(0, len(found), SLICE):
                    some = found[start : start + SLICE]
                    letters += await self._expire_some(maildrop, retention, now, some)
                    await self._pause()
            if letters:
                self.log.info(
                    "{letters} letters of maildrop {maildrop} were kept for long enough: {retention}",
                    letters=letters,
                    maildrop=maildrop,
                    retention=str(retention),
                )

    async def _expire_some(
        self, maildrop: int, retention: Retention, now: int, found: Sequence[Overdue]
    ) -> int:
        to_bin = now if self._bin_keeps else None
        taken = await self._ledger.submit(Expire(maildrop, retention, now, found, to_bin))
        if taken.parcels:
            await self._in_thread(self._remove, taken.parcels)
        return taken.letters

    async def _sweep(self) -> None:
        if self._late:
            late, self._late = self._late, []
            await self._in_thread(self._remove, late)
        while self._littered and self._running:
            maildrop = min(self._littered)
            gone = int(self._clock.seconds()) if self._bin_keeps else None
            taken = await self._ledger.submit(Take(maildrop, SLICE, gone))
            if taken.letters < SLICE:
                self._littered.discard(maildrop)
            if taken.letters:
                self._vain = float("-inf")  # there is something in the bin again
            if taken.parcels:
                await self._in_thread(self._remove, taken.parcels)
            await self._pause()
        await self._give_back()

    async def _give_back(self) -> None:
        while self._running:
            least = (0, 0) if not self._space.enough() else (KEEP_PAGES, KEEP_SHARE)
            if not await self._ledger.submit(GiveBack(PAGES, *least)):
                return
            self._ledger.shorten_log()
            await self._pause()

    async def _empty(self, before: int | None) -> int:
        """Take a slice out of the bin."""
        emptied = await self._ledger.submit(Empty(before, SLICE))
        if emptied.parcels:
            await self._in_thread(self._remove, emptied.parcels)
        return emptied.letters

    async def _make_room(self) -> None:
        letters = 0
        try:
            while self._running and not self._space.ample():
                some = await self._empty(None)
                letters += some
                if (
                    not some or self._late
                ):  # empty; or nothing can be removed as long as a backup is written
                    self._vain = self._clock.seconds()
                    break
                await self._give_back()
                await self._pause(SHOWN)
        finally:  # also told if the disk is so full that it ended in a failure
            if letters:
                self.log.warn(
                    "the disk is short: {letters} letters were taken out of the bin early",
                    letters=letters,
                )
        await self._sweep()

    def _pause(self, seconds: float = PAUSE) -> Deferred[None]:
        pause: Deferred[None] = Deferred()
        self._call = self._clock.callLater(seconds, self._go_on, pause)
        return pause

    def _go_on(self, pause: Deferred[None]) -> None:
        self._call = None
        pause.callback(None)

    def _remove(self, names: list[str]) -> None:
        # A backup that begins after this look is of a later moment, at which nobody named these any more.
        if self._locks.taken(BACKUP):
            self._late += names
            return
        for name in names:
            self._parcels.remove(name)

    def remove_orphans(self) -> list[str]:
        """Remove the parcels of dead processes that no letter names. Blocks; which they were."""
        left = [
            name for name in self._parcels.names() if not self._locks.alive(name.partition("-")[0])
        ]
        named = self._readers.call(_named, left)
        orphans = [name for name in left if name not in named]
        self._remove(orphans)
        return orphans


def _littered(db: apsw.Connection) -> list[int]:
    found: list[int] = sql.told(db, sql.LITTERED)
    return found


def _named(db: apsw.Connection, names: list[str]) -> set[str]:
    named: set[str] = set()
    for start, end in sql.portions(len(names)):
        statement = sql.times(sql.NAMED_PARCELS, end - start)
        named.update(sql.told(db, statement, names[start:end]))
    return named
