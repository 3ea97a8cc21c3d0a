"""Measure rows on systems: prepared one after the other, then measured in turn, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Result, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.row import Plan, Row
    from benchmarks.systems import System


@dataclass(frozen=True)
class Step:
    """What is done next, for the progress display. Round 0 is the preparation."""

    row: Row
    system: System
    round: int


class Display(Protocol):
    """Where the progress of a run is told."""

    def say(self, text: str) -> None:
        """Tell something that is not a step."""

    def begun(self, step: Step) -> None:
        """Tell that a step begins."""

    def ended(self, step: Step, sample: Sample | None) -> None:
        """Tell that a step has ended, and what it measured."""


def steps(rows: Sequence[Row], systems: Sequence[System], rounds: int) -> int:
    """Return how many steps a run has."""
    return len(rows) * len(systems) * (rounds + 1)


def run(
    rows: Sequence[Row],
    systems: Sequence[System],
    plan: Plan,
    rounds: int,
    display: Display,
) -> dict[str, Result]:
    """Measure everything; a row that fails on a system leaves its reason and no number there."""
    results: dict[str, Result] = {}
    for row in rows:
        result = results[row.name] = Result(row.unit, row.targets)
        for number in range(rounds + 1):
            for system in systems:
                step = Step(row, system, number)
                display.begun(step)
                display.ended(step, _take(step, plan, result))
    return results


def _take(step: Step, plan: Plan, result: Result) -> Sample | None:
    name = step.system.name
    if name in result.failures:
        return None
    try:
        if step.round == 0:
            step.row.prepare(step.system, plan)
            return None
        sample = step.row.measure(step.system, plan)
    except BenchmarkError as failure:
        # Half a row would be compared with a whole one: what was measured before goes too.
        result.failures[name] = step.system.obituary() or str(failure)
        result.samples.pop(name, None)
        return None
    result.samples.setdefault(name, []).append(sample)
    return sample
