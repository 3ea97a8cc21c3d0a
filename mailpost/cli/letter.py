"""``mailpost letter``: when a letter came, from where, where it is now and who has collected it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from mailpost.cli import headers
from mailpost.cli.completing import account_names
from mailpost.cli.failures import BAD_DATA, NO_USER, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import cut, harmless, minute, moment, show, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.store import Account, Store
    from mailpost.store.fetched import Fetched
    from mailpost.store.tracing import Entry

_TRACE = re.compile(r"[0-9a-f]{16}")
_SHOWN = 20
_MAIN = "(main)"
_FROM = 24  # columns


class Letters(click.Group):
    """``letter ID`` is short for ``letter show ID``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take what is no command for a letter's id."""
        if args[0] not in self.commands and ("@" in args[0] or _TRACE.fullmatch(args[0].lower())):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


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

    with open_office() as (_, store):
        found: dict[str, list[tuple[Entry, list[Fetched]]]] = {}
        for entry, account in _find(name, store):
            views = store.fetched_by(account, entry.number)
            found.setdefault(entry.trace, []).append((entry, views))
    if not found:
        raise Failed(
            NO_USER,
            f"no letter {harmless(name)} is here; it may never have come, or all have let go of it",
        )
    if as_json:
        click.echo(json.dumps([_as_json(copies) for copies in found.values()], indent=2))
        return
    for place, copies in enumerate(found.values()):
        if place:
            click.echo()
        _print(copies)


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
                cut(harmless(_told(one, "From")), _FROM),
                _told(one, "Subject"),
            )
            for one in found
        ],
    )


def _find(name: str, store: Store) -> Iterator[tuple[Entry, Account]]:
    """Each copy of the letters that were meant, with whose maildrop it is in."""
    accounts = [one.account for one in store.accounts.all()]
    if _TRACE.fullmatch(name.lower()):
        letters = store.tracing.traced(name.lower())
        for account in accounts if letters else ():
            for entry in store.tracing.copies(account, letters):
                yield entry, account
        return
    if "@" not in name:
        raise Failed(
            BAD_DATA,
            f"{harmless(name)} is no trace id (16 hexadecimal digits), nor a Message-ID (with an @)",
        )
    from mailpost.cli.progress import progress  # noqa: PLC0415 - rich

    wanted = _bare(name.encode(errors="surrogateescape"))
    kept = store.figures()
    with progress("Reading headers", kept.octets, kept.letters) as told:
        for account in accounts:
            for entry in store.tracing.all(account):
                told(entry.octets)
                if _bare(headers.field(_header(entry), "Message-ID") or b"") == wanted:
                    yield entry, account


def _bare(message_id: bytes) -> bytes:
    return message_id.strip().removeprefix(b"<").removesuffix(b">")


def _header(entry: Entry) -> bytes:
    return headers.header_of(entry.postmark + entry.head)


def _told(entry: Entry, name: str) -> str:
    return headers.decoded(headers.field(_header(entry), name))


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


def _as_json(copies: list[tuple[Entry, list[Fetched]]]) -> dict[str, object]:
    first = copies[0][0]
    return {
        "trace": first.trace,
        "came": moment(first.arrived),
        "reverse_path": first.reverse_path,
        "received": _told(first, "Received"),
        "parcel": first.parcel,
        "from": _told(first, "From"),
        "subject": _told(first, "Subject"),
        "date": _told(first, "Date"),
        "message_id": _told(first, "Message-ID"),
        "copies": [
            {
                "account": entry.account,
                "delivered_to": _told(entry, "Delivered-To"),
                "number": entry.number,
                "uidl": entry.uidl,
                "octets": entry.octets,
                "views": [_view(one) for one in views],
            }
            for entry, views in copies
        ],
    }


def _view(one: Fetched) -> dict[str, object]:
    return {
        "device": one.device,
        "shown": not one.let_go,
        "holds": one.holds,
        "collected": moment(one.when),
    }


def _print(copies: list[tuple[Entry, list[Fetched]]]) -> None:
    first = copies[0][0]
    where = f"parcel {first.parcel}" if first.parcel else "the database"
    told = [
        ("letter", first.trace),
        ("came", f"{minute(first.arrived)} UTC"),
        ("received", _told(first, "Received") or "from nobody: the office has written it"),
        ("return to", f"<{first.reverse_path or ''}>"),
        ("size", f"{size(first.octets)}, in {where}"),
        ("from", _told(first, "From")),
        ("subject", _told(first, "Subject")),
        ("date", _told(first, "Date")),
        ("message id", _told(first, "Message-ID")),
    ]
    for what, text in told:
        if text:
            click.echo(f"{what:10}  {harmless(text)}")
    for entry, views in copies:
        click.echo(
            f"\nin {entry.account}'s maildrop, number {entry.number}, unique-id {entry.uidl}:"
        )
        show(
            ("view", "state", "collected (UTC)"),
            [(one.device or _MAIN, _state(one), _collected(one)) for one in views],
        )


def _collected(one: Fetched) -> str:
    return "not known" if one.when is None and one.let_go else minute(one.when)


def _state(one: Fetched) -> str:
    if one.let_go:
        return "let go"
    return "shown" if one.holds else "shown, not held"
