"""``mailpost restore``: a backup becomes a store again, or gives one account's letters back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mailpost.cli.backup import told_of
from mailpost.cli.failures import CANNOT_CREATE, FAILED, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import become_owner, open_office, read_config
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, size


@click.command(
    epilog="""\b
Examples:
  mailpost restore /var/backups/mailpost
  mailpost restore /var/backups/mailpost --only alice"""
)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--only", metavar="NAME", help="Give NAME's letters back that are not there any more."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def restore(folder: Path, only: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Make the store again from the backup in FOLDER, where the configuration says it is.

    It is verified first, and no store is ever overwritten. Letters keep their unique-ids, so that no client
    fetches them again. With --only the store is the one that is there, and the office may run: letters of
    NAME that no view shows any more are appended.
    """
    told = _letters(folder, only) if only is not None else _all(folder)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    elif only is not None:
        click.echo(
            f"{told['account']}: {counted(told['back'], 'letter')} back ({size(told['octets'])}),"
            f" {told['there']} there still, {told['new_uidl']} with a new unique-id"
        )
    else:
        click.echo(
            f"{told['store']} is restored, as of {told['made']}:"
            f" {counted(told['letters'], 'letter')} of {counted(told['accounts'], 'account')}"
        )
    if told.get("damaged"):
        damaged = counted(told["damaged"], "letter")
        raise Failed(FAILED, f"damaged in the backup, and so left out: {damaged}")


def _all(folder: Path) -> dict[str, Any]:
    from mailpost.cli.progress import octets_bar  # noqa: PLC0415 - --help does not need it
    from mailpost.store import restore as restoring  # noqa: PLC0415
    from mailpost.store.errors import UnusableStore  # noqa: PLC0415
    from mailpost.store.verify import verify  # noqa: PLC0415

    place = read_config()[1].office.database
    become_owner(place)
    with octets_bar("verify") as told:
        verdict = verify(folder, told)
    if verdict.faults:
        raise Failed(FAILED, *verdict.faults, f"{folder} is damaged: nothing was restored")
    try:
        with octets_bar("restore") as told:
            manifest = restoring.restore(folder, place, told)
    except UnusableStore as error:
        raise Failed(CANNOT_CREATE, str(error)) from None
    return {"store": str(place), **told_of(manifest)}


def _letters(folder: Path, name: str) -> dict[str, Any]:
    from mailpost.cli.progress import progress  # noqa: PLC0415 - --help does not need it
    from mailpost.store import restore as restoring  # noqa: PLC0415

    with open_office() as (_, store):
        account = existing_account(name, store)
        count, octets = restoring.octets_of(folder, account.name)
        with progress("restore", octets, count) as told:
            restored = restoring.restore_letters(
                folder, account.name, store.bringing, account.maildrop, told
            )
    return {
        "account": account.name,
        "back": restored.back,
        "octets": restored.octets,
        "there": restored.there,
        "new_uidl": restored.new_uidl,
        "damaged": len(restored.damaged),
    }
