"""The table of what attacks do: what the honest notice, and what they cost."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from benchmarks.figures import Unit, middle
from benchmarks.report import columns, failures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.figures import Result
    from benchmarks.row import Row

MIB = 1 << 20

EXPLANATION = """\
Medians of the rounds, without the attack and with it. A letter is timed from connecting to its 250, a
session from connecting to the reply to QUIT; p50/p99 in milliseconds. "ahead" is the servers' processor time
that passed within 99 of 100 such visits: what they put before it, whatever else the machine does. Memory is
proportional set size, and "each" what a connection takes that the attack holds open. SHORT: a p99 beyond
100 ms, an honest visit that failed, or memory beyond what the row allows."""


def table(
    rows: Sequence[Row], results: Mapping[str, Result], systems: Sequence[str], machine: str
) -> str:
    """Draw the table, the reasons of what is missing, the explanation and the machine."""
    lines = [["row", "attack", "letter", "ahead", "session", "ahead", "failed", "memory", "held",
              "each", "CPU", ""]]  # fmt: skip
    lines += [_line(row, results[row.name], systems[0]) for row in rows]
    parts = [columns(lines), *failures(rows, results)]
    parts += [textwrap.fill(" ".join(EXPLANATION.split()), 100), textwrap.fill(machine, 100)]
    return "\n\n".join(parts)


def short(result: Result, system: str) -> bool | None:
    """Whether a promise is not kept; None: nothing was measured."""
    if not result.samples.get(system):
        return None
    told = _Told(result, system)
    failed = told("letter_war_failures") + told("session_war_failures")
    late = not all(result.met(target, system, "") for target in result.targets)
    return late or failed > 0 or told("grown") > told("allowed")


class _Told:
    """The median of a detail."""

    def __init__(self, result: Result, system: str) -> None:
        self._samples = result.samples[system]

    def __call__(self, name: str) -> float:
        return middle([sample.details[name] for sample in self._samples]) or 0.0


def _line(row: Row, result: Result, system: str) -> list[str]:
    start = [row.name, row.title]
    fails = short(result, system)
    if fails is None:
        return [*start, "failed", *[""] * 9]
    told = _Told(result, system)
    each = ""
    if held := told("attack_held"):
        each = Unit.KILOBYTES.show(told("grown") / held)
    return [
        *start,
        *_visits(told, "letter"),
        *_visits(told, "session"),
        f"{told('letter_war_failures') + told('session_war_failures'):.0f}",
        f"{told('before') / MIB:.0f} -> {told('after') / MIB:.0f} MiB",
        f"{held:.0f}",
        each,
        f"{100 * (result.cpu(system) or 0.0):.0f} %",
        "SHORT" if fails else "met",
    ]


def _visits(told: _Told, what: str) -> list[str]:
    shown = []
    for figures in (("p50", "p99"), ("ahead",)):
        sides = ["/".join(f"{1000 * told(f'{what}_{when}_{one}'):.0f}" for one in figures)
                 for when in ("peace", "war")]  # fmt: skip
        shown.append(" -> ".join(sides))
    return shown
