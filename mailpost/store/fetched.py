"""What each view was given, and when.

A session tells at its end which letters it has handed out whole (RETR; TOP is not collecting). They are
written down as runs of numbers with the time of that, once each: what is known already is not written
again. To let go of a letter counts as well, where other views hold it still; where there are none it
leaves the maildrop, and nothing need be known of it.

Nobody waits for it. What a crash takes of it is missing: a letter is then taken for one that was not fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailpost.store import sql, sql_keeping
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

Run = tuple[int, int]
"""The first and the last number of letters that follow each other."""

RUNS = 64  # to one operation, so that no letter waits long behind it


@frozen
class Fetched:
    """How one view stands to one letter.

    :ivar device: the name of the device whose view it is; None: it is the main password's.
    :ivar holds: whether a letter is kept for this view: it lives, or no other does.
    :ivar let_go: whether it has let go of the letter, or began after it had come.
    :ivar when: when it first got the letter, or let go of it, to the end of that session, in seconds since
        1970; None: it has not, or that was before it was noted.
    """

    device: str | None
    view: int
    holds: bool
    let_go: bool
    when: int | None


def fetched_by(db: apsw.Connection, maildrop: int, number: int) -> list[Fetched]:
    """How each view of a maildrop stands to one of its letters: the main password's first, then by age."""
    rows: list[Any] = db.execute(sql_keeping.FETCHED_BY, (*[number] * 4, maildrop)).fetchall()
    return [
        Fetched(device, view, bool(holds), bool(let_go), when)
        for device, view, holds, let_go, when in rows
    ]


class Note(Operation[None]):
    """Note what a view was given.

    :param runs: of numbers, in their order, at most :data:`RUNS` of them.
    :param when: seconds since 1970.
    """

    __slots__ = ("runs", "view", "when")

    def __init__(self, view: int, runs: Sequence[Run], when: int) -> None:
        self.view = view
        self.runs = runs
        self.when = when

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Note]) -> Sequence[None]:
        """One after the other."""
        for note in operations:
            note.one(db)
        return [None] * len(operations)

    def one(self, db: apsw.Connection) -> None:
        """Write down what is not known yet."""
        span = (self.runs[0][0], self.runs[-1][1])
        known = sql.told(db, sql_keeping.FETCHED_THERE, (self.view, *span))
        values: list[object] = []
        for first, last in _without(self.runs, known):
            values += (self.view, first, last, self.when)
        sql.each(db.execute, sql_keeping.ADD_FETCHED, values)


def runs_of(marks: bytes | bytearray, numbers: Sequence[int]) -> Iterator[Run]:
    """The runs of letters that are marked.

    :param marks: an octet for each letter, 1 where it is marked, else 0.
    :param numbers: of the same letters.
    """
    start = marks.find(1)
    while start >= 0:
        end = marks.find(0, start)
        if end < 0:
            end = len(marks)
        yield numbers[start], numbers[end - 1]
        start = marks.find(1, end)


def _without(runs: Sequence[Run], known: Sequence[Run]) -> Iterator[Run]:
    """What of the runs is in none of those known; both are in their order and do not overlap."""
    place = 0
    for first, last in runs:
        start = first
        while place < len(known) and known[place][1] < start:
            place += 1
        at = place
        while at < len(known) and known[at][0] <= last:
            if start < known[at][0]:
                yield start, known[at][0] - 1
            start = known[at][1] + 1
            at += 1
        if start <= last:
            yield start, last
