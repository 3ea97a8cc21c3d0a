"""Showing how far a run is: a bar on a terminal, plain lines elsewhere; both on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Sample
    from benchmarks.runner import Display, Step


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

    def __init__(self, progress: Progress, total: int) -> None:
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
