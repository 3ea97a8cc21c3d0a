"""The table at the end, as text and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Result, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.row import Plan, Row

EXPLANATION = """\
Medians of the rounds. "better" is the median of the rounds' ratios: how many times better mailpost
is (more per second, or less time, memory, CPU), so above 1 is in its favour. CPU is user and system
time of all the servers' processes, also of those that have ended, per letter, session or RETR. A
letter counts when it is on disk and in the maildrop. Memory is proportional set size."""

VERDICTS = {True: "met", False: "SHORT", None: ""}


def table(
    rows: Sequence[Row], results: Mapping[str, Result], systems: Sequence[str], machine: str
) -> str:
    """Draw the table, the reasons of what is missing, the explanation and the machine."""
    ours, theirs = systems[0], systems[1] if len(systems) > 1 else None
    lines = [_heading(ours, theirs)]
    lines += [_line(row, results[row.name], ours, theirs) for row in rows]
    parts = [columns(lines), *failures(rows, results)]
    if verdicts := _verdicts(rows, results, ours, theirs or ""):
        parts.append(textwrap.fill(verdicts, 100))
    parts += [textwrap.fill(" ".join(EXPLANATION.split()), 100), textwrap.fill(machine, 100)]
    return "\n\n".join(parts)


def failures(rows: Sequence[Row], results: Mapping[str, Result]) -> list[str]:
    """Say of each row that was not measured why."""
    return [
        f"{row.name}: {name} was not measured: {reason}"
        for row in rows
        for name, reason in results[row.name].failures.items()
    ]


def _heading(ours: str, theirs: str | None) -> list[str]:
    if theirs is None:
        return ["row", "what", ours, "CPU", "targets"]
    figures = [ours, theirs, "better", f"CPU {ours}", "CPU theirs", "better"]
    return ["row", "what", *figures, "targets"]


def _line(row: Row, result: Result, ours: str, theirs: str | None) -> list[str]:
    def value(system: str) -> str:
        return "failed" if system in result.failures else row.unit.show(result.value(system))

    def cpu(system: str) -> str:
        return Unit.MICROSECONDS.show(result.cpu(system)) + f"/{row.per}"

    verdicts = ", ".join(
        f"{target} {VERDICTS[result.met(target, ours, theirs or '')]}".rstrip()
        for target in result.targets
    )
    start = [row.name, row.title, value(ours)]
    if theirs is None:
        return [*start, cpu(ours), verdicts]
    return [
        *start,
        value(theirs),
        times(result.value_ratio(ours, theirs)),
        cpu(ours),
        cpu(theirs),
        times(result.cpu_ratio(ours, theirs)),
        verdicts,
    ]


def _verdicts(
    rows: Sequence[Row], results: Mapping[str, Result], ours: str, theirs: str
) -> str | None:
    """Say how many targets are met, and which are not, with what was reached."""
    met, short = 0, []
    for row in rows:
        result = results[row.name]
        for target in result.targets:
            match result.met(target, ours, theirs):
                case True:
                    met += 1
                case False:
                    reached = result.reached(target, ours, theirs)
                    said = f"{reached:.1f}" if target.kind == "value" else times(reached)
                    short.append(f"{row.name} {said} of {target}")
    if not met and not short:
        return None
    tail = f"; SHORT: {', '.join(short)}" if short else ""
    return f"Targets met: {met} of {met + len(short)}{tail}."


def times(ratio: float | None) -> str:
    """Write a ratio."""
    return "-" if ratio is None else f"{ratio:.1f}x" if ratio >= 10 else f"{ratio:.2f}x"  # noqa: PLR2004


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Draw lines of cells below one another, the first as a heading."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = 2  # name and title read from the left, figures align on the right
    drawn = [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    drawn.insert(1, "-" * max(map(len, drawn)))
    return "\n".join(drawn)


def sentence(machine: Mapping[str, str]) -> str:
    """Write what is known of the machine as one paragraph."""
    return "Machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "."


def as_data(
    rows: Sequence[Row],
    results: Mapping[str, Result],
    systems: Sequence[str],
    machine: Mapping[str, str],
    plan: Plan,
) -> dict[str, Any]:
    """Give everything that was measured, in base units, for JSON."""
    ours, theirs = systems[0], systems[1] if len(systems) > 1 else ""
    return {
        "machine": dict(machine),
        "seconds": plan.seconds,
        "systems": list(systems),
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "unit": row.unit.label,
                "unit_scale": row.unit.scale,  # of the base unit, which the samples are in
                "more_is_better": row.unit.more_is_better,
                "cpu_per": row.per,
                "samples": {
                    name: [asdict(sample) for sample in samples]
                    for name, samples in results[row.name].samples.items()
                },
                "median": {name: results[row.name].value(name) for name in systems},
                "median_cpu": {name: results[row.name].cpu(name) for name in systems},
                "better": results[row.name].value_ratio(ours, theirs),
                "cpu_better": results[row.name].cpu_ratio(ours, theirs),
                "targets": [
                    {
                        **asdict(target),
                        "reached": results[row.name].reached(target, ours, theirs),
                        "met": results[row.name].met(target, ours, theirs),
                    }
                    for target in row.targets
                ],
                "failures": results[row.name].failures,
            }
            for row in rows
        ],
    }
