"""Pictures of the table: ratios with their targets, rates, processor time, latency, memory."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.canvas import (
    GREY,
    INK,
    OURS,
    OURS_LIGHT,
    SHORT,
    THEIRS,
    figure,
    figures,
    logarithmic,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.plots import Data

Row = dict[str, Any]
BAR = 0.36  # of the distance between two rows
INCHES_PER_ROW = 0.42
ROOM_FOR_FIGURE = 1.7  # of the axis, from the end of a bar on
DENSE = 300  # spanned by an axis on which 2 and 5 have a label, too


def ratios(data: Data) -> Figure | None:
    """How many times better, by rate and by processor time, with a line at each target."""
    rows = [row for row in data.get("rows", ()) if row["better"] or row["cpu_better"]]
    if not rows:
        return None
    ours, theirs = data["systems"]
    drawn = figure(data, f"How many times better: {ours} beside {theirs}", _height(rows))
    axes = drawn.add_subplot()
    for place, row in enumerate(rows):
        targets = {target["kind"]: target for target in row["targets"]}
        _ratio(axes, place - BAR / 2, row["better"], OURS, targets.get("ratio"))
        _ratio(axes, place + BAR / 2, row["cpu_better"], OURS_LIGHT, targets.get("cpu ratio"))
    axes.axvline(1, color=INK, linewidth=1.2)
    shown = [row[kind] for row in rows for kind in ("better", "cpu_better") if row[kind]]
    shown += [target["bound"] for row in rows for target in row["targets"]]
    _log(axes, [1.0, *shown], 1.5)
    _titles(axes, rows)
    axes.set_xlabel(
        "times better (logarithmic): more per second, or less time, memory, CPU", size=9
    )
    axes.barh([0], [0], color=OURS, label="rate, time or memory")
    axes.barh([0], [0], color=OURS_LIGHT, label="processor time")
    axes.plot([], [], color=SHORT, linewidth=2.5, label="target")
    axes.plot([], [], color=INK, linewidth=1.2, label="1: as good")
    _legend(axes)
    return drawn


def _ratio(
    axes: Axes, place: float, reached: float | None, colour: str, target: Row | None
) -> None:
    if reached is None:
        return
    axes.barh(place, reached - 1, BAR, left=1, color=colour)
    said = f"{figures(reached)}x"
    end = max(reached, 1.0)
    colour = INK
    if target is not None:
        bound = target["bound"]
        axes.plot([bound, bound], [place - BAR / 2, place + BAR / 2], color=SHORT, linewidth=2.5)
        if target["met"]:
            said += f"  (target {bound:g}x)"
        else:
            colour = SHORT
            if bound / end > ROOM_FOR_FIGURE:
                axes.text(bound * 1.03, place, f"{bound:g}x", va="center", size=8, color=SHORT)
            else:  # the target's line would go through the figure
                end = bound
                said += f"  (target {bound:g}x)"
    axes.text(end * 1.03, place, said, va="center", size=8, color=colour)


def letters(data: Data) -> Figure | None:
    """Letters a second of each system."""
    return _rates(data, "Letters a second, durable and in the maildrop", "letters/s", letter=True)


def collecting(data: Data) -> Figure | None:
    """Sessions, handshakes and RETR a second of each system."""
    return _rates(data, "Sessions, handshakes and RETR a second", "per second", letter=False)


def _rates(data: Data, title: str, label: str, *, letter: bool) -> Figure | None:
    rows = [
        row
        for row in data.get("rows", ())
        if row["unit"] == "/s" and (row["cpu_per"] == "letter") is letter
    ]
    return _both(data, rows, title, label, lambda row, system: row["median"][system])


def processor(data: Data) -> Figure | None:
    """Processor time per letter, session or RETR of each system."""

    def spent(row: Row, system: str) -> float | None:
        seconds: float | None = row["median_cpu"][system]
        return seconds and seconds * 1e6

    rows = [row for row in data.get("rows", ()) if any(row["median_cpu"].values())]
    title = "Processor time of all the servers' processes"
    return _both(data, rows, title, "µs per letter, session, login, handshake or RETR", spent)


def memory(data: Data) -> Figure | None:
    """Memory of a session of each system."""
    rows = [row for row in data.get("rows", ()) if row["unit"] == "KB"]
    return _both(
        data,
        rows,
        "Memory of a session that has logged in and is silent",
        "KB (proportional set size)",
        lambda row, system: row["median"][system] and row["median"][system] / 1e3,
    )


def _both(
    data: Data,
    rows: Sequence[Row],
    title: str,
    label: str,
    value: Callable[[Row, str], float | None],
) -> Figure | None:
    """Draw a bar of each system for every row."""
    rows = [row for row in rows if any(value(row, system) for system in data["systems"])]
    if not rows:
        return None
    drawn = figure(data, title, _height(rows))
    axes = drawn.add_subplot()
    shown = [amount for row in rows for name in data["systems"] if (amount := value(row, name))]
    least = min(shown)
    for number, (system, colour) in enumerate(zip(data["systems"], (OURS, THEIRS), strict=False)):
        shift = (number - (len(data["systems"]) - 1) / 2) * BAR
        axes.barh([0], [0], color=colour, label=system)
        for place, row in enumerate(rows):
            if (amount := value(row, system)) is None:
                axes.text(least, place + shift, "not measured", va="center", size=8, color=SHORT)
                continue
            axes.barh(place + shift, amount, BAR, color=colour)
            axes.text(amount * 1.03, place + shift, figures(amount), va="center", size=8)
    _log(axes, shown, 1.5)
    _titles(axes, rows)
    axes.set_xlabel(f"{label} (logarithmic)", size=9)
    _legend(axes)
    return drawn


PERCENTILES = ("p50", "p90", "p99", "max")


def latency(data: Data) -> Figure | None:
    """How long a 250 takes, from half of the letters to the slowest."""
    found = [row for row in data.get("rows", ()) if row["name"] == "latency-p99"]
    if not found:
        return None
    (row,) = found
    title = f"How long a sender waits for the 250 at {row['title'].partition(' at ')[2]}"
    drawn = figure(data, title, 4.2)
    axes = drawn.add_subplot()
    systems = [name for name in data["systems"] if row["samples"].get(name)]
    for number, system in enumerate(systems):
        samples = [sample["details"] for sample in row["samples"][system]]
        times = [median(one[part] for one in samples) * 1e3 for part in PERCENTILES]
        shift = (number - (len(systems) - 1) / 2) * BAR
        places = [place + shift for place in range(len(PERCENTILES))]
        axes.bar(places, times, BAR, color=(OURS, THEIRS)[number], label=system)
        for place, time in zip(places, times, strict=True):
            axes.text(place, time * 1.05, figures(time), ha="center", va="bottom", size=9)
    axes.set_yscale("log")
    logarithmic(axes.yaxis)
    axes.set_xticks(
        range(len(PERCENTILES)), ["half (p50)", "9 of 10 (p90)", "99 of 100", "slowest"]
    )
    axes.set_ylabel("milliseconds (logarithmic), medians of the rounds", size=9)
    axes.margins(y=0.15)
    tidy(axes, "y")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return drawn


def _height(rows: Sequence[Row]) -> float:
    return max(1.6, INCHES_PER_ROW * len(rows) + 0.9)


def _log(axes: Axes, values: Sequence[float], room: float) -> None:
    """Set the axis from below the least to above the greatest, with room for what is written there."""
    axes.set_xscale("log")
    least, greatest = min(values), max(values)
    axes.set_xlim(least * 0.7, greatest * max(room, (greatest / least) ** 0.16))
    logarithmic(axes.xaxis, sparse=greatest / least > DENSE)


def _titles(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    tidy(axes, "x")


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor=GREY,
    )


PICTURES: dict[str, Callable[[Data], Figure | None]] = {
    "ratios": ratios,
    "letters": letters,
    "collecting": collecting,
    "processor": processor,
    "latency": latency,
    "memory": memory,
}
