"""Retention: letters that go by themselves, so many days after they came, or after all have collected them.

They leave the maildrop for every view at once, whether it lives or has lapsed, and go into the bin like
what was deleted. Collected by all means: by every view that holds letters (:mod:`mailpost.store.lapsing`).
To let go of a letter, or to begin after it had come, counts as well. The days count from when the last of
them had it, to the end of that session (:mod:`mailpost.store.fetched`).

The sweeper does it once an hour, as long as the clock is believed. A session that has such a letter listed
fetches it out of the bin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from mailpost.retention import Retention
from mailpost.store import sql, sql_keeping
from mailpost.store.lapsing import DAY
from mailpost.store.taking import Taken, take_entries
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERYTHING = 1 << 62


class Overdue(NamedTuple):
    """A letter that has been kept for long enough.

    :ivar number: in its maildrop.
    :ivar letter: its own number in the store.
    :ivar octets: as collection sends it.
    :ivar arrived: in seconds since 1970.
    """

    number: int
    letter: int
    octets: int
    arrived: int


def overdue(
    db: apsw.Connection, maildrop: int, retention: Retention, now: int, limit: int = EVERYTHING
) -> list[Overdue]:
    """The letters of a maildrop that a retention does not keep any more, the lowest numbers first.

    :param now: seconds since 1970.
    """
    if not retention.days:
        return []
    before = now - retention.days * DAY
    if retention.collected:
        values = (maildrop, before, before, limit)
        rows = sql.told(db, sql_keeping.COLLECTED_BEFORE, values)
    else:
        rows = sql.told(db, sql_keeping.ARRIVED_BEFORE, (maildrop, before, limit))
    return [Overdue(*row) for row in rows]


def retentions(db: apsw.Connection, default: Retention) -> list[tuple[int, Retention]]:
    """The maildrops whose letters go by themselves, each with what holds of it."""
    rows: list[Any] = db.execute(sql_keeping.RETENTIONS).fetchall()
    found = [
        (maildrop, default if days is None else Retention(days, bool(collected)))
        for maildrop, days, collected in rows
    ]
    return [(maildrop, retention) for maildrop, retention in found if retention.days]


def concerned(db: apsw.Connection, default: Retention, now: int) -> list[tuple[int, Retention]]:
    """Those of them that have a letter which is overdue."""
    return [
        (maildrop, retention)
        for maildrop, retention in retentions(db, default)
        if overdue(db, maildrop, retention, now, 1)
    ]


class Expire(Operation[Taken]):
    """Take at most ``limit`` letters out of a maildrop that are overdue.

    :param now: seconds since 1970.
    :param to_bin: into the bin, at this time; None: for good.
    """

    __slots__ = ("limit", "maildrop", "now", "retention", "to_bin")

    def __init__(
        self, maildrop: int, retention: Retention, now: int, limit: int, to_bin: int | None
    ) -> None:
        self.maildrop = maildrop
        self.retention = retention
        self.now = now
        self.limit = limit
        self.to_bin = to_bin

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Expire]) -> Sequence[Taken]:
        """One after the other."""
        return [expiring.one(db) for expiring in operations]

    def one(self, db: apsw.Connection) -> Taken:
        """What is overdue by now, as it may have been fetched meanwhile."""
        found = overdue(db, self.maildrop, self.retention, self.now, self.limit)
        gone = [(one.number, one.letter, one.octets) for one in found]
        return take_entries(db, self.maildrop, gone, self.to_bin)


class Expiry:
    """What POP3 announces: for how many days letters are kept at least (RFC 2449 §6.7).

    :param db: a connection for short looks in the reactor's own thread.
    :param default: what holds of a maildrop with no retention of its own.
    :ivar least: days that any letter is kept at least; 0: none goes by itself.
    :ivar varies: whether other maildrops keep theirs for longer.
    """

    def __init__(self, db: apsw.Connection, default: Retention) -> None:
        self._db = db
        self._default = default
        self.least = 0
        self.varies = False
        self.look()

    def look(self) -> None:
        """See what is set."""
        days = [row[0] for row in self._db.execute(sql_keeping.DAYS_SET)]
        every: set[Any] = {self._default.days, *days}
        self.least = min(every - {0}, default=0)
        self.varies = len(every) > 1

    def of(self, maildrop: int) -> int:
        """For how many days a maildrop keeps its letters at least; 0: for ever."""
        if not self.varies:
            return self.least
        try:
            days: Any = self._db.execute(sql_keeping.DAYS_OF, (maildrop,)).get
        except apsw.Error:
            return self.least  # that holds of every maildrop
        return self._default.days if days is None else int(days)

    def announced(self) -> str:
        """What is true of everybody, as CAPA says it before login."""
        if not self.least:
            return "NEVER"
        return f"{self.least} USER" if self.varies else str(self.least)
