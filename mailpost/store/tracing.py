"""Tracing letters for people: by trace id, by what their headers say, the latest of a maildrop.

Letters are not indexed by what is in them, nor their copies by the letter: whoever looks for one reads along
whole maildrops, in small portions, since no read may last long. Everything here blocks: it is for the command
line.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from mailpost.store import sql_desk
from mailpost.store.contents import made_uidl

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    import apsw

    from mailpost.store.accounts import Account
    from mailpost.store.parcels import Parcels
    from mailpost.store.readers import Readers

HEAD = 64 * 1024  # octets of a body in which its header is looked for
PORTION = 64  # letters read at once, with their heads
FEW = 4096  # and without
_ABOVE_ALL = (1 << 63) - 1


@frozen
class Entry:
    """A copy of a letter in an account's maildrop.

    :ivar uidl: its unique-id.
    :ivar octets: as collection sends it.
    :ivar arrived: in seconds since 1970.
    :ivar trace: the letter's, the same in all its copies.
    :ivar reverse_path: whom it came from; None is the null reverse-path ``<>``, or not known.
    :ivar parcel: the file that has its body; None: the database has it.
    :ivar postmark: what the office has put on top of this copy.
    :ivar head: how its body begins.
    """

    account: str
    number: int
    uidl: str
    octets: int
    arrived: int
    trace: str
    reverse_path: str | None
    parcel: str | None
    postmark: bytes = field(repr=False)
    head: bytes = field(repr=False)


class Tracing:
    """Reads along maildrops."""

    def __init__(self, readers: Readers, parcels: Parcels, epoch: str) -> None:
        self._readers = readers
        self._parcels = parcels
        self._epoch = epoch

    def traced(self, trace: str) -> set[int]:
        """The letters that bear a trace id: one, or none."""
        return self._readers.call(_traced, trace)

    def copies(self, account: Account, letters: Container[int]) -> Iterator[Entry]:
        """Which of an account's letters are among these."""
        after, more = 0, True
        while more:
            listed: list[tuple[int, int]] = self._readers.call(
                _all, sql_desk.WHICH, account.maildrop, after, FEW
            )
            more = len(listed) == FEW
            for number, letter in listed:
                after = number
                if letter in letters:
                    yield from self._entries(account, sql_desk.HEAD, number)

    def all(self, account: Account) -> Iterator[Entry]:
        """Each of an account's letters, the oldest first."""
        after, more = 0, True
        while more:
            found = self._entries(account, sql_desk.HEADS, after, PORTION)
            more = len(found) == PORTION
            for entry in found:
                after = entry.number
                yield entry

    def latest(self, account: Account, limit: int) -> Iterator[Entry]:
        """The latest letters of an account, the very latest first."""
        below = _ABOVE_ALL
        while limit > 0:
            found = self._entries(account, sql_desk.LATEST_HEADS, below, min(limit, PORTION))
            if not found:
                return
            yield from found
            limit -= len(found)
            below = found[-1].number

    def _entries(self, account: Account, statement: str, *values: int) -> list[Entry]:
        rows = self._readers.call(_all, statement, HEAD, account.maildrop, *values)
        return [self._entry(account, row) for row in rows]

    def _entry(self, account: Account, row: tuple[Any, ...]) -> Entry:
        number, octets, arrived, uidl, postmark, trace, reverse_path, parcel, head = row
        return Entry(
            account.name,
            number,
            uidl or made_uidl(self._epoch, account.maildrop, number),
            octets,
            arrived,
            trace,
            reverse_path,
            parcel,
            postmark,
            self._begin(parcel) if head is None else head,
        )

    def _begin(self, parcel: str | None) -> bytes:
        """How a parcel begins; ``b""`` where it has been taken away meanwhile."""
        try:
            file = self._parcels.open(parcel or "")
        except OSError:
            return b""
        try:
            return os.read(file, HEAD)
        finally:
            os.close(file)


def _traced(db: apsw.Connection, trace: str) -> set[int]:
    return {int(row[0]) for row in db.execute(sql_desk.TRACED, (trace,))}


def _all(db: apsw.Connection, statement: str, *values: int) -> list[Any]:
    return db.execute(statement, values).fetchall()
