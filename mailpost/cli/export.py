"""``mailpost export``: letters are carried away, as files that other programs read."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailpost.cli.acting import acting_as, each_as, owner_of
from mailpost.cli.completing import account_names
from mailpost.cli.failures import CANNOT_CREATE, NO_USER, Failed
from mailpost.cli.named import checked_name, existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.carrying.outgoing import Target
    from mailpost.cli.acting import User
    from mailpost.store import Account, Store
    from mailpost.store.contents import Shown


@click.command(
    epilog="""\b
Examples:
  mailpost export alice maildir alice-Maildir
  mailpost export alice mbox alice.mbox --device phone
  mailpost export alice eml letters"""
)
@click.argument("name", shell_complete=account_names)
@click.argument("kind", metavar="FORMAT", type=click.Choice(["maildir", "mbox", "eml"]))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--device", metavar="DEVICE", help="What this device of NAME's sees.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def export(
    name: str,
    kind: str,
    path: Path,
    device: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Write the letters that wait for NAME to PATH.

    FORMAT is maildir, mbox or eml (a folder with a file for each letter). The unique-ids are written too,
    so that mailpost import has them again, and a Dovecot that serves the Maildir. Nothing is taken from
    NAME. Nothing is written twice: run the same command again for what is new, or after it was broken off.
    No other program should write to PATH meanwhile.
    """
    from mailpost.carrying import SourceError  # noqa: PLC0415 - --help does not need it
    from mailpost.carrying.files import EmlTarget, MaildirTarget  # noqa: PLC0415
    from mailpost.carrying.mbox_target import MboxTarget  # noqa: PLC0415
    from mailpost.carrying.outgoing import carry  # noqa: PLC0415
    from mailpost.cli.progress import progress  # noqa: PLC0415

    targets: dict[str, Callable[[Path], Target]]
    targets = {"maildir": MaildirTarget, "mbox": MboxTarget, "eml": EmlTarget}
    with open_office(carrying=True) as (config, store):
        account = existing_account(name, store)
        contents = store.contents(account, _view(account, device, store))
        owner = owner_of(path)
        try:
            with acting_as(owner):
                target = targets[kind](path)
        except SourceError as error:
            raise Failed(CANNOT_CREATE, str(error)) from None
        owned = _AsOwner(target, owner, owner_of(config.office.database))
        octets = sum(letter.octets for letter in contents.letters)
        with progress("export", octets, len(contents.letters)) as told:
            carried = carry(contents, owned, told)
    if as_json:
        told_of = {
            "account": account.name,
            "written": carried.written,
            "octets": carried.octets,
            "there": carried.there,
            "gone": carried.gone,
        }
        click.echo(json.dumps(told_of, indent=2))
    else:
        gone = f", {len(carried.gone)} collected meanwhile" if carried.gone else ""
        click.echo(
            f"{account.name}: {counted(carried.written, 'letter')} written to {path}"
            f" ({size(carried.octets)}), {carried.there} there already{gone}"
        )


def _view(account: Account, device: str | None, store: Store) -> int | None:
    if device is None:
        return None
    device = checked_name(device)
    for one in store.accounts.devices_of(account):
        if one.name == device:
            return one.view
    raise Failed(
        NO_USER,
        f"{account.name} has no device {device}; see them: mailpost device list {account.name}",
    )


class _AsOwner:
    """A target that is written as the owner of its place, with letters read as the store's."""

    def __init__(self, target: Target, owner: User | None, stores: User | None) -> None:
        self._target = target
        self._owner = owner
        self._stores = stores

    def has(self, letter: Shown) -> bool:
        with acting_as(self._owner):
            return self._target.has(letter)

    def put(self, letter: Shown, pieces: Callable[[], Iterator[bytes]]) -> None:
        with acting_as(self._owner):
            self._target.put(letter, partial(self._read, pieces))

    def finish(self) -> None:
        with acting_as(self._owner):
            self._target.finish()

    def _read(self, pieces: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        return each_as(self._stores, pieces())
