"""``mailpost letter``: when a letter came, from where, where it is now and who has collected it."""

from __future__ import annotations

import json
from email.utils import parseaddr
from typing import TYPE_CHECKING

import click

from mailpost.cli import headers, traces
from mailpost.cli.completing import account_names
from mailpost.cli.failures import BAD_DATA, NO_USER, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import cut, harmless, minute, moment, show, size

if TYPE_CHECKING:
    from mailpost.store.tracing import Entry

_SHOWN = 20
_FROM = 18  # columns


class Letters(click.Group):
    """``letter ID`` is short for ``letter show ID``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take what is no command for a letter's id."""
        if args[0] not in self.commands and _is_id(args[0]):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def _is_id(text: str) -> bool:
    return "@" in text or bool(traces.TRACE.fullmatch(text.lower()))


@click.group(cls=Letters)
@config_option
def letter() -> None:
    """Trace a letter: when it came, where it is, who has it.

    A letter's trace id is in the 250 that its sender heard, in the log, and in its Received line.
    letter ID is short for letter show ID.
    """


@letter.command(
    "show",
    epilog="""\b
Examples:
  mailpost letter 0123456789abcdef
  mailpost letter '<20260504.1@example.net>' --json""",
)
@click.argument("name", metavar="TRACE-ID|MESSAGE-ID")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects, one a letter.")
@config_option
def show_(name: str, *, as_json: bool) -> None:
    """Print where a letter is, and how each view stands to it.

    For a Message-ID all headers are read through, since letters are not indexed by what is in them.
    Who has collected it is known of letters that are still there for somebody.
    """
    from mailpost.cli.progress import progress  # noqa: F401, PLC0415 - before root becomes the owner

    if not _is_id(name):
        raise Failed(
            BAD_DATA,
            f"{harmless(name)} is no trace id (16 hexadecimal digits), nor a Message-ID (with an @)",
        )
    with open_office() as (_, store):
        found = traces.find(name, store)
    if not found:
        raise Failed(
            NO_USER,
            f"no letter {harmless(name)} is here; it may never have come, or all have let go of it",
        )
    if as_json:
        click.echo(json.dumps([traces.as_json(one) for one in found], indent=2))
        return
    for place, one in enumerate(found):
        if place:
            click.echo()
        traces.tell(one)


@letter.command(
    "list",
    epilog="""\b
Examples:
  mailpost letter list alice
  mailpost letter list alice --limit 100 --json""",
)
@click.argument("name", shell_complete=account_names)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_SHOWN,
    show_default=True,
    help="How many at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(name: str, limit: int, *, as_json: bool) -> None:
    """Print the latest letters of NAME's maildrop, whoever has collected them, the latest first."""
    with open_office() as (_, store):
        account = existing_account(name, store)
        found = list(store.tracing.latest(account, limit))
    if as_json:
        click.echo(json.dumps([_row(one) for one in found], indent=2))
        return
    show(
        ("trace id", "came (UTC)", "size", "from", "subject"),
        [
            (
                one.trace,
                minute(one.arrived),
                size(one.octets),
                cut(harmless(_author(one)), _FROM),
                _told(one, "Subject"),
            )
            for one in found
        ],
    )


def _author(entry: Entry) -> str:
    """The author's name, or address where there is no name."""
    told = _told(entry, "From")
    name, address = parseaddr(told)
    return name or (address if "@" in address else told)


def _told(entry: Entry, name: str) -> str:
    return headers.decoded(headers.field(headers.header_of(entry.postmark + entry.head), name))


def _row(entry: Entry) -> dict[str, object]:
    return {
        "trace": entry.trace,
        "number": entry.number,
        "uidl": entry.uidl,
        "came": moment(entry.arrived),
        "octets": entry.octets,
        "from": _told(entry, "From"),
        "subject": _told(entry, "Subject"),
        "date": _told(entry, "Date"),
        "message_id": _told(entry, "Message-ID"),
    }
