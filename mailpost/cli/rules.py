"""``mailpost user set``: how much an account may hold, and for how long its letters are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import WRONG_USAGE, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import size
from mailpost.retention import Retention

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


def read_retention(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> Retention | str | None:
    """``30d``; ``default`` and nothing stay as they are."""
    if value is None or value == DEFAULT:
        return value
    try:
        return Retention.read(value)
    except ValueError:
        raise click.BadParameter("never, 30d, '30d after collected', or default") from None


@click.command(
    "set",
    epilog="""\b
Examples:
  mailpost user set alice --quota 2G
  mailpost user set alice --retention '30d after collected'
  mailpost user set alice --quota 0 --retention default""",
)
@click.argument("name")
@click.option(
    "--quota",
    metavar="2G|0|default",
    callback=_octets,
    help="How much the maildrop may hold; 0: any amount; default: what keeping.quota says.",
)
@click.option(
    "--retention",
    metavar="never|30d|default",
    callback=read_retention,
    help="When letters go by themselves; default: when keeping.retention says.",
)
@config_option
def set_(name: str, quota: int | str | None, retention: Retention | str | None) -> None:
    """Set what holds of NAME's maildrop alone; a running office goes by it within a second.

    When the maildrop is full, letters for it are put off (452), and their senders try again for some days.
    Each letter counts once, however many devices are to have it; what lies in the bin does not count. NAME
    gets a letter when the maildrop is 80 per cent full, and again at 95.

    Letters go by themselves so many days after they came, or, with "30d after collected", after every device
    that is in use has fetched them. They wait in the bin then. To see what would go: mailpost expire NAME
    --retention 30d --dry-run.
    """
    if quota is None and retention is None:
        raise Failed(WRONG_USAGE, "nothing to set: say --quota or --retention")
    with open_office() as (config, store):
        account = existing_account(name, store)
        if quota is not None:
            store.keeping.set_quota(account, None if isinstance(quota, str) else quota)
        if retention is not None:
            kept = None if isinstance(retention, str) else retention
            store.keeping.set_retention(account, kept)
        rules = rules_of(account, store, config)
    if quota is not None:
        most = size(rules.quota) if rules.quota else "any amount"
        held = f"is {size(rules.held)}" if rules.held else "is nothing"
        click.echo(f"{account.name} may hold {most}; there {held} now")
    if retention is not None:
        click.echo(f"letters of {account.name} go {when(rules.retention)}")


def rules_of(account: Account, store: Store, config: Config) -> Rules:
    """What holds of an account."""
    (rules,) = [one for one in store.keeping.all() if one.account == account.name]
    return rules.filled(config.keeping)


def when(retention: Retention | None) -> str:
    """Say when letters go."""
    if not retention or not retention.days:
        return "when they are deleted, and never by themselves"
    days = "1 day" if retention.days == 1 else f"{retention.days} days"
    return f"{days} after {'all have collected them' if retention.collected else 'they came'}"
