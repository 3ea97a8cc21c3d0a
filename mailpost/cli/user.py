"""``mailpost user``: who has an account. A running office sees each change at once."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from mailpost.cli.completing import account_names
from mailpost.cli.failures import BAD_DATA, WRONG_USAGE, Failed
from mailpost.cli.named import checked_name, existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option, password_line
from mailpost.cli.rules import set_
from mailpost.cli.table import show, size

if TYPE_CHECKING:
    from mailpost.store import Listed, Rules, Store

_POSTMASTER = "postmaster"

password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password, one line, from standard input."
)


@click.group()
@config_option
def user() -> None:
    """Add, list and remove accounts, change passwords, and set what is kept for how long."""


user.add_command(set_)


@user.command(
    epilog="""\b
Examples:
  mailpost user add alice
  printf '%s\\n' 'a long secret' | mailpost user add alice --password-stdin"""
)
@click.argument("name")
@password_stdin
@click.option(
    "--no-password",
    is_flag=True,
    help="For logins that another checker decides on (twistd --auth).",
)
@click.option(
    "--alias-stays",
    is_flag=True,
    help="Although an alias of this name gets the mail, and not NAME.",
)
@config_option
def add(name: str, password_stdin: bool, no_password: bool, alias_stays: bool) -> None:  # noqa: FBT001 - click's flags
    """Give NAME an account and a maildrop.

    The password is asked for twice. Mail for NAME at any domain of the office goes there.
    """
    from mailpost.sorting.aliases import Survey  # noqa: PLC0415 - --help does not need it

    if password_stdin and no_password:
        raise Failed(WRONG_USAGE, "--password-stdin and --no-password exclude each other")
    name = checked_name(name)
    with open_office() as (config, store):
        if store.accounts.find(name) is not None:
            raise Failed(BAD_DATA, f"there is an account {name} already")
        if not alias_stays:
            _refuse_an_aliass_name(name, store)
        kept = (
            (None, None) if no_password else _new_password(name, store, from_stdin=password_stdin)
        )
        store.accounts.add(name, *kept)
        click.echo(f"{name}@{config.office.domains[0]} has a maildrop now; login name: {name}")
        for note in Survey(store.addresses, config.office.domains).put_aside(name):
            click.echo(f"note: {note}", err=True)


@user.command(
    "list",
    epilog="""\b
Examples:
  mailpost user list
  mailpost user list --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Print who has an account, what waits there, and how much the maildrop holds of what it may.

    What waits is what the main password shows; what is held is there for any of the devices.
    """
    with open_office() as (config, store):
        found = store.accounts.all()
        rules = {one.account: one.filled(config.keeping) for one in store.keeping.all()}
    everyone = [(one, rules[one.account.name]) for one in found if one.account.name in rules]
    if as_json:
        rows = [
            {
                "name": one.account.name,
                "letters": one.letters,
                "octets": one.octets,
                "held": held.held,
                "quota": held.quota or None,
                "retention": str(held.retention),
                "password": one.account.password is not None,
            }
            for one, held in everyone
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        _print(everyone)


@user.command(
    epilog="""\b
Examples:
  mailpost user passwd alice
  printf '%s\\n' 'a longer secret' | mailpost user passwd alice --password-stdin
  mailpost user passwd alice --readable"""
)
@click.argument("name", shell_complete=account_names)
@password_stdin
@click.option(
    "--readable",
    is_flag=True,
    help="Keep the password readable as well, for APOP (office.apop). Whoever gets the store can read it.",
)
@config_option
def passwd(name: str, password_stdin: bool, readable: bool) -> None:  # noqa: FBT001 - click's flags
    """Give NAME another password; the old one is no longer good at once."""
    with open_office() as (_, store):
        account = existing_account(name, store)
        kept = _new_password(account.name, store, from_stdin=password_stdin, readable=readable)
        store.accounts.set_password(account.name, *kept)
    click.echo(f"{account.name} has a new password")


@user.command(
    epilog="""\b
Examples:
  mailpost user remove alice
  mailpost user remove alice --yes"""
)
@click.argument("name", shell_complete=account_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
def remove(name: str, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Remove NAME's account and all its letters, for good: those in the bin, too.

    Aliases that lead to NAME stay, and are named.
    """
    from mailpost.sorting.aliases import Survey  # noqa: PLC0415 - --help does not need it

    with open_office() as (config, store):
        account = existing_account(name, store)
        if account.name == _POSTMASTER:
            raise Failed(BAD_DATA, "every office has a postmaster (RFC 5321), this one stays")
        if account.name == (config.office.postmaster or "").lower():
            raise Failed(
                BAD_DATA,
                f"{account.name} gets postmaster's mail; see office.postmaster in the config",
            )
        if not yes:
            _confirm(account.name, store.accounts.all())
        store.accounts.remove(account.name)
        survey = Survey(store.addresses, config.office.domains)
        notes = survey.dangling(store.addresses.aliases_of(account.name))
    click.echo(f"{account.name} is removed")
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _refuse_an_aliass_name(name: str, store: Store) -> None:
    """An alias goes before an account: whoever gets one of its name would get no mail."""
    targets = store.addresses.find("", name).here
    if targets and name not in targets:
        raise Failed(
            BAD_DATA,
            f"{name} is an alias of {', '.join(targets)} in every domain, which would get the mail"
            f" of {name}",
            f"first say: mailpost alias remove {name}; or add the account all the same: --alias-stays",
        )


def _confirm(name: str, everyone: list[Listed]) -> None:
    letters = next((one.letters for one in everyone if one.account.name == name), 0)
    if not sys.stdin.isatty():
        raise Failed(WRONG_USAGE, "no terminal to ask on; to remove without asking: --yes")
    what = f"{letters} letter{'' if letters == 1 else 's'}"
    click.confirm(f"Remove {name} and {what}, for good?", abort=True)


def _new_password(
    name: str, store: Store, *, from_stdin: bool, readable: bool = False
) -> tuple[str, str | None, str | None]:
    """Ask for a password; its hash, its keys for SCRAM, and itself where it is to be kept readable."""
    from mailpost.accounts.passwords import BadPassword, encode  # noqa: PLC0415 - loads argon2
    from mailpost.accounts.scram import KeyMaker, keys_to_keep  # noqa: PLC0415

    if from_stdin:
        password = password_line()
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Again").encode()
    else:
        raise Failed(
            WRONG_USAGE,
            "no terminal to ask for a password on; give it on one line: --password-stdin",
        )
    try:
        encoded = encode(password)
    except BadPassword as error:
        raise Failed(BAD_DATA, str(error)) from None
    keys = keys_to_keep(KeyMaker(store.secret, store.iterations), name, password)
    if keys is None:
        click.echo(
            "SCRAM has no form for this password: it is good for PLAIN, LOGIN and USER alone"
        )
    return encoded, keys, password.decode() if readable else None


def _print(everyone: list[tuple[Listed, Rules]]) -> None:
    show(
        ("name", "letters", "size", "held", "quota", "kept for", "password"),
        [
            (
                one.account.name,
                one.letters,
                size(one.octets),
                size(held.held),
                size(held.quota) if held.quota else None,
                str(held.retention),
                "yes" if one.account.password else "none",
            )
            for one, held in everyone
        ],
    )
