"""The command line of the benchmark."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import load, long_report, long_run, plots, postfix_dovecot, report
from benchmarks.collection_rows import Idle
from benchmarks.errors import BenchmarkError
from benchmarks.groups import GROUPS
from benchmarks.long_run import Emptied
from benchmarks.machine import machine
from benchmarks.mailpost_system import Mailpost
from benchmarks.postfix_dovecot import PostfixDovecot
from benchmarks.progress import display, passing
from benchmarks.row import IDLE_USER, SESSION_USER, Plan, Row
from benchmarks.rows import all_rows
from benchmarks.runner import run, steps
from benchmarks.systems import HOSTNAME
from mailpost.tls.self_signed import make_self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.systems import System

EPILOG = """\b
Examples:
  python -m benchmarks                          everything, about half an hour
  python -m benchmarks --quick                  everything, short and rough
  python -m benchmarks --only 'intake-*'        letters coming in
  python -m benchmarks --only retr --vs none    mailpost alone
  python -m benchmarks --workers 2              mailpost in two processes
  python -m benchmarks --scale                  an office with much in it, beside a small one
  python -m benchmarks --two-workers            two workers beside one
  python -m benchmarks --slow-disk              where each sync takes 5 ms longer
  python -m benchmarks --hostile                what the honest notice while others attack
  python -m benchmarks --growth --long          up to a million letters, beside none
  python -m benchmarks --long-run               half an hour at half load: is all flat?
  python -m benchmarks --json figures.json      every sample, too
  python -m benchmarks --plots pictures         and pictures of it
