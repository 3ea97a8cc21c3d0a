"""``mailpost device``: a password and a view of one's own for each phone and laptop."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import click

from mailpost.cli.completing import account_names, device_names
from mailpost.cli.failures import BAD_DATA, NO_USER, Failed
from mailpost.cli.named import checked_name, existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import day, moment, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.store import Account, ListedDevice, Store

_DAY = 86_400
_BEGIN = re.compile(r"([1-9][0-9]{0,4})d")
_RIGHTS = {"collect": 1, "submit": 2, "both": 3}  # as mailpost.store.Rights


def _begin(_ctx: click.Context, _parameter: click.Parameter, value: str) -> int | None:
    """``all``, ``now`` or ``30d``: from when on, in seconds since 1970; None: from now on."""
    if value == "all":
        return 0
    if value == "now":
        return None
    days = _BEGIN.fullmatch(value)
    if days is None:
        raise click.BadParameter("all, now, or a number of days such as 30d")
    return int(time.time()) - int(days[1]) * _DAY


@click.group()
@config_option
def device() -> None:
    """Give each phone and laptop a password and a view of its own.

    What is deleted on one is still there for the others. A letter leaves the store when all of them have let
    go of it; a device that was not seen for office.device_lapse days is not waited for.
    """


@device.command(
    epilog="""\b
Examples:
  mailpost device add alice phone
  mailpost device add alice archive --from all --rights collect
  mailpost device add alice scanner --rights submit"""
)
@click.argument("name", shell_complete=account_names)
@click.argument("device_name", metavar="DEVICE")
@click.option(
    "--from",
    "since",
    metavar="now|30d|all",
    default="30d",
    show_default=True,
    callback=_begin,
    help="Which letters it begins with: those yet to come, those of so many days, or all.",
)
@click.option(
    "--rights",
    type=click.Choice(list(_RIGHTS)),
    default="both",
    show_default=True,
    help="Whether it may collect letters, hand them in, or both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def add(
    name: str,
    device_name: str,
    since: int | None,
    rights: str,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Give NAME's DEVICE a password, and print it, once.

    It logs in as NAME with that password.
    """
    from mailpost.accounts.scram import (  # noqa: PLC0415 - --help does not need it
        KeyMaker,
        device_digest,
        device_password,
        encode,
    )
    from mailpost.store import Rights  # noqa: PLC0415 - nor SQLite

    device_name = checked_name(device_name)
    with open_office() as (_, store):
        account = existing_account(name, store)
        if device_name in _names(account, store):
            raise Failed(BAD_DATA, f"{account.name} has a device {device_name} already")
        password = device_password()
        keys = KeyMaker(store.secret, store.iterations).make(account.name, password)
        store.devices.add(
            account,
            device_name,
            digest=device_digest(store.secret, account.name, password.encode()),
            scram=encode(keys),
            rights=Rights(_RIGHTS[rights]),
            since=since,
        )
    if as_json:
        told = {"account": account.name, "device": device_name, "password": password}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"login name: {account.name}")
        click.echo(f"password:   {password}")
        click.echo("It is not kept, and so cannot be shown again.", err=True)


@device.command(
    "list",
    epilog="""\b
Examples:
  mailpost device list
  mailpost device list alice --json""",
)
@click.argument("name", required=False, shell_complete=account_names)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(name: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Print the devices of NAME, or of everybody, and how they fare."""
    with open_office() as (_, store):
        found = store.devices.all()
        if name is not None:
            account = existing_account(name, store)
            found = [one for one in found if one.account == account.name]
    if as_json:
        click.echo(json.dumps([_row(one) for one in found], indent=2))
    else:
        _print(found)


@device.command(
    epilog="""\b
Examples:
  mailpost device remove alice phone"""
)
@click.argument("name", shell_complete=account_names)
@click.argument("device_name", metavar="DEVICE", shell_complete=device_names)
@config_option
def remove(name: str, device_name: str) -> None:
    """Take DEVICE's password away; a running office ends its sessions within a second.

    Letters that were kept for it alone are removed.
    """
    with open_office() as (_, store):
        account, device_name = _existing(name, device_name, store)
        store.devices.remove(account, device_name)
    click.echo(f"{account.name}'s {device_name} is removed")


@device.command(
    epilog="""\b
Examples:
  mailpost device rename alice phone old-phone"""
)
@click.argument("name", shell_complete=account_names)
@click.argument("device_name", metavar="DEVICE", shell_complete=device_names)
@click.argument("new", metavar="NEW")
@config_option
def rename(name: str, device_name: str, new: str) -> None:
    """Call DEVICE by another name; its password and its letters stay as they are."""
    new = checked_name(new)
    with open_office() as (_, store):
        account, device_name = _existing(name, device_name, store)
        if new in _names(account, store):
            raise Failed(BAD_DATA, f"{account.name} has a device {new} already")
        store.devices.rename(account, device_name, new)
    click.echo(f"{account.name}'s {device_name} is {new} now")


def _names(account: Account, store: Store) -> set[str]:
    return {one.name for one in store.accounts.devices_of(account)}


def _existing(name: str, device_name: str, store: Store) -> tuple[Account, str]:
    account = existing_account(name, store)
    device_name = checked_name(device_name)
    if device_name not in _names(account, store):
        raise Failed(
            NO_USER,
            f"{account.name} has no device {device_name}; see them: mailpost device list {account.name}",
        )
    return account, device_name


def _rights(one: ListedDevice) -> str:
    return next(word for word, rights in _RIGHTS.items() if rights == one.device.rights)


def _row(one: ListedDevice) -> dict[str, object]:
    return {
        "account": one.account,
        "device": one.device.name,
        "rights": _rights(one),
        "made": moment(one.made),
        "seen": moment(one.seen),
        "letters": one.letters,
        "lapsed": one.lapsed,
    }


def _print(found: Sequence[ListedDevice]) -> None:
    show(
        ("account", "device", "rights", "made", "last seen", "state", "letters"),
        [
            (
                one.account,
                one.device.name,
                _rights(one),
                day(one.made),
                day(one.seen),
                "lapsed" if one.lapsed else "in use",
                one.letters,
            )
            for one in found
        ],
    )
