"""``mailpost domain``: the office's domains beside the configuration's, and what is set for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import BAD_DATA, NO_USER, WRONG_USAGE, Failed
from mailpost.cli.named import known_domains
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, harmless, show

if TYPE_CHECKING:
    from mailpost.store import Domain, Store

_NO_SEPARATOR = "none"
_SEPARATORS = ("+", "-", "=", "~", "#", _NO_SEPARATOR)

separator_option = click.option(
    "--separator",
    type=click.Choice(_SEPARATORS),
    help="What stands between a name and a detail of the user's own, as in alice+shop.",
)


@click.group()
@config_option
def domain() -> None:
    """Add, list and remove domains of the office, and say what holds in each.

    Those in office.domains of the configuration are there by themselves.
    """


@domain.command(
    epilog="""\b
Examples:
  mailpost domain add example.net
  mailpost domain add shop.example --aliases-only"""
)
@click.argument("name", metavar="DOMAIN")
@click.option(
    "--aliases-only", is_flag=True, help="Accounts' names are no addresses there, only aliases are."
)
@separator_option
@config_option
def add(name: str, aliases_only: bool, separator: str | None) -> None:  # noqa: FBT001 - click's flag
    """Take letters for DOMAIN from now on, in a running office too."""
    from mailpost.sorting import addresses  # noqa: PLC0415 - --help does not need it
    from mailpost.store import SEPARATOR, Domain  # noqa: PLC0415

    with open_office() as (config, store):
        name = addresses.domain(name)
        if name in config.office.domains:
            raise Failed(
                BAD_DATA,
                f"{name} is in the configuration already (office.domains); see: mailpost domain set",
            )
        known = store.addresses.domain(name)
        if known is not None and known.ours:
            raise Failed(BAD_DATA, f"{name} is there already; see: mailpost domain set")
        chosen = SEPARATOR if separator is None else _chosen(separator)
        wanted = Domain(name, accounts=not aliases_only, separator=chosen)
        store.addresses.change(lambda register: register.set_domain(wanted))
    what = "for aliases alone" if aliases_only else "for accounts' names and aliases"
    click.echo(f"letters for {name} are taken now, {what}")


@domain.command(
    "list",
    epilog="""\b
Examples:
  mailpost domain list
  mailpost domain list --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Print the office's domains, the configuration's first."""
    with open_office() as (config, store):
        configured = config.office.domains
        rows = [_row(one, configured, store) for one in known_domains(configured, store)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    show(
        ("domain", "from", "addresses", "separator", "aliases"),
        [
            (
                row["domain"],
                "the configuration" if row["configured"] else "a command",
                "accounts and aliases" if row["accounts"] else "aliases",
                row["separator"] or _NO_SEPARATOR,
                row["aliases"],
            )
            for row in rows
        ],
    )


@domain.command(
    "set",
    epilog="""\b
Examples:
  mailpost domain set example.org --separator none
  mailpost domain set shop.example --aliases-only""",
)
@click.argument("name", metavar="DOMAIN")
@click.option(
    "--accounts/--aliases-only",
    "accounts",
    default=None,
    help="Whether accounts' names are addresses there.",
)
@separator_option
@config_option
def set_(name: str, accounts: bool | None, separator: str | None) -> None:  # noqa: FBT001 - click's flag
    """Change what holds in DOMAIN, the configuration's too."""
    from attrs import evolve  # noqa: PLC0415 - --help does not need it

    if accounts is None and separator is None:
        raise Failed(
            WRONG_USAGE, "say what is to be changed: --accounts, --aliases-only, --separator"
        )
    with open_office() as (config, store):
        wanted = _existing(name, config.office.domains, store)
        if accounts is not None:
            wanted = evolve(wanted, accounts=accounts)
        if separator is not None:
            wanted = evolve(wanted, separator=_chosen(separator))
        store.addresses.change(lambda register: register.set_domain(wanted))
        row = _row(wanted, config.office.domains, store)
        notes = _left_behind(wanted.name, config.office.domains, store)
    names = "accounts' names and aliases" if row["accounts"] else "aliases alone"
    click.echo(f"{wanted.name}: {names}, separator {row['separator'] or _NO_SEPARATOR}")
    _note(notes)


@domain.command(
    epilog="""\b
Examples:
  mailpost domain remove example.net
  mailpost domain remove shop.example --with-aliases"""
)
@click.argument("name", metavar="DOMAIN")
@click.option("--with-aliases", is_flag=True, help="Remove its aliases, too.")
@config_option
def remove(name: str, with_aliases: bool) -> None:  # noqa: FBT001 - click's flag
    """Take letters for DOMAIN no longer. No letter that was kept is touched."""
    with open_office() as (config, store):
        known = _existing(name, config.office.domains, store)
        if known.name in config.office.domains:
            raise Failed(
                BAD_DATA,
                f"{known.name} stands in office.domains of the configuration; take it out there",
            )
        aliases = len({one.local for one in store.addresses.aliases_at(known.name)})
        if aliases and not with_aliases:
            raise Failed(
                BAD_DATA,
                f"{known.name} has {counted(aliases, 'alias', 'aliases')}; to remove them, too:"
                " --with-aliases",
            )
        store.addresses.change(lambda register: register.remove_domain(known.name))
        notes = _left_behind(known.name, config.office.domains, store)
    click.echo(f"letters for {known.name} are not taken any more")
    _note(notes)


def _left_behind(name: str, configured: tuple[str, ...], store: Store) -> list[str]:
    """Tell which aliases lead to addresses of a domain that are nobody's."""
    from mailpost.sorting.aliases import Survey  # noqa: PLC0415 - as above

    return Survey(store.addresses, configured).dangling(store.addresses.aliases_into(name))


def _note(notes: list[str]) -> None:
    for note in notes:
        click.echo(f"note: {harmless(note)}", err=True)


def _chosen(separator: str) -> str:
    return "" if separator == _NO_SEPARATOR else separator


def _existing(name: str, configured: tuple[str, ...], store: Store) -> Domain:
    from mailpost.sorting import addresses  # noqa: PLC0415 - as above

    wanted = addresses.domain(name)
    for one in known_domains(configured, store):
        if one.name == wanted:
            return one
    raise Failed(NO_USER, f"{wanted} is no domain of this office; see them: mailpost domain list")


def _row(one: Domain, configured: tuple[str, ...], store: Store) -> dict[str, object]:
    aliases = store.addresses.aliases_at(one.name)
    return {
        "domain": one.name,
        "configured": one.name in configured,
        "accounts": one.accounts,
        "separator": one.separator,
        "aliases": len({alias.local for alias in aliases}),
        "catch_all": [alias.target for alias in aliases if not alias.local],
    }
