"""What all pictures have in common: light ground, a title, and the machine and the date below it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Literal

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from benchmarks.plots import Data

OURS, THEIRS, OURS_LIGHT = "#1f5fa8", "#e08e3c", "#8fb7e3"
INK, GREY, RULES, SHORT = "#222222", "#666666", "#dddddd", "#b3261e"
SERIES = (OURS, THEIRS, "#3c8d5a", "#8a56a5")
WIDTH = 11.0  # inches
DPI = 110
TITLE_INCHES, FOOT_INCHES = 0.8, 0.5


def surroundings(data: Data) -> tuple[str, str]:
    """Write two lines: when and on what; and by which programs."""
    machine = data["machine"]
    first = [machine["date"], f"{machine['cores']} cores of {machine['processor']}"]
    first += [machine["memory"], machine["kernel"], machine["file system"]]
    first.append(f"load before {machine['load before']}")
    # One program is named once, though two systems of it were measured.
    programs = "; ".join(dict.fromkeys(machine["programs"].split("; ")))
    second = [machine["python"], programs]
    if "commit" in machine:
        second.append(f"commit {machine['commit']}")
    return " · ".join(first), " · ".join(second)


def figure(data: Data, title: str, height: float, legend: float = 0) -> Figure:
    """Make one with its title and what was measured on.

    :param height: inches of its plots.
    :param legend: inches that are left free for :func:`legend_below`.
    """
    whole = height + TITLE_INCHES + FOOT_INCHES + legend
    drawn = Figure(figsize=(WIDTH, whole), dpi=DPI, facecolor="white")
    room = (0, (FOOT_INCHES + legend) / whole, 1, height / whole)
    drawn.set_layout_engine("constrained", rect=room, h_pad=0.08, w_pad=0.12)
    when, programs = surroundings(data)
    edge = 0.15 / WIDTH
    drawn.text(edge, 1 - 0.16 / whole, title, size=15, weight="bold", color=INK, va="top")
    drawn.text(edge, 1 - 0.52 / whole, when, size=9, color=GREY, va="top")
    foot = textwrap.fill(programs, 150)
    drawn.text(edge, 0.12 / whole, foot, size=8, color=GREY, va="bottom")
    return drawn


def tidy(axes: Axes, along: Literal["x", "y"]) -> None:
    """Leave rules across one direction, and no frame."""
    axes.set_axisbelow(True)
    axes.grid(axis=along, color=RULES, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side in ("top", "right", "left" if along == "x" else "bottom"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(RULES)


def legend_below(drawn: Figure, axes: Axes, columns: int) -> None:
    """Explain the lines of a plot, which all plots share, in the room that was left for it."""
    drawn.legend(
        *axes.get_legend_handles_labels(),
        loc="lower center",
        bbox_to_anchor=(0.5, 0.45 / drawn.get_figheight()),
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=GREY,
    )


def logarithmic(axis: Axis, *, sparse: bool = False) -> None:
    """Label 1, 2 and 5 of each power of ten, or of wide spans 1 alone, with plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1,) if sparse else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def figures(value: float) -> str:
    """Write a number in three figures, or as it is above a thousand."""
    if value >= 100:  # noqa: PLR2004 - three figures
        return f"{value:,.0f}"
    return f"{value:.3g}"
