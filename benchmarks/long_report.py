"""What a long run has shown: which quantities are flat, as a table and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.report import columns
from benchmarks.trends import BLOCKS, WARM_UP, Limit, Trend, Verdict, trend
from mailpost.store.sqlite import LOG_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.long_run import Course

MEGABYTE = 1e6


@dataclass(frozen=True)
class Quantity:
    """How a quantity is shown, and what it may grow in half an hour."""

    title: str
    unit: str
    scale: float
    digits: int
    limit: Limit

    def show(self, value: float, sign: str = "") -> str:
        """Write a value without its unit."""
        return f"{value / self.scale:{sign},.{self.digits}f}"


def _milliseconds(title: str, absolute: float, share: float) -> Quantity:
    return Quantity(title, "ms", 1e-3, 1, Limit(absolute, share))


QUANTITIES = {
    "rss": Quantity("memory of process", "MB", MEGABYTE, 2, Limit(MEGABYTE)),
    "descriptors": Quantity("descriptors of process", "", 1, 0, Limit(2)),
    "database": Quantity("database", "MB", MEGABYTE, 2, Limit(MEGABYTE)),
    "wal": Quantity("write-ahead log", "MB", MEGABYTE, 2, Limit(MEGABYTE, bound=LOG_LIMIT)),
    "parcels": Quantity("parcels", "MB", MEGABYTE, 2, Limit(MEGABYTE, 0.25)),
    "letters": Quantity("letters in the store", "", 1, 0, Limit(50, 0.25)),
    "250 p50": _milliseconds("p50 of the 250", 1e-3, 0.25),
    "250 p99": _milliseconds("p99 of the 250", 5e-3, 0.5),
    "250 max": _milliseconds("longest 250", 20e-3, 1),
    "session p50": _milliseconds("p50 of a session", 2e-3, 0.25),
    "session p99": _milliseconds("p99 of a session", 10e-3, 0.5),
    "session max": _milliseconds("longest session", 40e-3, 1),
}
"""By the name of its samples, for a process without its number."""

EXPLANATION = f"""\
Begin, middle, end: medians of a tenth of the samples each. Growth: of a line through the medians of
{BLOCKS} blocks, the first {WARM_UP:.0%} of the time left out; the true one is within the +- with
a probability of 95 per cent. Flat is what grows by less than its limit in half an hour even if it is the
most that is likely. The write-ahead log keeps its greatest size, and is bounded up to
{LOG_LIMIT >> 20} MiB. The office keeps nothing that was collected (bin = 0, no retention). Latency is from
when a letter was due."""


def quantity(name: str) -> Quantity:
    """Find it by the name of its samples."""
    return QUANTITIES[name if name in QUANTITIES else name.rsplit(" ", 1)[0]]


def titled(name: str) -> str:
    """Say what it is, for a process with its number."""
    return quantity(name).title + ("" if name in QUANTITIES else f" {name.rpartition(' ')[2]}")


def trends(course: Course) -> dict[str, Trend]:
    """Fit a line to every quantity.

    :raises ValueError: the run was too short for it.
    """
    return {
        name: trend(times, values, quantity(name).limit)
        for name, (times, values) in course.samples.items()
    }


def is_flat(course: Course, found: Mapping[str, Trend]) -> bool:
    """Whether the run came to its end, and everything is flat."""
    return course.failure is None and all(
        one.verdict in (Verdict.FLAT, Verdict.BOUNDED) for one in found.values()
    )


def table(course: Course, found: Mapping[str, Trend], machine: str) -> str:
    """Draw it."""
    lines = [["what", "", "begin", "middle", "end", "growth in 30 min", "limit", ""]]
    for name, one in found.items():
        what = quantity(name)
        growth = f"{what.show(one.growth, '+')} +- {what.show(one.error)}"
        shown = [what.show(value) for value in (one.begin, one.middle, one.end)]
        lines.append(
            [titled(name), what.unit, *shown, growth, what.show(one.limit), one.verdict.value]
        )
    pace = (
        f"{course.pace:,.0f} letters a second, half of the {course.capacity:,.0f} that were taken as "
        f"fast as they came; {course.accepted:,} were accepted, {course.collected:,} collected."
    )
    parts = [
        columns(lines),
        *filter(None, [course.failure and f"It ended early: {course.failure}"]),
    ]
    parts += [textwrap.fill(part, 100) for part in (pace, " ".join(EXPLANATION.split()), machine)]
    return "\n\n".join(parts)


def as_data(
    course: Course, found: Mapping[str, Trend], machine: Mapping[str, str]
) -> dict[str, Any]:
    """Give all of it, in base units, for JSON."""
    return {
        "machine": dict(machine),
        "long_run": {
            **{name: value for name, value in asdict(course).items() if name != "samples"},
            "quantities": {
                name: {
                    "unit": quantity(name).unit,
                    "times": times,
                    "values": values,
                    **(
                        asdict(found[name]) | {"verdict": found[name].verdict.value}
                        if name in found
                        else {}
                    ),
                }
                for name, (times, values) in course.samples.items()
            },
        },
    }
