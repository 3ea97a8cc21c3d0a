"""What the sweeper writes: a slice of letters taken away, a slice of pages given back.

What every view has let go of goes into the bin, where there is one, and out of it later. Only then is a
letter gone that has no other copy.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mailpost.store import sql, sql_keeping
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

_NEVER = 1 << 62


class Taken(NamedTuple):
    """What was taken away.

    :ivar letters: how many copies.
    :ivar octets: of those together.
    :ivar parcels: files that no letter names any more.
    """

    letters: int
    octets: int
    parcels: list[str]


class Take(Operation[Taken]):
    """Take away at most ``limit`` letters of a maildrop that every view has let go of.

    :param gone: into the bin, at this time in seconds since 1970; None: there is no bin. A closed maildrop's
        letters never go there, and those that lie there already are taken as well.
    """

    __slots__ = ("gone", "limit", "maildrop")

    def __init__(self, maildrop: int, limit: int, gone: int | None = None) -> None:
        self.maildrop = maildrop
        self.limit = limit
        self.gone = gone

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Take]) -> Sequence[Taken]:
        """One maildrop after the other."""
        return [taking.take(db) for taking in operations]

    def take(self, db: apsw.Connection) -> Taken:
        """Entries, their exceptions, letters without copies, and a closed maildrop when it is empty."""
        maildrop = self.maildrop
        closed = db.execute(sql_keeping.CLOSED, (maildrop,)).get
        gone = _rows(db, sql.BELOW_FLOORS, maildrop, maildrop, maildrop, self.limit)
        if len(gone) < self.limit:
            gone += _rows(db, sql.EXCEPTED_BY_ALL, maildrop, self.limit - len(gone))
        taken = take_entries(db, maildrop, gone, None if closed else self.gone)
        if closed and taken.letters < self.limit:
            binned = _rows(db, sql_keeping.BIN_OF, maildrop, 0, self.limit - taken.letters)
            emptied = _leave_bin(db, binned)
            taken = Taken(
                taken.letters + emptied.letters,
                taken.octets + emptied.octets,
                taken.parcels + emptied.parcels,
            )
        if taken.letters < self.limit:
            db.execute(sql.TAKE_MAILDROP, (maildrop,))
        return taken


class Empty(Operation[Taken]):
    """Take at most ``limit`` letters out of the bin for good, those first that went there first.

    :param before: what went there before this time, in seconds since 1970; None: whatever is there.
    """

    __slots__ = ("before", "limit")

    def __init__(self, before: int | None, limit: int) -> None:
        self.before = _NEVER if before is None else before
        self.limit = limit

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Empty]) -> Sequence[Taken]:
        """One slice each."""
        return [
            _leave_bin(db, _rows(db, sql_keeping.OLDEST_IN_BIN, emptying.before, emptying.limit))
            for emptying in operations
        ]


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


def take_entries(
    db: apsw.Connection, maildrop: int, gone: Sequence[tuple[int, int, int]], to_bin: int | None
) -> Taken:
    """Take entries out of a maildrop: number, letter and octets of each.

    :param to_bin: into the bin, at this time; None: for good.
    """
    if not gone:
        return Taken(0, 0, [])
    numbers = [number for number, _, _ in gone]
    octets = sum(octets for _, _, octets in gone)
    if to_bin is not None:
        _among(db, sql_keeping.THROW_AWAY, numbers, to_bin, maildrop)
    _among(db, sql.TAKE_ENTRIES, numbers, maildrop)
    db.execute(sql.LESSEN, (len(gone), octets, maildrop))
    # Also what was below all floors that count: a view that has lapsed may list it.
    _among(db, sql.TAKE_EXCEPTIONS, numbers, maildrop)
    db.execute(sql_keeping.FORGET_FETCHED, (maildrop, min(numbers), max(numbers), maildrop))
    parcels = _take_copies(db, Counter(letter for _, letter, _ in gone)) if to_bin is None else []
    return Taken(len(gone), octets, parcels)


def _leave_bin(db: apsw.Connection, gone: Sequence[tuple[int, int, int]]) -> Taken:
    _among(db, sql_keeping.LEAVE_BIN, [place for place, _, _ in gone])
    parcels = _take_copies(db, Counter(letter for _, letter, _ in gone))
    return Taken(len(gone), sum(octets for _, _, octets in gone), parcels)


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
