"""``mailpost doctor``: whether all is well, and how to mend what is not."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import FAILED
from mailpost.cli.office import become_owner, open_office, read_config, this_program
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.cli.checks.findings import Finding, Patient

_WIDTH = 78
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(
    epilog="""\b
Examples:
  mailpost doctor
  mailpost doctor --thorough
  mailpost doctor --json"""
)
@click.option(
    "--thorough",
    is_flag=True,
    help="Read the whole database and every letter, too, however long that takes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def doctor(*, thorough: bool, as_json: bool) -> None:
    """Look whether all is well, and say how to mend what is not.

    The configuration and what DNS says of it, ports, certificates, the clock, the disk, permissions and the
    database are looked at, and nothing is changed. When the office runs, a letter is sent and collected, by
    an account that is made for it and removed. The exit status is 0 when there is no problem, else 1; a
    warning is none.
    """
    started = time.monotonic()
    found = []
    with told_to_stop():
        for finding in _findings(thorough=thorough):
            found.append(finding)
            if not as_json:
                print_finding(finding)
    seconds = time.monotonic() - started
    problems = sum(one.level == "problem" for one in found)
    if as_json:
        told = {
            "well": not problems,
            "seconds": round(seconds, 3),
            "findings": [
                {"check": one.check, "level": one.level, "text": one.text, "mend": one.mend}
                for one in found
            ],
        }
        click.echo(json.dumps(told, indent=2))
    else:
        warnings = sum(one.level == "warning" for one in found)
        click.echo(
            f"\n{counted(problems, 'problem')}, {counted(warnings, 'warning')}; it took {seconds:.1f} s"
        )
    if problems:
        click.get_current_context().exit(FAILED)


def _findings(*, thorough: bool) -> Iterator[Finding]:
    """Everything that is looked at, in its order; the ports while this may still be root."""
    from mailpost import control_client  # noqa: PLC0415 - --help does not need all this
    from mailpost.cli.checks import (  # noqa: PLC0415
        certificates,
        configuration,
        database,
        findings,
        listening,
        machine,
        trial,
    )
    from mailpost.config import ConfigError  # noqa: PLC0415

    try:
        file, config = read_config()
    except ConfigError as error:
        mend = "correct it; mailpost init writes a file in which every key is explained"
        for mistake in error.mistakes:
            yield findings.problem(configuration.CONFIGURATION, mistake, mend)
        return
    running = None
    try:
        running = control_client.ask(control_client.beside(config.office.database), "status")
    except control_client.NotRunning:
        pass
    except (control_client.Refusal, OSError) as error:
        yield findings.problem("office", f"it gives no answer: {error}", "look into its log")
    patient = findings.Patient(file, config, running, this_program(), thorough)
    yield _office(patient)
    yield from configuration.configuration(patient)
    yield from configuration.names(patient)
    yield from listening.listening(patient)
    _load()
    become_owner(config.office.database)
    yield from certificates.certificates(patient)
    checkup, trouble = database.opened(patient)
    yield from machine.clock(database.moments(checkup) if checkup else None)
    yield from machine.disk(patient)
    yield from machine.permissions(patient)
    if checkup is None:
        if trouble is not None:
            yield trouble
        return
    try:
        yield from database.database(patient, checkup)
        usable = database.usable(checkup)
    finally:
        checkup.close()
    if usable and running:
        with open_office(config) as (_, store):
            yield from trial.trial(patient, store)


def _office(patient: Patient) -> Finding:
    from mailpost.cli.checks.findings import ok  # noqa: PLC0415 - as above

    if patient.running:
        process, version = patient.running["process"], patient.running["version"]
        return ok("office", f"it runs, as process {process}; mailpost {version}")
    return ok("office", f"it does not run, so no letter is sent; start it: {patient.program} serve")


def _load() -> None:
    """Load what root's Python may have where the owner cannot read."""
    import getpass  # noqa: F401, PLC0415 - argon2's, and click's
    import poplib  # noqa: F401, PLC0415
    import smtplib  # noqa: F401, PLC0415

    import twisted.internet.task  # noqa: F401, PLC0415

    import mailpost.cli.progress  # noqa: F401, PLC0415


@contextmanager
def told_to_stop() -> Iterator[None]:
    """End in order when told to, so that nothing is left behind."""

    def stop(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = {which: signal.signal(which, stop) for which in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for which, former in before.items():
            signal.signal(which, former)


def print_finding(one: Finding) -> None:
    """Tell it to a person, and in colour if that person wants it (https://no-color.org)."""
    mark = f"{one.level:8}"
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        mark = click.style(mark, fg=_COLOURS[one.level])
    begin, rest = f"{one.check:14} ", " " * 24
    text = textwrap.fill(
        harmless(one.text),
        _WIDTH - 9,
        initial_indent=begin,
        subsequent_indent=" " * 15,
        break_on_hyphens=False,
    )
    click.echo(f"{mark} " + text.replace("\n", "\n" + " " * 9))
    if one.mend:
        mend = textwrap.fill(
            f"to mend it: {harmless(one.mend)}",
            _WIDTH,
            initial_indent=rest,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        )
        click.echo(mend)
