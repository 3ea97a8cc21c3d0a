"""Views: what of a maildrop is still to be seen, and letting go of letters.

A view is a cursor: all numbers at or below its floor are let go of, and so are the few that are listed
above it. "Fetch all, delete all" moves one integer.
"""

from __future__ import annotations

from array import array
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from mailpost.outcome import TemporaryFailure
from mailpost.store import sql, sql_carrying
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import apsw

T = TypeVar("T")
EVERYTHING = 1 << 62
_NOTHING: Mapping[int, Any] = MappingProxyType({})  # most maildrops have none, and share this one


class Places(NamedTuple):
    """What a view shows.

    :ivar numbers: of the letters, in their order.
    :ivar sizes: their octets as collection sends them.
    :ivar overrides: unique-ids that were not made here, by number.
    :ivar exceptions: how many the view lists.
    :ivar plain: by number, the octets of letters that have another form for a peer without UTF8.
    :ivar living: whether it holds letters.
    :ivar opened: when it was last noted to be open, in seconds since 1970.
    :ivar others: whether the maildrop has other views.
    """

    numbers: Sequence[int]
    sizes: Sequence[int]
    overrides: Mapping[int, str]
    exceptions: int
    plain: Mapping[int, int]
    living: bool = True
    opened: int | None = None
    others: bool = False


def look(db: apsw.Connection, view: int, limit: int = EVERYTHING) -> Places:
    """What a view shows just now: at most ``limit`` letters.

    All of it is one row, of one moment: a hundred thousand letters keep no other thread from running.
    """
    state, excepted, uidls, plain, listed, octets = sql.told(db, sql.LOOK, (*[view] * 5, limit))
    living, opened, others = state or (1, None, 0)
    if excepted:
        exceptions = frozenset(excepted)
        kept = [place for place, number in enumerate(listed) if number not in exceptions]
        listed = [listed[place] for place in kept]
        octets = [octets[place] for place in kept]
    return Places(
        _numbers(listed),
        array("q", octets) if octets else (),
        _by_number(uidls),
        len(excepted),
        _by_number(plain),
        bool(living),
        opened,
        bool(others),
    )


def look_since(db: apsw.Connection, maildrop: int, since: int) -> Places:
    """What has arrived since a moment and is still there, whoever has let go of it.

    :param since: seconds since 1970.
    """
    floor, older = begin_at(db, maildrop, since)
    above = (maildrop, floor)
    uidls, plain, listed, octets = sql.told(db, sql.LOOK_ABOVE, above * 3)
    if older:
        kept = [place for place, number in enumerate(listed) if number not in older]
        listed = [listed[place] for place in kept]
        octets = [octets[place] for place in kept]
    return Places(_numbers(listed), array("q", octets), _by_number(uidls), 0, _by_number(plain))


def begin_at(db: apsw.Connection, maildrop: int, since: int) -> tuple[int, frozenset[int]]:
    """Where a view begins that is to show what has arrived since a moment.

    Its floor, and which letters above it are older: there are none, unless some were brought from elsewhere
    and have kept the date of their arrival.

    :param since: seconds since 1970.
    """
    if not db.execute(sql_carrying.OUT_OF_ORDER, (maildrop,)).get:
        return db.execute(sql.FLOOR_BEFORE, (maildrop, since)).get, frozenset()
    floor = db.execute(sql_carrying.FLOOR_OF_FIRST, (maildrop, since, maildrop)).get
    return floor, frozenset(sql.told(db, sql_carrying.OLDER, (maildrop, floor, since)))


def _by_number(told: Mapping[str, T]) -> Mapping[int, T]:
    return {int(number): value for number, value in told.items()} if told else _NOTHING


def _numbers(listed: Sequence[int]) -> Sequence[int]:
    """The numbers, in little room: mostly there is no gap in them, or there are none."""
    if not listed:
        return ()
    if listed[-1] - listed[0] + 1 == len(listed):
        return range(listed[0], listed[-1] + 1)
    return array("q", listed)


class Shown(Protocol):
    """What a view showed, as far as letting go looks into it; see :class:`Places`."""

    @property
    def numbers(self) -> Sequence[int]:
        """The letters' numbers."""

    @property
    def exceptions(self) -> int:
        """How many the view lists."""


class LetGo(Operation[None]):
    """Let go of letters in one view.

    :param places: what the view showed when it was opened; it has been locked since.
    :param indexes: which of the letters to let go of.
    """

    __slots__ = ("above", "floor", "indexes", "last", "places", "view")

    def __init__(self, view: int, places: Shown, indexes: Sequence[int]) -> None:
        self.view = view
        self.places = places
        self.indexes = indexes
        self.floor: int | None = None
        self.last = 0
        self.above: Sequence[object] = ()

    @classmethod
    def alone(cls, operations: Sequence[LetGo]) -> bool:
        """Whether only floors move, so that one statement does it."""
        for going in operations:
            going.settle()
        return len(operations) in sql.SIZES and not any(
            going.places.exceptions or going.above for going in operations
        )

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[LetGo]) -> Sequence[None]:
        """Raise the floors to just below the lowest letter still to be seen; list what lies above."""
        floors: list[object] = []
        above: list[object] = []
        for going in operations:
            going.settle()
            floors += (going.view, going.floor, going.last)
            above += going.above
        sql.each(db.execute, sql.RAISE_FLOORS, floors)
        sql.each(db.execute, sql.ADD_EXCEPTIONS, above)
        passed = [going.view for going in operations if going.places.exceptions]
        sql.each(db.execute, sql.DROP_EXCEPTIONS, passed)
        return [None] * len(operations)

    def settle(self) -> None:
        """See which of the letters move the floor, and which are to be listed."""
        numbers = self.places.numbers
        gone = sorted(set(self.indexes))
        if gone and not 0 <= gone[0] <= gone[-1] < len(numbers):
            raise TemporaryFailure("a letter was to be let go that the view does not show")
        leading = 0
        if len(gone) == len(numbers):
            leading = len(gone)
        while leading < len(gone) and gone[leading] == leading:
            leading += 1
        if leading < len(numbers):
            self.floor = numbers[leading] - 1
        elif numbers:
            self.last = numbers[-1]
        above: list[object] = []
        for index in gone[leading:]:
            above += (self.view, numbers[index])
        self.above = above
