"""Views: what of a maildrop is still to be seen, and letting go of letters.

A view is a cursor: all numbers at or below its floor are let go of, and so are the few that are listed above it.
"Fetch all, delete all" moves one integer.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, NamedTuple

from mailpost.store import sql
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import apsw


class Places(NamedTuple):
    """What a view shows: numbers and octets of letters, in their order, and unique-ids not made here."""

    numbers: Sequence[int]
    sizes: Sequence[int]
    overrides: Mapping[int, str]


def look(db: apsw.Connection, maildrop: int, view: int) -> Places:
    """What a view shows just now.

    The letters come as one row, so that a hundred thousand cost the reactor's thread nothing.
    """
    with db:  # all of one moment
        floor = db.execute(sql.FLOOR, (view,)).get
        exceptions = frozenset(json.loads(db.execute(sql.EXCEPTIONS, (view,)).get))
        listed, octets = db.execute(sql.PLACES, (maildrop, floor)).fetchall()[0]
        overrides = dict(db.execute(sql.OVERRIDES, (maildrop, floor)).fetchall())
    numbers, sizes = json.loads(listed), json.loads(octets)
    if exceptions:
        kept = [place for place, number in enumerate(numbers) if number not in exceptions]
        numbers = [numbers[place] for place in kept]
        sizes = [sizes[place] for place in kept]
    return Places(array("q", numbers), array("q", sizes), overrides)


class LetGo(Operation[None]):
    """Let go of letters in one view.

    :param numbers: those the view showed when it was opened.
    :param indexes: which of them to let go of.
    """

    __slots__ = ("indexes", "maildrop", "numbers", "view")

    def __init__(
        self, maildrop: int, view: int, numbers: Sequence[int], indexes: Sequence[int]
    ) -> None:
        self.maildrop = maildrop
        self.view = view
        self.numbers = numbers
        self.indexes = indexes

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[LetGo]) -> Sequence[None]:
        """Raise floors to just below the lowest letter still to be seen; list what lies above."""
        for operation in operations:
            operation._apply(db)
        return [None] * len(operations)

    def _apply(self, db: apsw.Connection) -> None:
        numbers = self.numbers
        gone = sorted(set(self.indexes))
        leading = 0
        while leading < len(gone) and gone[leading] == leading:
            leading += 1
        if leading < len(numbers):
            floor = numbers[leading] - 1
        else:
            last = numbers[-1] if numbers else 0
            lowest = db.execute(sql.LOWEST_AFTER, (self.maildrop, last)).get
            if lowest is None:
                lowest = db.execute(sql.NEXT_NUMBER, (self.maildrop,)).get
            floor = lowest - 1
        db.execute(sql.RAISE_FLOOR, (floor, self.view, floor))
        db.execute(sql.DROP_EXCEPTIONS, (self.view, floor))
        above: list[object] = []
        for index in gone[leading:]:
            above += (self.view, numbers[index])
        sql.each(db.execute, sql.ADD_EXCEPTION, above)
