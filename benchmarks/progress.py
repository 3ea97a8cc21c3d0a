"""Showing how far a run is: a bar on a terminal, plain lines elsewhere; both on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Sample
    from benchmarks.runner import Display, Step


LINE_SECONDS = 30  # from one plain line to the next, where only time passes


def _told(step: Step, sample: Sample | None) -> str:
    stage = f"round {step.round}" if step.round else "prepared"
    figure = step.row.unit.show(sample.value) if sample else "" if not step.round else "failed"
    return f"{step.row.name:<16} {stage:<9} {step.system.name:<18} {figure}".rstrip()


class Lines:
    """Plain lines, each with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print it."""
        print(f"{time.monotonic() - self._started:7.1f} s  {text}", file=sys.stderr, flush=True)

    def begun(self, step: Step) -> None:
        """Say nothing: the end tells more."""

    def ended(self, step: Step, sample: Sample | None) -> None:
        """Print the figure."""
        self.say(_told(step, sample))


class Bar:
    """A bar that stays at the bottom, above it a line for every figure."""

    def __init__(self, progress: Progress, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task("preparing", total=total)

    def say(self, text: str) -> None:
        """Print it above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def begun(self, step: Step) -> None:
        """Name the step beside the bar."""
        stage = f"round {step.round}" if step.round else "preparing"
        text = f"{step.row.name}: {step.system.name}, {stage}"
        self._progress.update(self._task, description=text)

    def ended(self, step: Step, sample: Sample | None) -> None:
        """Move on by one."""
        self.say(_told(step, sample))
        self._progress.advance(self._task)


class Hour(Protocol):
    """Where it is told how much of a given time has passed."""

    def say(self, text: str) -> None:
        """Tell something besides."""

    def passed(self, seconds: float, text: str) -> None:
        """Tell how much it is, and what was seen."""


class HourLines(Lines):
    """Plain lines, half a minute apart."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def passed(self, seconds: float, text: str) -> None:
        """Print it when it is time."""
        if seconds >= self._next:
            self._next += LINE_SECONDS
            self.say(text)


class HourBar(Bar):
    """A bar that fills while the time passes."""

    def passed(self, seconds: float, text: str) -> None:
        """Move it, and show what was seen beside it."""
        self._progress.update(self._task, completed=seconds, description=text)


@contextmanager
def passing(seconds: float) -> Iterator[Hour]:
    """Choose by whether somebody looks, for something that takes so long."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield HourLines()
        return
    columns = (BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as progress:
        yield HourBar(progress, seconds)


@contextmanager
def display(total: int) -> Iterator[Display]:
    """Choose by whether somebody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as progress:
        yield Bar(progress, total)
