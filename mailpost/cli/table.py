"""Tables for people: one look for every list that a command prints, and the words that stand in it.

Numbers stand to the right, all else to the left; the last column is cut where a terminal is too narrow
for it. Whatever comes from outside is made harmless first: a subject may hold what a terminal obeys.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mailpost.sizes import size

__all__ = [
    "GAP",
    "columns",
    "counted",
    "cut",
    "day",
    "harmless",
    "lasting",
    "minute",
    "moment",
    "show",
    "size",
    "table",
]

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = "  "
_LEAST = 6  # columns that the last one keeps, however narrow the terminal
_DAY, _HOUR, _MINUTE = 86_400, 3600, 60


def show(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; where standard output is a terminal, no wider than that."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(table(heads, rows, width))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], width: int | None = None) -> str:
    """Lay out a table.

    :param rows: whole numbers, text, or None for what there is not.
    :param width: columns of the terminal; None: as wide as need be.
    """
    listed = [list(row) for row in rows]
    right = [any(isinstance(row[n], int) for row in listed) for n in range(len(heads))]
    lines = [list(heads), *[[_cell(one) for one in row] for row in listed]]
    widths = [max(columns(line[n]) for line in lines) for n in range(len(heads))]
    if width is not None:
        taken = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        widths[-1] = max(_LEAST, min(widths[-1], width - taken))
    laid = []
    for line in lines:
        cells = [
            _fill(cut(text, wide), wide, to_the_right=to_right)
            for text, wide, to_right in zip(line, widths, right, strict=True)
        ]
        laid.append(GAP.join(cells).rstrip())
    return "\n".join(laid)


def labelled(label: str, text: str, indent: int = 13) -> None:
    """Print a line that begins with a label; on a terminal it is folded, elsewhere it stays one line."""
    line = f"{label:{indent}}{harmless(text)}"
    if sys.stdout.isatty():
        width = max(indent * 2, shutil.get_terminal_size().columns)
        line = textwrap.fill(line, width, subsequent_indent=" " * indent, break_on_hyphens=False)
    click.echo(line)


def harmless(text: str) -> str:
    """Escape what a terminal might obey, or what would break the line.

    Controls, what turns the direction of writing round, and what cannot be seen are not printable.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_wide, text))


def cut(text: str, width: int) -> str:
    """Cut a text to so many columns; what was cut is shown by an ellipsis."""
    if columns(text) <= width:
        return text
    kept = text[:width]
    while kept and columns(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"


def moment(seconds: float | None) -> str | None:
    """Tell a moment as programs want it: ``2026-05-04T12:30:00Z``; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(seconds: float | None) -> str:
    """Tell the day of a moment, or ``never``."""
    return (moment(seconds) or "never")[:10]


def minute(seconds: float | None) -> str:
    """Tell a moment to the minute, in UTC, or ``never``."""
    return (moment(seconds) or "never")[:16].replace("T", " ")


def lasting(seconds: float) -> str:
    """Tell how long something has lasted: ``3 d 4 h``, ``2 h 5 min``, ``12 s``."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1)):
        amount, left = divmod(left, length)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def counted(number: int, one: str, more: str | None = None) -> str:
    """Say a number with its noun: ``1 letter``, ``2 letters``."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def _wide(character: str) -> int:
    """Columns of one character: a letter of East Asia takes two, what is set upon another none (UAX #11)."""
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cell(value: object) -> str:
    return "-" if value is None else harmless(str(value))


def _fill(text: str, width: int, *, to_the_right: bool) -> str:
    blank = " " * (width - columns(text))
    return blank + text if to_the_right else text + blank
