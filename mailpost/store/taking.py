"""What the sweeper writes: a slice of letters taken away, a slice of pages given back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mailpost.store import sql, sql_keeping
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw


class Taken(NamedTuple):
    """What was taken away.

    :ivar letters: how many copies.
    :ivar parcels: files that no letter names any more.
    """

    letters: int
    parcels: list[str]


class Take(Operation[Taken]):
    """Take away at most ``limit`` letters of a maildrop that every view has let go of."""

    __slots__ = ("limit", "maildrop")

    def __init__(self, maildrop: int, limit: int) -> None:
        self.maildrop = maildrop
        self.limit = limit

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Take]) -> Sequence[Taken]:
        """One maildrop after the other."""
        return [taking.take(db) for taking in operations]

    def take(self, db: apsw.Connection) -> Taken:
        """Entries, their exceptions, letters without copies, and a closed maildrop when it is empty."""
        maildrop = self.maildrop
        gone = _rows(db, sql.BELOW_FLOORS, maildrop, maildrop, maildrop, self.limit)
        if len(gone) < self.limit:
            gone += _rows(db, sql.EXCEPTED_BY_ALL, maildrop, self.limit - len(gone))
        numbers = [number for number, _, _ in gone]
        if gone:
            _among(db, sql.TAKE_ENTRIES, numbers, maildrop)
            octets = sum(octets for _, _, octets in gone)
            db.execute(sql.LESSEN, (len(gone), octets, maildrop))
            span = (min(numbers), max(numbers))
            db.execute(sql_keeping.FORGET_FETCHED, (maildrop, *span, maildrop))
        # Also what was below all floors that count: a view that has lapsed may list it.
        _among(db, sql.TAKE_EXCEPTIONS, numbers, maildrop)
        parcels = _take_copies(db, Counter(letter for _, letter, _ in gone))
        if len(gone) < self.limit:
            db.execute(sql.TAKE_MAILDROP, (maildrop,))
        return Taken(len(gone), parcels)


class GiveBack(Operation[bool]):
    """Give at most ``pages`` unused pages back to the system, but keep ``keep``, or one of ``share``.

    Answers whether any was given back.
    """

    __slots__ = ("keep", "pages", "share")

    def __init__(self, pages: int, keep: int, share: int) -> None:
        self.pages = pages
        self.keep = keep
        self.share = share

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[GiveBack]) -> Sequence[bool]:
        """From the end of the file."""
        return [giving.give(db) for giving in operations]

    def give(self, db: apsw.Connection) -> bool:
        """One slice."""
        unused, total = int(db.pragma("freelist_count")), int(db.pragma("page_count"))
        keep = max(self.keep, total // self.share if self.share else 0)
        pages = min(self.pages, unused - keep)
        if pages <= 0:
            return False
        db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
        return True


def _take_copies(db: apsw.Connection, copies: Counter[int]) -> list[str]:
    for count in sorted(set(copies.values())):
        _among(db, sql.TAKE_COPIES, [letter for letter in copies if copies[letter] == count], count)
    letters = sorted(copies)
    parcels: list[str] = []
    for start, end in sql.portions(len(letters)):
        statement = sql.times(sql.PARCELS_LEFT, end - start)
        parcels += sql.told(db, statement, letters[start:end])
    _among(db, sql.TAKE_BODIES, letters)
    _among(db, sql.TAKE_LETTERS, letters)
    return parcels


def _rows(db: apsw.Connection, statement: str, *values: int) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = sql.told(db, statement, values)
    return found


def _among(db: apsw.Connection, statement: str, among: Sequence[int], *first: int) -> None:
    for start, end in sql.portions(len(among)):
        db.execute(sql.times(statement, end - start), (*first, *among[start:end]))
