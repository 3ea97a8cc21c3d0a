"""A letter's traces: in which maildrops it is, who has collected it, and whether it lies in the bin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
from attrs import define, field

from mailpost.cli import headers
from mailpost.cli.table import labelled, minute, moment, show, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.store import Account, Binned, Store
    from mailpost.store.fetched import Fetched
    from mailpost.store.tracing import Entry

TRACE = re.compile(r"[0-9a-f]{16}")
MAIN = "(main)"


@define
class Traces:
    """What is known of one letter.

    :ivar header: as a copy of it has it, with the postmark where it is still in a maildrop.
    :ivar came: in seconds since 1970.
    :ivar parcel: the file that has its body; None: the database has it.
    :ivar copies: those that are in maildrops, and how each view stands to them.
    :ivar binned: those that are in the bin, with whose they were.
    """

    trace: str
    header: bytes = field(repr=False)
    came: int
    reverse_path: str | None
    octets: int
    parcel: str | None = None
    copies: list[tuple[Entry, list[Fetched]]] = field(factory=list)
    binned: list[tuple[str, Binned]] = field(factory=list)

    def told(self, name: str) -> str:
        """What a field of the header says; ``""`` where there is none."""
        return headers.decoded(headers.field(self.header, name))


def find(name: str, store: Store) -> list[Traces]:
    """Find the letters that are meant, wherever they are.

    :param name: a trace id, or a Message-ID with an ``@``.
    """
    found: dict[str, Traces] = {}
    for entry, account in _kept(name, store):
        if entry.trace not in found:
            header = headers.header_of(entry.postmark + entry.head)
            found[entry.trace] = Traces(
                entry.trace, header, entry.arrived, entry.reverse_path, entry.octets, entry.parcel
            )
        views = store.fetched_by(account, entry.number)
        found[entry.trace].copies.append((entry, views))
    for binned, owner in _in_bin(name, store):
        if binned.trace not in found:
            header = headers.header_of(store.head(binned.letter))
            found[binned.trace] = Traces(
                binned.trace, header, binned.arrived, binned.reverse_path, binned.octets
            )
        found[binned.trace].binned.append((owner, binned))
    return list(found.values())


def _kept(name: str, store: Store) -> Iterator[tuple[Entry, Account]]:
    """Each copy that is in a maildrop, with whose it is."""
    accounts = [one.account for one in store.accounts.all()]
    if TRACE.fullmatch(name.lower()):
        letters = store.tracing.traced(name.lower())
        for account in accounts if letters else ():
            for entry in store.tracing.copies(account, letters):
                yield entry, account
        return
    from mailpost.cli.progress import progress  # noqa: PLC0415 - rich

    wanted, kept = _bare(name.encode(errors="surrogateescape")), store.figures()
    with progress("Reading headers", kept.octets, kept.letters) as told:
        for account in accounts:
            for entry in store.tracing.all(account):
                told(entry.octets)
                if message_id(headers.header_of(entry.postmark + entry.head)) == wanted:
                    yield entry, account


def _in_bin(name: str, store: Store) -> Iterator[tuple[Binned, str]]:
    """The same of what has been deleted."""
    trace = name.lower() if TRACE.fullmatch(name.lower()) else None
    wanted = _bare(name.encode(errors="surrogateescape"))
    for one in store.accounts.all():
        for binned in store.bin.of(one.account):
            if trace is None:
                meant = message_id(headers.header_of(store.head(binned.letter))) == wanted
            else:
                meant = binned.trace == trace
            if meant:
                yield binned, one.account.name


def message_id(header: bytes) -> bytes:
    """The Message-ID without its brackets; ``b""`` where there is none."""
    return _bare(headers.field(header, "Message-ID") or b"")


def _bare(text: bytes) -> bytes:
    return text.strip().removeprefix(b"<").removesuffix(b">")


def as_json(one: Traces) -> dict[str, object]:
    """Tell it to a program."""
    return {
        "trace": one.trace,
        "came": moment(one.came),
        "reverse_path": one.reverse_path,
        "received": one.told("Received") if one.copies else None,
        "parcel": one.parcel,
        "from": one.told("From"),
        "subject": one.told("Subject"),
        "date": one.told("Date"),
        "message_id": one.told("Message-ID"),
        "copies": [
            {
                "account": entry.account,
                "delivered_to": headers.decoded(
                    headers.field(headers.header_of(entry.postmark), "Delivered-To")
                ),
                "number": entry.number,
                "uidl": entry.uidl,
                "octets": entry.octets,
                "views": [_view(view) for view in views],
            }
            for entry, views in one.copies
        ],
        "bin": [
            {"account": account, "number": binned.number, "deleted": moment(binned.gone)}
            for account, binned in one.binned
        ],
    }


def _view(one: Fetched) -> dict[str, object]:
    return {
        "device": one.device,
        "shown": not one.let_go,
        "holds": one.holds,
        "collected": moment(one.when),
    }


def tell(one: Traces) -> None:
    """Tell it to a person."""
    where = f"parcel {one.parcel}" if one.parcel else "the database"
    brought = any(not entry.postmark for entry, _ in one.copies)
    unsaid = "elsewhere, and brought here" if brought else "from nobody: the office has written it"
    received = one.told("Received") or unsaid
    told = [
        ("letter", one.trace),
        ("came", f"{minute(one.came)} UTC"),
        ("received", received if one.copies else ""),  # in the bin there is no postmark to be read
        ("return to", f"<{one.reverse_path or ''}>"),
        ("size", f"{size(one.octets)}, in {where}" if one.copies else size(one.octets)),
        ("from", one.told("From")),
        ("subject", one.told("Subject")),
        ("date", one.told("Date")),
        ("message id", one.told("Message-ID")),
    ]
    for what, text in told:
        if text:
            labelled(what, text)
    for entry, views in one.copies:
        click.echo(
            f"\nin {entry.account}'s maildrop, number {entry.number}, unique-id {entry.uidl}:"
        )
        show(
            ("view", "state", "collected (UTC)"),
            [(view.device or MAIN, _state(view), _collected(view)) for view in views],
        )
    for account, binned in one.binned:
        click.echo(
            f"\nin the bin, deleted {minute(binned.gone)} UTC, out of {account}'s maildrop;"
            f" mailpost undelete {account} brings it back"
        )


def _collected(one: Fetched) -> str:
    return "not known" if one.when is None and one.let_go else minute(one.when)


def _state(one: Fetched) -> str:
    if one.let_go:
        return "let go"
    return "shown" if one.holds else "shown, not held"
