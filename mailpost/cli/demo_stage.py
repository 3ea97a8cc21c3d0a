"""The demonstration's stage: how steps look on a projector, in a terminal, in a file.

Everything is there without colour too: each line of a dialogue begins with who speaks. The colours are
of a middle brightness, with a contrast of more than 4 to 1 on black as well as on white; what is not
coloured is in the terminal's own.
"""

from __future__ import annotations

import textwrap
import time
from itertools import zip_longest
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from mailpost.cli.demo_client import CLIENT, SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.cli.demo_client import Line

_COLOURS = {CLIENT: "color(163)", SERVER: "color(30)"}
_FACT = "color(130)"
_COLUMNS = 78  # of a terminal of 80; a narrower one has fewer
_WIDE = 120  # columns from which on the sentence stands beside the lines
_INDENT = " " * 3
_BREATH = 0.35  # seconds between two steps, where somebody looks on
_LEAVE = {"q", "Q", "\x1b"}
_ASK = "[any key: go on, q: end]"


class Left(Exception):  # noqa: N818 - it names what has happened
    """Whoever looks on has seen enough."""


class Stage:
    """Where the steps are shown.

    :param step: wait for a key between two steps.
    """

    def __init__(self, *, step: bool) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._columns = min(_COLUMNS, self._console.width - 2)
        self._step = step
        self._count = 0

    def act(self, title: str) -> None:
        """Begin a part of the story."""
        self._console.print()
        self._console.rule(Text(title, style="bold"), style=_FACT, align="left")

    def say(self, sentence: str) -> None:
        """Say something in between."""
        self._console.print()
        for line in _wrapped(sentence, self._columns):
            self._console.print(line)

    def command(self, line: str) -> None:
        """Show a line that can be copied."""
        self._console.print(f"{_INDENT}{line}", style="bold", soft_wrap=True)

    def step(
        self, title: str, sentence: str, lines: Sequence[Line], facts: Sequence[tuple[str, str]]
    ) -> None:
        """Show one step; return when the next may begin.

        :param sentence: what it means.
        :param lines: what went over the wire.
        :param facts: what else is true at this moment: a word, and what it says.
        """
        if self._count:
            self._wait()
        self._count += 1
        console = self._console
        console.print()
        console.print(f"{self._count:2} {title}", style="bold")
        left = [_shown(line) for line in lines]
        left += [part for fact in facts for part in self._told(*fact)]
        if console.width >= _WIDE:
            self._beside(left, _wrapped(sentence, console.width - _COLUMNS - 4))
            return
        for line in _wrapped(sentence, self._columns - len(_INDENT)):
            console.print(f"{_INDENT}{line}")
        console.print()
        for text in left:
            console.print(text, overflow="fold")

    def clear_line(self) -> None:
        """Leave no half a line behind."""
        if self._console.is_terminal:
            self._console.print("\r" + " " * len(_ASK), end="\r")

    def _told(self, word: str, what: str) -> list[Text]:
        """``disk:`` and what is there, its lines in a column."""
        lead = f"{_INDENT}{word}: "
        lines = _wrapped(what, self._columns - len(lead))
        return [
            Text.assemble((f"{' ' * len(lead) if number else lead}{line}", _FACT))
            for number, line in enumerate(lines)
        ]

    def _beside(self, left: Sequence[Text], right: Sequence[str]) -> None:
        for text, words in zip_longest(left, right):
            shown = text or Text()
            if words:
                shown.pad_right(max(2, _COLUMNS + 2 - shown.cell_len))
                shown.append(words)
            self._console.print(shown, soft_wrap=True)

    def _wait(self) -> None:
        if self._step:
            self._console.print(_ASK, style="reverse", end="")
            key = click.getchar()
            self.clear_line()
            if key in _LEAVE:
                raise Left
        elif self._console.is_terminal:
            time.sleep(_BREATH)


def _shown(line: Line) -> Text:
    octets = line.octets.decode("utf-8", "backslashreplace").expandtabs()
    colour = _COLOURS[line.speaker]
    return Text.assemble((f"{_INDENT}{line.speaker}: ", f"bold {colour}"), (octets, colour))


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, break_on_hyphens=False)
