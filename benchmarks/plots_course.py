"""Pictures of what changes along the way: a store that grows, and a long run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.canvas import GREY, INK, SERIES, SHORT, figure, legend_below, logarithmic, tidy
from benchmarks.long_report import quantity, titled
from benchmarks.trends import HALF_AN_HOUR, WARM_UP, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.plots import Data

GROWN = {
    "letter": "a letter into an empty maildrop",
    "full": "a letter into the maildrop with half of all",
    "rcpt": "RCPT",
}


def growth(data: Data) -> Figure | None:
    """Time per letter and per RCPT against the size of the store."""
    rows = [row for row in data.get("rows", ()) if row["name"].startswith("growth-")]
    if not rows:
        return None
    drawn = figure(data, "What a letter costs in a store that grows", 4.4, legend=0.5)
    cpu, wall = drawn.subplots(1, 2)
    for kind, colour in zip(GROWN, SERIES, strict=False):
        these = [row for row in rows if row["name"].startswith(f"growth-{kind}-")]
        sizes = [int(row["name"].rpartition("-")[2]) for row in these]
        for system, line in zip(data["systems"], ("-", ":"), strict=False):
            label = f"{GROWN[kind]}, {system}"
            style = {"color": colour, "linestyle": line, "marker": "o", "markersize": 4}
            spent = [[s["cpu"] * 1e6 for s in row["samples"].get(system, ())] for row in these]
            taken = [
                [_microseconds(row, s["value"]) for s in row["samples"].get(system, ())]
                for row in these
            ]
            for axes, samples in ((cpu, spent), (wall, taken)):
                _line(axes, sizes, samples, style, label)
    for axes, what in ((cpu, "processor time"), (wall, "time at full load")):
        axes.set_title(f"{what}, µs: medians, and the least and the most", size=10, color=INK)
        axes.set_xscale("log")
        axes.set_xticks(sorted({int(row["name"].rpartition("-")[2]) for row in rows}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("letters in the store (logarithmic)", size=9)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.08)
        tidy(axes, "y")
    legend_below(drawn, cpu, 3)
    return drawn


def _microseconds(row: dict[str, Any], value: float) -> float:
    """Rows of letters count them by the second, rows of RCPT its time."""
    return 1e6 * (1 / value if row["more_is_better"] else value)


def _line(
    axes: Axes,
    sizes: Sequence[int],
    samples: Sequence[Sequence[float]],
    style: dict[str, Any],
    label: str,
) -> None:
    known = [(size, sorted(some)) for size, some in zip(sizes, samples, strict=True) if some]
    if not known:
        return
    x = [size for size, _ in known]
    axes.plot(x, [some[len(some) // 2] for _, some in known], label=label, **style)
    if style["linestyle"] == "-":
        least, most = [some[0] for _, some in known], [some[-1] for _, some in known]
        axes.fill_between(x, least, most, color=style["color"], alpha=0.12, linewidth=0)


PANELS = (
    ("memory of each process", ("rss",)),
    ("descriptors of each process", ("descriptors",)),
    ("files", ("database", "wal", "parcels")),
    ("letters in the store", ("letters",)),
    ("time to the 250", ("250",)),
    ("time of a session", ("session",)),
)


def long_run(data: Data) -> Figure | None:
    """Every quantity of a long run along its time, with its line and what is said of it."""
    if "long_run" not in data:
        return None
    run = data["long_run"]
    title = f"A long run at {run['pace']:,.0f} letters a second, half of what it can carry"
    drawn = figure(data, title, 10.5)
    panels = drawn.subplots(3, 2)
    for axes, (what, kinds) in zip(panels.flat, PANELS, strict=True):
        found = [name for name in run["quantities"] if name.startswith(kinds)]
        for name, colour in zip(found, SERIES, strict=False):
            _course(axes, name, run["quantities"][name], colour)
        unit = quantity(found[0]).unit if found else ""
        # Above the legend, which has a line for each course.
        room = 8 + 13 * len(found)
        title = f"{what}, {unit}".rstrip(", ")
        axes.set_title(title, size=10, weight="bold", color=INK, loc="left", pad=room)
        axes.set_xlabel("minutes", size=9)
        if what.startswith("time"):
            axes.set_yscale("log")
            logarithmic(axes.yaxis)
        else:
            low, high = axes.get_ylim()
            middle, half = (low + high) / 2, max((high - low) / 2, 0.05 * abs(high))
            axes.set_ylim(max(0.0, middle - half), middle + half)
        axes.margins(x=0.01)
        tidy(axes, "y")
        axes.legend(
            frameon=False,
            fontsize=8,
            labelcolor=GREY,
            loc="lower left",
            bbox_to_anchor=(-0.02, 1),
            borderaxespad=0.1,
        )
    return drawn


def _course(axes: Axes, name: str, course: dict[str, Any], colour: str) -> None:
    what = quantity(name)
    minutes = [at / 60 for at in course["times"]]
    values = [value / what.scale for value in course["values"]]
    label = titled(name)
    if "verdict" in course:
        growth = f"{what.show(course['growth'], '+')} ± {what.show(course['error'])}"
        label += f": {growth} {what.unit} in 30 min, {course['verdict']}".replace("  ", " ")
    axes.plot(minutes, values, color=colour, linewidth=1, alpha=0.75, label=label)
    if "growth" in course and not name.startswith(("250", "session")):
        kept = [(at, value) for at, value in zip(minutes, values, strict=True)][
            int(len(minutes) * WARM_UP) :
        ]
        middle = sorted(value for _, value in kept)[len(kept) // 2]
        centre = (kept[0][0] + kept[-1][0]) / 2
        slope = course["growth"] / what.scale / (HALF_AN_HOUR / 60)
        ends = [kept[0][0], kept[-1][0]]
        rising = SHORT if course["verdict"] == Verdict.GROWS.value else INK
        axes.plot(ends, [middle + slope * (at - centre) for at in ends], color=rising,
                  linewidth=1.2, linestyle="--")  # fmt: skip


PICTURES: dict[str, Callable[[Data], Figure | None]] = {"growth": growth, "long-run": long_run}
