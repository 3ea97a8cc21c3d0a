"""``mailpost user set``: how much an account may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import WRONG_USAGE, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import size

if TYPE_CHECKING:
    from mailpost.config import Config
    from mailpost.store import Account, Rules, Store

DEFAULT = "default"
_MOST = 1 << 60


def _octets(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> int | str | None:
    """``2G`` in octets; ``default`` and nothing stay as they are."""
    if value is None or value == DEFAULT:
        return value
    from mailpost.config_values import octets  # noqa: PLC0415 - loads pydantic

    read = octets(value)
    if not isinstance(read, int) or read > _MOST:
        raise click.BadParameter("a size such as 500M or 2G, 0 for none, or default")
    return read


@click.command(
    "set",
    epilog="""\b
Examples:
  mailpost user set alice --quota 2G
  mailpost user set alice --quota 0
  mailpost user set alice --quota default""",
)
@click.argument("name")
@click.option(
    "--quota",
    metavar="2G|0|default",
    callback=_octets,
    help="How much the maildrop may hold; 0: any amount; default: what keeping.quota says.",
)
@config_option
def set_(name: str, quota: int | str | None) -> None:
    """Set what holds of NAME's maildrop alone; a running office goes by it within a second.

    When the maildrop is full, letters for it are put off (452), and their senders try again for some days.
    Each letter counts once, however many devices are to have it; what lies in the bin does not count. NAME
    gets a letter when the maildrop is 80 per cent full, and again at 95.
    """
    if quota is None:
        raise Failed(WRONG_USAGE, "nothing to set: say --quota")
    with open_office() as (config, store):
        account = existing_account(name, store)
        store.keeping.set_quota(account, None if isinstance(quota, str) else quota)
        rules = rules_of(account, store, config)
    assert rules.quota is not None
    most = size(rules.quota) if rules.quota else "any amount"
    click.echo(f"{account.name} may hold {most}; there {_is(rules.held)} now")


def rules_of(account: Account, store: Store, config: Config) -> Rules:
    """What holds of an account."""
    (rules,) = [one for one in store.keeping.all() if one.account == account.name]
    return rules.filled(config.keeping.quota)


def _is(held: int) -> str:
    return f"is {size(held)}" if held else "is nothing"
