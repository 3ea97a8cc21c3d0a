"""Which views live: a letter is held for those alone, as long as an account has one that does.

A device's view lives from its beginning, the main password's from the first time it is opened. A view that
was not opened for long lapses while another one of its account lives: it holds no letter back any more, and
goes on from what is still there when it is opened again. Where none lives, all of them hold. A new device
makes no other lapse at once: they are counted anew from then on.

What lapses may lose letters, so a clock is not believed at once: after it has jumped by more than a day, or
the office was closed for as long, nothing lapses for a week, in which whatever is in use is seen; and nothing
is deleted by its age for three days, in which a wrong clock is noticed, and which an office that is closed at
weekends has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.store import sql
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

DAY = 86_400
WEEK = 7 * DAY
STEADY = 3 * DAY  # seconds that a clock goes on steadily before anything is deleted by it
LAPSE = 90 * DAY  # seconds unopened, after which a view lapses


def worth_noting(living: bool, opened: int | None, now: float) -> bool:  # noqa: FBT001 - a view's columns
    """Whether that a view is opened should be written down: once a day is often enough."""
    return not living or opened is None or abs(now - opened) > DAY


class Opened(Operation[None]):
    """Note that a view has been opened: it lives."""

    __slots__ = ("view", "when")

    def __init__(self, view: int, when: int) -> None:
        self.view = view
        self.when = when

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Opened]) -> Sequence[None]:
        """One row each."""
        for opened in operations:
            db.execute(sql.OPENED, (opened.when, opened.view))
        return [None] * len(operations)


class Lapse(Operation[int]):
    """Let lapse what has not been opened for long. To be done more often than once a day.

    Answers for how many seconds the clock has been steady.

    :param now: seconds since 1970.
    :param after: seconds unopened.
    """

    __slots__ = ("after", "now")

    def __init__(self, now: int, after: int) -> None:
        self.now = now
        self.after = after

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Lapse]) -> Sequence[int]:
        """One after the other."""
        return [lapse.one(db) for lapse in operations]

    def one(self, db: apsw.Connection) -> int:
        """See whether the clock has been steady, then let lapse."""
        now = self.now
        known: dict[str, str] = dict(db.execute(sql.CLOCK).fetchall())  # type: ignore[arg-type]
        looked, steady = int(known.get("looked", -DAY)), int(known.get("steady", now))
        if not 0 <= now - looked <= DAY:
            steady = now
        for name, value in (("looked", now), ("steady", steady)):
            db.execute(sql.KEEP, (name, str(value)))
        # A view of which it is not known when it was opened last begins to be counted.
        db.execute(sql.COUNT_FROM, (now,))
        if now - steady >= WEEK:
            before = now - self.after
            db.execute(sql.LAPSE, (before, before))
        return now - steady
