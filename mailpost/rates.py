"""How often: at most so many within a time, for each of many; and lines that are logged seldom.

Used for connections of an address and for letters of an account. What is remembered is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

SLICES = 12
ROOM = 10_000
"""How many are remembered; whoever has taken nothing for the longest time gives way."""


COMPLAINT_SECONDS = 60.0
"""One line in the log for as long: a stranger who tries a thousand times fills no disk."""


class Seldom:
    """Says when it is time for a line of a kind in the log.

    :param clock: its ``seconds()`` are taken.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last: float | None = None
        self._unsaid = 0

    def time(self) -> int | None:
        """Give how many were kept back since the last line, where it is time for one; None: keep it back."""
        now = self._clock.seconds()
        if self._last is not None and 0 <= now - self._last < COMPLAINT_SECONDS:
            self._unsaid += 1
            return None
        unsaid, self._unsaid, self._last = self._unsaid, 0, now
        return unsaid


class Rates:
    """Counts what each has taken, and says when that is as much as may be.

    Time is cut into slices, and what was taken in one counts until all of it was longer ago than the
    period. So nobody takes more than ``most`` within any period, and a place is free again after thirteen
    twelfths of it at the latest.

    :param clock: its ``seconds()`` are taken.
    :param most: 0: as much as they like.
    :param seconds: the period.
    :param exceeded: told who wanted more, once in a period.
    """

    def __init__(
        self, clock: IReactorTime, most: int, seconds: float, exceeded: Callable[[str], object]
    ) -> None:
        self._clock = clock
        self.most = most
        self._slice = seconds / SLICES
        self._exceeded = exceeded
        self._taken: OrderedDict[str, _Taken] = OrderedDict()

    def __len__(self) -> int:
        return len(self._taken)

    def may(self, who: str) -> bool:
        """Whether one more may be taken. It is not taken by that."""
        if not self.most:
            return True
        taken = self._taken.get(who)
        if taken is None:
            return True
        now = self._now()
        if taken.lately(now) < self.most:
            return True
        if taken.tell(now):
            self._exceeded(who)
        return False

    def take(self, who: str) -> bool:
        """Take one, if one more may be; whether it was taken."""
        if not self.may(who):
            return False
        if self.most:
            taken = self._taken.get(who)
            if taken is None:
                taken = self._taken[who] = _Taken()
                if len(self._taken) > ROOM:
                    self._taken.popitem(last=False)
            self._taken.move_to_end(who)
            taken.add(self._now())
        return True

    def _now(self) -> int:
        return int(self._clock.seconds() // self._slice)


class _Taken:
    """What one has taken: how many in which slice, the oldest first."""

    __slots__ = ("_counts", "_told", "_total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0
        self._told: int | None = None

    def lately(self, now: int) -> int:
        """How many in the slices that count; what came before is forgotten."""
        counts = self._counts
        if (
            counts and next(reversed(counts)) > now
        ):  # the clock was put back: nobody is to wait for that
            counts.clear()
            self._total, self._told = 0, None
        while counts and (first := next(iter(counts))) < now - SLICES:
            self._total -= counts.pop(first)
        return self._total

    def tell(self, now: int) -> bool:
        """Whether it is to be told that they wanted more: once in a period."""
        if self._told is not None and self._told >= now - SLICES:
            return False
        self._told = now
        return True

    def add(self, now: int) -> None:
        """One more."""
        self._counts[now] = self._counts.get(now, 0) + 1
        self._total += 1
