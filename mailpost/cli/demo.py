"""``mailpost demo``: a letter's journey, shown and explained.

``demo_office`` opens a real post office for it, ``demo_client`` speaks to its real ports and notes every
line, ``demo_journey`` is the story, ``demo_stage`` puts it on the screen.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import FAILED, WRONG_USAGE, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 130  # 128 and the signal's number, as shells count


@click.command(
    epilog="""\b
Examples:
  mailpost demo
  mailpost demo --step
  mailpost demo >journey.txt"""
)
@click.option("--step", is_flag=True, help="Wait for a key after each step; q ends it.")
def demo(step: bool) -> None:  # noqa: FBT001 - click's flag
    """Show a letter's journey: in by SMTP, kept durably, out by POP3.

    A post office is opened for it on free ports of this machine, in a temporary folder that is removed
    at the end. Each line of both dialogues is shown as it went over the wire, with what it means and
    with what is on the disk at that moment.
    """
    if step and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failed(
            WRONG_USAGE, "--step waits for a key, and there is no terminal to press one on"
        )
    from mailpost.cli.demo_client import Surprise  # noqa: PLC0415 - --help does not need it
    from mailpost.cli.demo_journey import travel  # noqa: PLC0415 - as above
    from mailpost.cli.demo_office import temporary_office  # noqa: PLC0415 - all of Twisted
    from mailpost.cli.demo_stage import Left, Stage  # noqa: PLC0415 - rich

    stage = Stage(step=step)
    try:
        with _ended_by_signals(), temporary_office() as office:
            travel(office, stage)
    except Left:
        stage.say("The office is closed and its folder removed.")
        return
    except KeyboardInterrupt:
        stage.clear_line()
        raise Failed(INTERRUPTED, "interrupted; the office is closed, its folder removed") from None
    except (Surprise, TimeoutError) as error:
        raise Failed(FAILED, f"the demonstration cannot go on: {error}") from None
    stage.say("The office is closed and its folder removed. To open one that stays:")
    stage.command("mailpost init office --domain example.org")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a kill, or a window that is closed, end it as Ctrl-C does: with nothing left behind."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    names = ("SIGTERM", "SIGHUP")  # Windows has not both
    before = {
        one: signal.signal(one, end) for name in names if (one := getattr(signal, name, None))
    }
    try:
        yield
    finally:
        for one, what in before.items():
            signal.signal(one, what)
