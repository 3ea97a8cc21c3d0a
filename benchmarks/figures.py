"""Numbers as they are compared: samples, medians, and what is better than what. Pure.

Two systems are measured in turn, round by round, and the ratio is the median of the rounds' own
ratios: what disturbs the machine for a while disturbs both sides of a ratio alike. A ratio says
how many times better the first system is, whether more or less of the unit is better; so
above 1 is always good for mailpost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


class Unit(Enum):
    """What a row counts: its name, how many of the base unit make one, whether more is better."""

    PER_SECOND = ("/s", 1.0, True)
    MEGABYTES_PER_SECOND = ("MB/s", 1e6, True)
    MILLISECONDS = ("ms", 1e-3, False)
    MICROSECONDS = ("µs", 1e-6, False)
    KILOBYTES = ("KB", 1e3, False)

    def __init__(self, label: str, scale: float, more_is_better: bool) -> None:  # noqa: FBT001
        self.label = label
        self.scale = scale
        self.more_is_better = more_is_better

    def show(self, value: float | None) -> str:
        """Write a value in three figures or more, with its unit."""
        if value is None:
            return "-"
        scaled = value / self.scale
        digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2  # noqa: PLR2004 - 3 figures
        return f"{scaled:,.{digits}f} {self.label}"


@dataclass(frozen=True)
class Sample:
    """One measurement in base units (seconds, octets, per second).

    ``cpu`` is in seconds of the servers per unit of work; ``details`` go into the JSON only.
    """

    value: float
    cpu: float | None = None
    details: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What the project has promised of a row.

    A ratio must be at least, a value in its unit at most ``bound``.
    """

    kind: Literal["ratio", "cpu ratio", "value"]
    bound: float

    def __str__(self) -> str:
        return {
            "ratio": f"{self.bound:g}x",
            "cpu ratio": f"CPU {self.bound:g}x",
            "value": f"<= {self.bound:g}",
        }[self.kind]


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median of what was measured, or None when nothing was."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ratio(
    ours: Sequence[float | None], theirs: Sequence[float | None], *, more_is_better: bool
) -> float | None:
    """Return the median, over the rounds, of how many times better ours is than theirs."""
    ratios = [
        (a / b if more_is_better else b / a) for a, b in zip(ours, theirs, strict=False) if a and b
    ]
    return median(ratios) if ratios else None


@dataclass
class Result:
    """A row's samples by system, one per round, or the reason why there is none."""

    unit: Unit
    targets: tuple[Target, ...] = ()
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def value(self, system: str) -> float | None:
        """Return the median value of a system."""
        return middle([sample.value for sample in self.samples.get(system, [])])

    def cpu(self, system: str) -> float | None:
        """Return the median processor time per unit of work of a system."""
        return middle([sample.cpu for sample in self.samples.get(system, [])])

    def value_ratio(self, ours: str, theirs: str) -> float | None:
        """Return how many times better the value of ``ours`` is."""
        a, b = ([sample.value for sample in self.samples.get(name, [])] for name in (ours, theirs))
        return ratio(a, b, more_is_better=self.unit.more_is_better)

    def cpu_ratio(self, ours: str, theirs: str) -> float | None:
        """Return how many times less processor time ``ours`` takes."""
        a, b = ([sample.cpu for sample in self.samples.get(name, [])] for name in (ours, theirs))
        return ratio(a, b, more_is_better=False)

    def reached(self, target: Target, ours: str, theirs: str) -> float | None:
        """Return what a target is compared with; None when it was not measured."""
        if target.kind == "value":
            value = self.value(ours)
            return None if value is None else value / self.unit.scale
        compared = self.value_ratio if target.kind == "ratio" else self.cpu_ratio
        return compared(ours, theirs)

    def met(self, target: Target, ours: str, theirs: str) -> bool | None:
        """Say whether a target is met; None when what it needs was not measured."""
        reached = self.reached(target, ours, theirs)
        if reached is None:
            return None
        return reached <= target.bound if target.kind == "value" else reached >= target.bound
