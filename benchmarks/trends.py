"""Whether a quantity stays as it is while time goes by: a line through its samples, and how sure it is. Pure.

The samples after the warm-up are cut into blocks, and the line goes through the blocks' medians: one
sample that stands out moves no median, and what happens within a block (a sawtooth, a burst of the
machine's other work) is no trend. How far the medians lie from the line says how sure its slope is
(Student's t, 95 per cent).

A quantity is *flat* only if its growth in half an hour is below its limit even at the upper end of what
is likely. So what leaks as much as the limit is not called flat, and what is too noisy to tell is not either.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from math import sqrt
from statistics import fmean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HALF_AN_HOUR = 1800.0
WARM_UP = 0.2
"""The share of a run that the line leaves out: caches and pools fill at first."""

BLOCKS = 12
STUDENT = 2.228  # t of 10 degrees of freedom, 95 per cent on both sides together
TENTH = 10


class Verdict(Enum):
    """What can be said of a quantity."""

    FLAT = "flat"
    BOUNDED = "bounded"  # it may rise, for it stays below what it may be
    GROWS = "GROWS"
    UNSURE = "NOT SURE"  # too noisy, or too short


@dataclass(frozen=True)
class Limit:
    """What a quantity may grow in half an hour: so much, or a share of its median if that is more.

    :ivar bound: what it may always be, however it came there.
    """

    absolute: float
    share: float = 0.0
    bound: float = 0.0


@dataclass(frozen=True)
class Trend:
    """A quantity's way through a run, in its own unit.

    :ivar growth: in half an hour, by the line.
    :ivar error: the true growth is likely within so much of it.
    :ivar limit: what it may grow in half an hour.
    :ivar within: whether it never was beyond what it may always be.
    """

    begin: float
    middle: float
    end: float
    growth: float
    error: float
    limit: float
    within: bool = False

    @property
    def verdict(self) -> Verdict:
        """What follows from growth, error and limit."""
        if self.growth + self.error < self.limit:
            return Verdict.FLAT
        if self.within:
            return Verdict.BOUNDED
        return Verdict.GROWS if self.growth - self.error > 0 else Verdict.UNSURE


def trend(times: Sequence[float], values: Sequence[float], limit: Limit) -> Trend:
    """Fit a line.

    :param times: seconds, in order; as many as ``values``.
    :raises ValueError: there are too few samples for :data:`BLOCKS` blocks.
    """
    count = len(values)
    warm = int(count * WARM_UP)
    kept = range(warm, count)
    if len(kept) < BLOCKS:
        raise ValueError(f"{count} samples are too few")
    bounds = [warm + len(kept) * block // BLOCKS for block in range(BLOCKS + 1)]
    cuts = [slice(start, end) for start, end in pairwise(bounds)]
    growth, error = _line(
        [fmean(times[cut]) / HALF_AN_HOUR for cut in cuts], [median(values[cut]) for cut in cuts]
    )
    tenth = max(1, count // TENTH)
    half = (count - tenth) // 2
    return Trend(
        begin=median(values[:tenth]),
        middle=median(values[half : half + tenth]),
        end=median(values[-tenth:]),
        growth=growth,
        error=error,
        limit=max(limit.absolute, limit.share * abs(median(values))),
        within=max(values) <= limit.bound,
    )


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope by least squares, and how far the true one is likely to be from it."""
    at, of = fmean(x), fmean(y)
    spread = sum((one - at) ** 2 for one in x)
    slope = sum((one - at) * (value - of) for one, value in zip(x, y, strict=True)) / spread
    off = sum((v - of - slope * (one - at)) ** 2 for one, v in zip(x, y, strict=True))
    return slope, STUDENT * sqrt(off / (len(x) - 2) / spread)
