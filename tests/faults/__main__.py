"""Random faults, for as many minutes as you like; CONTRIBUTING.rst tells how.

``python -m tests.faults [--minutes 10] [--seed N] [--recovery 5] [--folder DIR]``, or
``python -m tests.faults check HISTORY``.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tests.faults.campaign import VIEWS, Campaign
from tests.faults.checker import RECOVERY, Checker


@click.group(invoke_without_command=True)
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--seed", type=int, default=None, help="What happens is drawn from it.")
@click.option("--recovery", default=RECOVERY, show_default=True, help="Seconds.")
@click.option("--folder", type=Path, default=None, help="Where history and log are left.")
@click.pass_context
def main(
    context: click.Context, minutes: float, seed: int | None, recovery: float, folder: Path | None
) -> None:
    """Strike an office under load at random, and hold it to its promises."""
    if context.invoked_subcommand is not None:
        return
    seed = random.randrange(10**6) if seed is None else seed
    place = folder or Path(tempfile.mkdtemp(prefix="mailpost-faults-"))
    campaign = Campaign(place / str(seed), seed, lambda: recovery)
    click.echo(f"seed {seed}, {minutes:g} minutes, in {place / str(seed)}")
    columns = (TextColumn("{task.fields[letters]} letters"), BarColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=minutes * 60, letters=0)

            def told(seconds: float) -> None:
                bar.update(task, completed=seconds, letters=campaign.history.counts["kept"])

            campaign.run(minutes * 60, told)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what was promised
        click.echo(f"BROKEN: {error or repr(error)}")
        click.echo(f"the history and the office's log are in {place / str(seed)}")
        click.echo(campaign.verdict)
        sys.exit(1)
    if not campaign.disk:
        click.echo("no disk was filled: only root can mount a small one")
    click.echo(f"nothing lost; {campaign.verdict}")
    if folder is None:
        shutil.rmtree(place)


@main.command()
@click.argument("history", type=click.Path(path_type=Path, exists=True))
def check(history: Path) -> None:
    """Check a history that was kept, again."""
    checker = Checker(VIEWS)
    with history.open() as lines:
        for line in lines:
            checker.take(json.loads(line))
    for lie in checker.lies:
        click.echo(lie)
    click.echo(f"{len(checker.lies)} promises broken")
    sys.exit(1 if checker.lies else 0)


main()