"""

# Not /tmp: where that lies in memory, a sync costs nothing and durable means nothing.
FOLDER = "/var/tmp"  # noqa: S108 - a folder of our own is made in it

THEIRS, NONE = VS = ("postfix-dovecot", "none")


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    quick: bool
    only: tuple[str, ...]
    listing: bool
    rounds: int | None
    seconds: float | None
    sessions: int | None
    vs: str | None  # None: the other system where it is installed
    without_mailpost: bool
    workers: int
    group: str | None
    long: bool
    long_run: float | None  # minutes
    folder: Path
    json_file: Path | None
    plots: Path | None

    def plan(self, programs: Path) -> Plan:
        """Say how much is measured."""
        return Plan(
            seconds=self.seconds or (1.0 if self.quick else 4.0),
            idle_sessions=self.sessions or (100 if self.quick else 500),
            maildrops=(1_000, 10_000) if self.quick else (1_000, 10_000, 100_000),
            stores=self._stores(),
            programs=programs,
        )

    def _stores(self) -> tuple[int, ...]:
        sizes = (10_000,) if self.quick else (10_000, 100_000)
        return (*sizes, 1_000_000) if self.long else sizes

    def rows(self, plan: Plan) -> list[Row]:
        """Choose the rows."""
        rows = GROUPS[self.group].rows(plan) if self.group else all_rows(plan)
        if self.without_mailpost:  # the targets are mailpost's
            rows = [row.promising() for row in rows]
        for pattern in self.only:
            if not any(fnmatch(row.name, pattern) for row in rows):
                raise BenchmarkError(f"no row is called {pattern}; see --list")
        return [
            row
            for row in rows
            if not self.only or any(fnmatch(row.name, pattern) for pattern in self.only)
        ]


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Two rounds of one second, smaller maildrops.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this row; wildcards; repeatable.")
@click.option("--list", "listing", is_flag=True, help="Print the names of the rows.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds of each row.  [default: 5]")
@click.option("--seconds", type=click.FloatRange(0.2), help="Per measurement.  [default: 4]")
@click.option("--sessions", type=click.IntRange(20, 10_000), help="Idle ones.  [default: 500]")
@click.option("--vs", type=click.Choice(VS),
              help="What mailpost is measured beside.  [default: postfix-dovecot, if installed]")  # fmt: skip
@click.option("--without-mailpost", is_flag=True, help="Measure the other system alone.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Processes that serve, of mailpost.")  # fmt: skip
@click.option("--scale", "group", flag_value="scale", help="Measure mailpost "
              "with 100,000 letters and aliases, 1,000 accounts, beside itself.")  # fmt: skip
@click.option("--two-workers", "group", flag_value="two-workers",
              help="Measure mailpost with two workers beside itself with one.")  # fmt: skip
@click.option("--slow-disk", "group", flag_value="slow-disk",
              help="Let every sync take 5 ms longer.")  # fmt: skip
@click.option("--growth", "group", flag_value="growth",
              help="Measure mailpost with up to 100,000 letters beside itself with none.")  # fmt: skip
@click.option("--hostile", "group", flag_value="hostile",
              help="Attack mailpost, and measure what the honest notice.")  # fmt: skip
@click.option("--long", is_flag=True, help="--growth: a million letters, too.")
@click.option("--long-run", type=click.FloatRange(1), is_flag=False, flag_value=30,
              metavar="[MINUTES]", help="Let mailpost carry half of what it can for so long, and "
              "see whether memory, descriptors, files and latency are flat.  [default: 30]")  # fmt: skip
@click.option("--folder", type=click.Path(file_okay=False, exists=True, path_type=Path),
              default=FOLDER, show_default=True,
              help="Where the data lies; its disk is what durable means.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(dir_okay=False, writable=True, path_type=Path),
              help="Write every sample to this file.")  # fmt: skip
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path),
              help="Draw pictures into this folder (needs matplotlib).")  # fmt: skip
def main(**arguments: object) -> None:
    """Measure mailpost: letters in, letters out, CPU and memory, beside Postfix with Dovecot."""
    options = Options(**arguments)  # type: ignore[arg-type]  # click has checked the types
    try:
        with tempfile.TemporaryDirectory(prefix="mailpost-bench-", dir=options.folder) as name:
            plan = options.plan(Path(name))
            if options.long_run is not None:
                if not _run_long(options, plan, options.long_run * 60):
                    sys.exit(1)
                return
            rows = options.rows(plan)
            if options.listing:
                for row in rows:
                    click.echo(f"{row.name:<16} {row.title}")
                return
            complete = _measure(options, plan, rows)
    except BenchmarkError as failure:
        raise click.ClickException(str(failure)) from None
    if not complete:
        sys.exit(1)


def _measure(options: Options, plan: Plan, rows: Sequence[Row]) -> bool:
    """Run everything and print the table; return whether nothing failed."""
    _see_what_is_needed(options)
    rounds = options.rounds or (2 if options.quick else 5)
    systems, remark = _systems(options, plan)
    names = [system.name for system in systems]
    with display(steps(rows, systems, rounds)) as show:
        if remark:
            show.say(remark)
        for program in ("pop3load", "smtpload"):
            load.compiled(program, plan.programs)
        surroundings = machine(plan.programs, systems)
        show.say(f"preparing {systems[0].users} users on: {', '.join(names)}")
        with _started(systems):
            results = run(rows, systems, plan, rounds, show)
    table = GROUPS[options.group].table if options.group else report.table
    click.echo(table(rows, results, names, report.sentence(surroundings)))
    _write(options, report.as_data(rows, results, names, surroundings, plan))
    return not any(result.failures for result in results.values())


def _run_long(options: Options, plan: Plan, seconds: float) -> bool:
    """Let mailpost run for so long, and print what was seen; return whether all is flat."""
    if options.group or options.only or options.without_mailpost or options.vs == THEIRS:
        raise BenchmarkError("--long-run is of mailpost alone, and has no rows")
    _see_what_is_needed(options)
    make_self_signed(plan.programs, [HOSTNAME])
    system = Emptied(_folder(plan, Emptied), SESSION_USER + long_run.USERS)
    system.workers = options.workers
    surroundings = machine(plan.programs, [system])
    with passing(seconds) as show, _started([system]):
        course = long_run.run(system, seconds, plan.programs, show)
    try:
        found = long_report.trends(course)
    except ValueError as failure:
        raise BenchmarkError(course.failure or str(failure)) from None
    click.echo(long_report.table(course, found, report.sentence(surroundings)))
    _write(options, long_report.as_data(course, found, surroundings))
    return long_report.is_flat(course, found)


def _see_what_is_needed(options: Options) -> None:
    """Raise at once where something is missing that would be missed at the end."""
    if reason := load.why_not() or (options.plots and plots.why_not()):
        raise BenchmarkError(reason)


def _write(options: Options, data: dict[str, Any]) -> None:
    """Write what was measured where it was asked for."""
    if options.json_file:
        options.json_file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    if options.plots:
        for file in plots.draw(data, options.plots):
            click.echo(f"drawn: {file}", err=True)


def _systems(options: Options, plan: Plan) -> tuple[list[System], str | None]:
    """Choose the systems; add a remark when the comparison has to be left out."""
    group = GROUPS[options.group] if options.group else None
    ours: tuple[type[System], ...] = group.systems if group else (Mailpost,)
    theirs = group.other if group else PostfixDovecot
    users = group.users if group else IDLE_USER + Idle.others + plan.idle_sessions
    if theirs is None and (options.without_mailpost or options.vs == THEIRS):
        raise BenchmarkError(f"--{options.group} measures mailpost alone, or beside itself")
    if len(ours) > 1 and options.workers > 1:
        raise BenchmarkError("--workers is for rows that measure mailpost once")
    classes = [] if options.without_mailpost else list(ours)
    remark = None
    if options.vs != NONE and theirs is not None:
        if reason := postfix_dovecot.why_not():
            remark = f"without Postfix and Dovecot: {reason}"
            if options.vs == THEIRS:
                raise BenchmarkError(reason)
        else:
            classes.append(theirs)
    if not classes:
        raise BenchmarkError("there is nothing to measure")
    make_self_signed(plan.programs, [HOSTNAME])
    systems = [kind(_folder(plan, kind), users) for kind in classes]
    for system in systems:
        if options.workers > 1 and isinstance(system, Mailpost):
            system.workers = options.workers
    return systems, remark


def _folder(plan: Plan, kind: type[System]) -> Path:
    folder = plan.programs / kind.__name__.lower()
    folder.mkdir()
    return folder


@contextmanager
def _started(systems: Sequence[System]) -> Iterator[None]:
    """Prepare and start all systems; stop them whatever happens."""
    try:
        for system in systems:
            system.prepare()
            system.start()
        yield
    finally:
        for system in systems:
            system.stop()


if __name__ == "__main__":
    main()
