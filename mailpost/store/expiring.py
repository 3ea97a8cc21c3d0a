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

PORTION = 2048  # letters that one read looks at


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


def portion(
    db: apsw.Connection, maildrop: int, retention: Retention, now: int, above: int
) -> tuple[list[Overdue], int | None]:
    """The letters above a number that a retention does not keep any more, out of the next :data:`PORTION`.

    And the number above which to go on; None: that was the last portion. So no read lasts long, however many
    letters there are.

    :param now: seconds since 1970.
    """
    end: Any = db.execute(sql_keeping.PORTION_END, (maildrop, above, PORTION)).get
    if end is None or not retention.days:
        return [], None
    between = sql_keeping.ARRIVED_BETWEEN
    if retention.collected:
        between = sql_keeping.COLLECTED_BETWEEN
    rows = sql.told(db, between, (maildrop, *_before(retention, now), above, end))
    return [Overdue(*row) for row in sorted(rows)], end


def _before(retention: Retention, now: int) -> tuple[int, ...]:
    before = now - retention.days * DAY
    return (before, before) if retention.collected else (before,)


def retentions(db: apsw.Connection, default: Retention) -> list[tuple[int, Retention]]:
    """The maildrops whose letters go by themselves, each with what holds of it."""
    rows: list[Any] = db.execute(sql_keeping.RETENTIONS).fetchall()
    found = [
        (maildrop, default if days is None else Retention(days, bool(collected)))
        for maildrop, days, collected in rows
    ]
    return [(maildrop, retention) for maildrop, retention in found if retention.days]


class Expire(Operation[Taken]):
    """Take letters out of a maildrop that are overdue.

    :param found: which were found to be; one for which that has changed meanwhile stays.
    :param now: seconds since 1970.
    :param to_bin: into the bin, at this time; None: for good.
    """

    __slots__ = ("found", "maildrop", "now", "retention", "to_bin")

    def __init__(
        self,
        maildrop: int,
        retention: Retention,
        now: int,
        found: Sequence[Overdue],
        to_bin: int | None,
    ) -> None:
        self.maildrop = maildrop
        self.retention = retention
        self.now = now
        self.found = found
        self.to_bin = to_bin

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Expire]) -> Sequence[Taken]:
        """One after the other."""
        return [expiring.one(db) for expiring in operations]

    def one(self, db: apsw.Connection) -> Taken:
        """Look at them once more, within the transaction."""
        collected = self.retention.collected
        among = sql_keeping.COLLECTED_AMONG if collected else sql_keeping.ARRIVED_AMONG
        numbers = [one.number for one in self.found]
        gone: list[tuple[int, int, int]] = []
        for start, end in sql.portions(len(numbers)):
            statement = sql.times(among, end - start)
            values = (self.maildrop, *_before(self.retention, self.now), *numbers[start:end])
            rows = sql.told(db, statement, values)
            gone += [(number, letter, octets) for number, letter, octets, _ in rows]
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
