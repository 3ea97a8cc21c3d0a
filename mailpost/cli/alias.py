"""``mailpost alias``: addresses that lead to accounts. A running office sees each change at once."""

from __future__ import annotations

import json
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import BAD_DATA, NO_USER, Failed
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, harmless, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailpost.sorting.importing import Imported
    from mailpost.store import Alias

_ADDRESS = "ADDRESS"
_TARGET = "TARGET"


@click.group()
@config_option
def alias() -> None:
    """Add, list and remove aliases: addresses whose letters go to others, one or many.

    ADDRESS is info@example.org; @example.org for whatever nobody has in that domain; or info alone, which is
    an alias in every domain. A TARGET is an account, an alias, or an address of this office.
    """


@alias.command(
    epilog="""\b
Examples:
  mailpost alias add info@example.org alice
  mailpost alias add team alice bob carol
  mailpost alias add @example.org alice
  mailpost alias add alice alice bob"""
)
@click.argument("address", metavar=_ADDRESS)
@click.argument("targets", metavar=f"{_TARGET}...", nargs=-1, required=True)
@config_option
def add(address: str, targets: tuple[str, ...]) -> None:
    """Have letters for ADDRESS go to each TARGET, and to those that it has already.

    An alias goes before an account of its name. Where it names itself, the account is meant: the last example
    gives bob a copy of what alice gets.
    """
    from mailpost.sorting import addresses, aliases  # noqa: PLC0415 - --help does not need it

    with open_office() as (config, store):
        named = addresses.alias_address(address)
        wanted = [addresses.address(target) for target in targets]
        domains = config.office.domains
        notes = store.addresses.change(
            lambda register: aliases.add(register, domains, named, wanted)
        )
        now = store.addresses.alias(named.domain, named.local)
    click.echo(f"{_names(now)} goes to {_targets(now)} now")
    _note(notes)


@alias.command(
    "list",
    epilog="""\b
Examples:
  mailpost alias list
  mailpost alias list info@example.org --json""",
)
@click.argument("address", metavar=f"[{_ADDRESS}]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(address: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Print all aliases and their targets, or those of ADDRESS."""
    from mailpost.sorting import addresses  # noqa: PLC0415 - --help does not need it

    with open_office() as (_, store):
        if address is None:
            found = store.addresses.aliases()
        else:
            named = addresses.alias_address(address)
            found = store.addresses.alias(named.domain, named.local)
            if not found:
                raise _no_such(address)
    each = [list(rows) for _, rows in groupby(found, key=lambda one: one[:2])]
    if as_json:
        click.echo(json.dumps([_row(rows) for rows in each], indent=2))
    elif each:
        show(
            ("address", "where", "goes to"),
            [(_names(rows), _where(rows[0]), _targets(rows)) for rows in each],
        )
    else:
        click.echo("there are no aliases")


@alias.command(
    epilog="""\b
Examples:
  mailpost alias remove info@example.org
  mailpost alias remove team bob"""
)
@click.argument("address", metavar=_ADDRESS)
@click.argument("targets", metavar=f"[{_TARGET}...]", nargs=-1)
@config_option
def remove(address: str, targets: tuple[str, ...]) -> None:
    """Have letters for ADDRESS go to TARGET no longer; without any, to none of them."""
    from mailpost.sorting import addresses, aliases  # noqa: PLC0415 - --help does not need it

    with open_office() as (config, store):
        named = addresses.alias_address(address)
        unwanted = [addresses.address(target) for target in targets]
        domains = config.office.domains
        notes = store.addresses.change(
            lambda register: aliases.remove(register, domains, named, unwanted)
        )
        if notes is None:
            raise _no_such(address)
        left = store.addresses.alias(named.domain, named.local)
    name = addresses.shown(named.domain, named.local)
    click.echo(f"{name} goes to {_targets(left)} now" if left else f"{name} is no alias any more")
    _note(notes)


@alias.command(
    "import",
    epilog="""\b
Examples:
  mailpost alias import /etc/aliases --dry-run
  mailpost alias import /etc/aliases
  mailpost alias import team.aliases --domain example.org""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Tell what would come of it, and change nothing.")
@click.option("--domain", help="Have the names be aliases in this domain alone.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def import_(file: Path, dry_run: bool, domain: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's
    """Take over FILE, as Postfix and sendmail have it: aliases(5).

    Its names become aliases in every domain, each with exactly the targets that FILE gives it. All of it is
    taken over or, where there is a mistake, nothing. A command, a file, an address elsewhere and a name that
    nobody has are left out, and told.
    """
    from mailpost.sorting import addresses, importing  # noqa: PLC0415 - --help does not need it
    from mailpost.sorting.aliases_file import AliasesError, read_aliases  # noqa: PLC0415

    try:
        read = read_aliases(file)
    except AliasesError as error:
        raise Failed(BAD_DATA, *map(harmless, error.mistakes), "nothing was changed") from None
    with open_office() as (config, store):
        into = addresses.domain(domain) if domain is not None else ""
        work = partial(importing.install, domains=config.office.domains, file=read, domain=into)
        imported = store.addresses.change(work, dry=dry_run)
    if as_json:
        click.echo(json.dumps(_imported(imported, dry_run=dry_run), indent=2))
        return
    for one in imported.left_out:
        click.echo(f"{one.place}: left out: {harmless(one.text)} ({one.why})", err=True)
    _note(imported.notes)
    would = "would be " if dry_run else ""
    click.echo(
        f"{counted(imported.added, 'alias', 'aliases')} {would}added, {imported.changed} {would}changed,"
        f" {imported.same} as before, {len(imported.left_out)} left out"
    )


def _no_such(address: str) -> Failed:
    return Failed(
        NO_USER, f"there is no alias {harmless(address)}; see them all: mailpost alias list"
    )


def _note(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"note: {harmless(note)}", err=True)


def _names(rows: Sequence[Alias]) -> str:
    from mailpost.sorting.addresses import shown  # noqa: PLC0415 - as above

    return shown(rows[0].domain, rows[0].local)


def _targets(rows: Sequence[Alias]) -> str:
    return ", ".join(_each(rows))


def _each(rows: Sequence[Alias]) -> list[str]:
    from mailpost.sorting.addresses import read  # noqa: PLC0415 - as above

    return [str(read(one.target)) for one in rows]


def _where(one: Alias) -> str:
    if not one.domain:
        return "every domain"
    return "its domain" if one.local else "what nobody has"


def _row(rows: Sequence[Alias]) -> dict[str, object]:
    return {
        "address": _names(rows),
        "everywhere": not rows[0].domain,
        "catch_all": not rows[0].local,
        "targets": _each(rows),
    }


def _imported(imported: Imported, *, dry_run: bool) -> dict[str, object]:
    return {
        "added": imported.added,
        "changed": imported.changed,
        "same": imported.same,
        "dry_run": dry_run,
        "left_out": [
            {"file": one.place.file, "line": one.place.line, "text": one.text, "why": one.why}
            for one in imported.left_out
        ],
        "notes": list(imported.notes),
    }
