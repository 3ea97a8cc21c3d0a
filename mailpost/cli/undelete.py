"""``mailpost undelete``: what was deleted comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mailpost.cli.completing import account_names
from mailpost.cli.letters import since, words
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, minute, moment, show, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.store import Binned, Store


@click.command(
    epilog="""\b
Examples:
  mailpost undelete alice --dry-run
  mailpost undelete alice --since 2d
  mailpost undelete alice --json"""
)
@click.argument("name", shell_complete=account_names)
@click.option(
    "--since",
    "gone_since",
    metavar="2d|12h",
    callback=since,
    help="Only what was deleted within so many days or hours.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print what would come back, and leave it where it is."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def undelete(name: str, gone_since: int, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 - click's flags
    """Bring back letters of NAME that were deleted.

    What has left a maildrop waits in the bin for some days (keeping.bin). It is appended to the maildrop
    again, as if it came anew, so that every device fetches it; a running office shows it at the next login.
    What is back is in the bin no more: the same command again brings nothing twice.
    """
    with open_office() as (_, store):
        account = existing_account(name, store)
        found = store.bin.of(account, gone_since)
        if dry_run:
            _tell(account.name, found, store, as_json=as_json)
            return
        count = store.bin.undelete(account, gone_since)
    if as_json:
        click.echo(json.dumps({"account": account.name, "undeleted": count}, indent=2))
    elif count:
        click.echo(f"{counted(count, 'letter')} of {account.name} {_verb(count, 'is', 'are')} back")
    else:
        _nothing(account.name)


def _tell(name: str, found: Sequence[Binned], store: Store, *, as_json: bool) -> None:
    rows = [(one, words(store, one.letter)) for one in found]
    if as_json:
        letters = [
            {
                "arrived": moment(one.arrived),
                "deleted": moment(one.gone),
                "octets": one.octets,
                "trace": one.trace,
                "from": told.author,
                "subject": told.subject,
            }
            for one, told in rows
        ]
        click.echo(json.dumps({"account": name, "letters": letters}, indent=2))
        return
    if not rows:
        _nothing(name)
        return
    show(
        ("arrived", "deleted", "size", "from", "subject"),
        [
            (minute(one.arrived), minute(one.gone), size(one.octets), told.author, told.subject)
            for one, told in rows
        ],
    )
    count = len(rows)
    click.echo(f"{counted(count, 'letter')} of {name} would come back")


def _nothing(name: str) -> None:
    click.echo(f"nothing of {name}'s that could come back is in the bin")


def _verb(count: int, one: str, more: str) -> str:
    return one if count == 1 else more
