"""``mailpost expire``: what a policy removes, shown or done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import BAD_DATA, Failed
from mailpost.cli.letters import words
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.rules import DEFAULT, read_retention, when
from mailpost.cli.table import counted, minute, moment, show, size
from mailpost.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.config import Config
    from mailpost.store import Account, Store
    from mailpost.store.expiring import Overdue


@click.command(
    epilog="""\b
Examples:
  mailpost expire --dry-run
  mailpost expire alice --retention 30d --dry-run
  mailpost expire alice --retention '30d after collected'"""
)
@click.argument("name", required=False)
@click.option(
    "--retention",
    metavar="30d",
    callback=read_retention,
    help="Another policy than the one that is set: 30d, or '30d after collected'.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print what would be removed, and leave it where it is."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def expire(
    name: str | None,
    retention: Retention | str | None,
    dry_run: bool,  # noqa: FBT001 - click's flags
    as_json: bool,  # noqa: FBT001
) -> None:
    """Remove what NAME's retention, or everybody's, does not keep any more.

    A running office does this by itself once an hour, once its clock has been steady for three days. What
    is removed goes into the bin: mailpost undelete NAME brings it back.
    """
    with open_office() as (config, store):
        policies = [
            (account, kept, store.keeping.overdue(account, kept))
            for account, kept in _policies(name, retention, store, config)
        ]
        if not dry_run:
            removed = {
                account.name: store.keeping.expire(account, kept) for account, kept, _ in policies
            }
            _tell_removed(removed, as_json=as_json)
        elif as_json:
            told = [_row(*policy, store) for policy in policies]
            click.echo(json.dumps(told, indent=2))
        else:
            _tell(policies, store)


def _policies(
    name: str | None, retention: Retention | str | None, store: Store, config: Config
) -> list[tuple[Account, Retention]]:
    """Whose letters are looked at, and what for."""
    rules = [one.filled(config.keeping) for one in store.keeping.all()]
    if name is not None:
        only = existing_account(name, store).name
        rules = [one for one in rules if one.account == only]
    policies = []
    for one in rules:
        kept = retention if isinstance(retention, Retention) else one.retention
        if retention == DEFAULT:
            kept = config.keeping.retention
        account = store.accounts.find(one.account)
        if kept and kept.days and account is not None:
            policies.append((account, kept))
    if not policies:
        raise Failed(
            BAD_DATA,
            f"letters of {name or 'everybody'} are kept until they are deleted;"
            " say which policy: --retention 30d",
        )
    return policies


def _row(
    account: Account, kept: Retention, found: Sequence[Overdue], store: Store
) -> dict[str, object]:
    letters = []
    for one in found:
        told = words(store, one.letter)
        letters.append(
            {
                "arrived": moment(one.arrived),
                "octets": one.octets,
                "from": told.author,
                "subject": told.subject,
            }
        )
    return {"account": account.name, "retention": str(kept), "letters": letters}


def _tell(policies: Sequence[tuple[Account, Retention, Sequence[Overdue]]], store: Store) -> None:
    rows = []
    for account, _, found in policies:
        for one in found:
            told = words(store, one.letter)
            size_of = size(one.octets)
            rows.append((account.name, minute(one.arrived), size_of, told.author, told.subject))
    if rows:
        show(("account", "arrived", "size", "from", "subject"), rows)
    for account, kept, found in policies:
        count = counted(len(found), "letter")
        click.echo(f"{count} of {account.name} would be removed: they go {when(kept)}")


def _tell_removed(removed: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        told = [{"account": name, "removed": count} for name, count in removed.items()]
        click.echo(json.dumps(told, indent=2))
        return
    for name, count in removed.items():
        back = f"; they come back with: mailpost undelete {name}" if count else ""
        click.echo(f"{counted(count, 'letter')} of {name} removed{back}")
