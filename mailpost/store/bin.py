"""The bin: letters that have left their maildrop, and can come back for some days.

What every view has let go of goes there (:mod:`mailpost.store.taking`), and is taken out of it when it has
lain there long enough, or when the disk is short. A letter that comes back is a new entry of its
maildrop, under a new number and so with a new unique-id, so that clients fetch it again; it has arrived
anew, and what counts its days counts from then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailpost.store import sql, sql_keeping
from mailpost.store.errors import NoSuchName
from mailpost.store.lapsing import DAY
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw
    from twisted.internet.interfaces import IReactorTime

    from mailpost.store.accounts import Account
    from mailpost.store.ledger import Ledger
    from mailpost.store.readers import Readers

BIN = 7 * DAY  # seconds that a letter stays there
SLICE = 128  # letters that come back in one transaction


@frozen
class Binned:
    """A letter in the bin.

    :ivar letter: the letter's own number in the store; see :meth:`mailpost.store.Store.head`.
    :ivar number: the one that it had in its maildrop.
    :ivar arrived: in seconds since 1970.
    :ivar gone: when it left the maildrop.
    :ivar octets: as collection sent it.
    """

    letter: int
    number: int
    arrived: int
    gone: int
    octets: int
    trace: str
    reverse_path: str | None


def _listed(db: apsw.Connection, maildrop: int, since: int) -> list[Binned]:
    rows: list[Any] = db.execute(sql_keeping.IN_BIN, (maildrop, since)).fetchall()
    return [Binned(*row) for row in rows]


class Bin:
    """The bin, for the command line; everything here blocks."""

    def __init__(self, readers: Readers, ledger: Ledger, clock: IReactorTime) -> None:
        self._readers = readers
        self._ledger = ledger
        self._clock = clock

    def of(self, account: Account, since: int = 0) -> list[Binned]:
        """What an account's letters are there, in the order in which they had come.

        :param since: seconds since 1970: what left the maildrop from then on.
        """
        return self._readers.call(_listed, account.maildrop, since)

    def undelete(self, account: Account, since: int = 0) -> int:
        """Have them come back; how many did.

        :raises NoSuchName: the account has been removed.

        In slices: what comes back before a crash is there, the rest still in the bin.
        """
        count = 0
        while True:
            now = int(self._clock.seconds())
            back = self._ledger.run(Undelete(account.maildrop, since, now))
            count += back
            if back < SLICE:
                return count


class Undelete(Operation[int]):
    """Append a slice of a maildrop's letters in the bin to it again; how many those were.

    :param since: what left the maildrop from then on.
    :param now: when they arrive anew.
    """

    __slots__ = ("maildrop", "now", "since")

    def __init__(self, maildrop: int, since: int, now: int) -> None:
        self.maildrop = maildrop
        self.since = since
        self.now = now

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Undelete]) -> Sequence[int]:
        """One after the other."""
        return [undeleting.one(db) for undeleting in operations]

    def one(self, db: apsw.Connection) -> int:
        """Entries, the maildrop's counts, and out of the bin: the copies are the same ones."""
        if db.execute(sql_keeping.CLOSED, (self.maildrop,)).get != 0:
            raise NoSuchName("the account has been removed")
        rows: list[tuple[int, int, int]]
        rows = sql.told(db, sql_keeping.BIN_OF, (self.maildrop, self.since, SLICE))
        for start, end in sql.portions(len(rows)):
            places = [place for place, _, _ in rows[start:end]]
            octets = sum(octets for _, _, octets in rows[start:end])
            db.execute(sql.times(sql_keeping.COME_BACK, end - start), (self.now, *places))
            back = end - start
            db.execute(sql_keeping.ADD_BACK, (back, back, octets, self.maildrop))
            db.execute(sql.times(sql_keeping.LEAVE_BIN, end - start), places)
        return len(rows)
