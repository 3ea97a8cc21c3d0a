"""``mailpost backup``: the whole store copied while the office runs, and looked at again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import FAILED, NOT_PERMITTED, Failed
from mailpost.cli.office import become_owner, open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, size

if TYPE_CHECKING:
    from mailpost.store.backup import Manifest


class _Backup(click.Group):
    """Its own commands, or the folder to write to."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take what is none of the commands for the folder."""
        if args[0] not in self.commands:
            args = ["write", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave options before the folder to the command that writes."""
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help", "-c", "--config"):
            args = ["write", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Backup,
    subcommand_metavar="FOLDER | verify FOLDER",
    epilog="""\b
Examples:
  mailpost backup /var/backups/mailpost
  mailpost backup verify /var/backups/mailpost
  mailpost restore /var/backups/mailpost""",
)
@config_option
def backup() -> None:
    """Copy the whole store into FOLDER, while the office runs or not.

    FOLDER is made, or empty, or has an earlier backup: then only new large letters are copied, and the
    earlier backup is there until the new one is whole. What was acknowledged before it began is in it.
    """


@backup.command(hidden=True)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def write(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Copy the whole store into FOLDER, while the office runs or not."""
    from mailpost.cli.progress import octets_bar  # noqa: PLC0415 - --help does not need it

    with open_office() as (_, store), octets_bar("backup") as told:
        try:
            manifest = store.back_up(folder, told)
        except PermissionError as error:
            raise Failed(
                NOT_PERMITTED,
                f"{error.filename or folder}: the owner of the store may not write there; give it to them",
            ) from None
    if as_json:
        click.echo(json.dumps(told_of(manifest), indent=2))
    else:
        click.echo(f"{folder} has {_words(manifest)}")


@backup.command(
    epilog="""\b
Examples:
  mailpost backup verify /var/backups/mailpost"""
)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def verify(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Read the backup in FOLDER, all of it, and say whether it is whole."""
    from mailpost.cli.progress import octets_bar  # noqa: PLC0415 - --help does not need it
    from mailpost.store.verify import verify as verified  # noqa: PLC0415

    become_owner(folder)
    with octets_bar("verify") as told:
        verdict = verified(folder, told)
    if as_json:
        click.echo(json.dumps({**told_of(verdict.manifest), "faults": verdict.faults}, indent=2))
    else:
        for fault in verdict.faults:
            click.echo(fault, err=True)
    if verdict.faults:
        raise Failed(FAILED, f"{folder} is damaged: {counted(len(verdict.faults), 'fault')}")
    if not as_json:
        click.echo(f"{folder} is whole: {_words(verdict.manifest)}")


def told_of(manifest: Manifest) -> dict[str, object]:
    """What a program is told of a backup."""
    return {
        "made": manifest.made,
        "accounts": manifest.accounts,
        "letters": manifest.letters,
        "octets": manifest.octets,
        "parcels": manifest.parcels,
    }


def _words(manifest: Manifest) -> str:
    return (
        f"{counted(manifest.letters, 'letter')} ({size(manifest.octets)})"
        f" of {counted(manifest.accounts, 'account')}, as of {manifest.made}"
    )
