"""``mailpost maildrop``: what is in each, how its views stand to it, and whether it is locked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mailpost.cli.completing import account_names
from mailpost.cli.failures import BAD_DATA, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, day, minute, moment, show, size

if TYPE_CHECKING:
    from mailpost.store import ListedMaildrop, ListedView

_LONGEST_REASON = 200
_MAIN = "(main)"


@click.group()
@config_option
def maildrop() -> None:
    """Look at maildrops, and lock them.

    Nobody collects from a maildrop that is locked, nor hands letters in; letters for it still come.
    """


@maildrop.command(
    "list",
    epilog="""\b
Examples:
  mailpost maildrop list
  mailpost maildrop list --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(*, as_json: bool) -> None:
    """Print every maildrop: what is kept in it, whoever has collected it, and when it was last opened."""
    with open_office() as (_, store):
        found = store.maildrops()
    if as_json:
        click.echo(json.dumps([_row(one) for one in found], indent=2))
    else:
        show(
            ("account", "letters", "size", "oldest", "last collected", "state"),
            [
                (
                    one.account,
                    one.letters,
                    size(one.octets),
                    day(one.oldest) if one.oldest is not None else None,
                    day(one.collected),
                    "open" if one.locked is None else _locked(one),
                )
                for one in found
            ],
        )


@maildrop.command(
    "show",
    epilog="""\b
Examples:
  mailpost maildrop show alice
  mailpost maildrop show alice --json""",
)
@click.argument("name", shell_complete=account_names)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def show_(name: str, *, as_json: bool) -> None:
    """Print how each view of NAME's maildrop stands to it: the main password's, and each device's.

    A view has let go of every letter up to its floor; of those above it, its waiting letters are still
    there. A letter leaves the store when every view that is in use has let go of it.
    """
    with open_office() as (_, store):
        account = existing_account(name, store)
        (found,) = [one for one in store.maildrops() if one.account == account.name]
        views = store.views(account)
    if as_json:
        told = _row(found) | {"views": [_view(one) for one in views]}
        click.echo(json.dumps(told, indent=2))
        return
    oldest = f", the oldest of {minute(found.oldest)} UTC" if found.oldest is not None else ""
    click.echo(
        f"{found.account}: {counted(found.letters, 'letter')} of {size(found.octets)} kept{oldest}"
    )
    if found.locked is not None:
        click.echo(f"{_locked(found)}; unlock it: mailpost maildrop unlock {found.account}")
    click.echo()
    show(
        ("view", "waiting", "floor", "last collected", "state"),
        [
            (one.device or _MAIN, one.waiting, one.floor, day(one.opened), _state(one))
            for one in views
        ],
    )


@maildrop.command(
    epilog="""\b
Examples:
  mailpost maildrop lock alice
  mailpost maildrop lock alice --reason 'ask the desk for a new password'"""
)
@click.argument("name", shell_complete=account_names)
@click.option("--reason", default="", help="A few words, told to whoever logs in.")
@config_option
def lock(name: str, reason: str) -> None:
    """Let nobody collect from NAME's maildrop, nor hand letters in as NAME.

    Letters for NAME still come in, and wait. Whoever is logged in is turned out within a second. Where it is
    locked already, it gets the new reason.
    """
    if len(reason) > _LONGEST_REASON or not (reason.isascii() and reason.isprintable()):
        raise Failed(
            BAD_DATA,
            f"a reason is one line of at most {_LONGEST_REASON} characters of US-ASCII, as POP3 has it",
        )
    with open_office() as (_, store):
        account = existing_account(name, store)
        store.locking.lock(account, reason)
    click.echo(f"{account.name} is locked; letters still come in")


@maildrop.command(
    epilog="""\b
Examples:
  mailpost maildrop unlock alice"""
)
@click.argument("name", shell_complete=account_names)
@config_option
def unlock(name: str) -> None:
    """Let NAME collect and hand letters in again."""
    with open_office() as (_, store):
        account = existing_account(name, store)
        was_locked = store.locking.unlock(account)
    click.echo(f"{account.name} is {'open again' if was_locked else 'not locked'}")


def _row(one: ListedMaildrop) -> dict[str, object]:
    locked = {"since": moment(one.locked), "reason": one.reason}
    return {
        "account": one.account,
        "letters": one.letters,
        "octets": one.octets,
        "oldest": moment(one.oldest),
        "collected": moment(one.collected),
        "locked": None if one.locked is None else locked,
    }


def _view(one: ListedView) -> dict[str, object]:
    return {
        "device": one.device,
        "collects": one.collects,
        "waiting": one.waiting if one.collects else 0,
        "floor": one.floor,
        "collected": moment(one.opened),
        "living": one.living,
    }


def _state(one: ListedView) -> str:
    if not one.collects:
        return "hands in alone"
    if one.living:
        return "in use"
    return "not in use yet" if one.opened is None else "lapsed"


def _locked(one: ListedMaildrop) -> str:
    why = f": {one.reason}" if one.reason else ""
    return f"locked since {day(one.locked)}{why}"
