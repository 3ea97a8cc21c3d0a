"""What is set for a maildrop: how much it may hold, and for how long its letters are kept.

What is not set for it is as the office's configuration says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, frozen

from mailpost.retention import Retention
from mailpost.store import sql_bans, sql_keeping
from mailpost.store.errors import NoSuchName
from mailpost.store.expiring import Expire, Overdue, portion
from mailpost.store.quotas import KEPT
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw
    from twisted.internet.interfaces import IReactorTime

    from mailpost.store.accounts import Account
    from mailpost.store.ledger import Ledger
    from mailpost.store.readers import Readers

SLICE = 128  # letters that go in one transaction


class OfficeRules(Protocol):
    """What the office's configuration says."""

    @property
    def quota(self) -> int:
        """Octets that a maildrop may hold; 0: any number."""

    @property
    def retention(self) -> Retention:
        """For how long letters are kept."""


@frozen
class Rules:
    """What holds of one account's maildrop.

    :ivar held: octets in it.
    :ivar quota: octets that it may hold; 0: any number; None: as the office has it.
    :ivar retention: for how long its letters are kept; None: likewise.
    """

    account: str
    maildrop: int
    held: int
    quota: int | None
    retention: Retention | None

    def filled(self, office: OfficeRules) -> Rules:
        """The same, with the office's own where nothing is set."""
        return evolve(
            self,
            quota=office.quota if self.quota is None else self.quota,
            retention=office.retention if self.retention is None else self.retention,
        )


def list_rules(db: apsw.Connection) -> list[Rules]:
    """Of every account, by name."""
    rows: list[Any] = db.execute(sql_keeping.RULES).fetchall()
    return [
        Rules(
            name, maildrop, held, quota, None if days is None else Retention(days, bool(collected))
        )
        for name, maildrop, held, quota, days, collected in rows
    ]


class Keeping:
    """What is set, for the command line; everything here blocks."""

    def __init__(self, readers: Readers, ledger: Ledger, clock: IReactorTime) -> None:
        self._readers = readers
        self._ledger = ledger
        self._clock = clock

    def all(self) -> list[Rules]:
        """What is set for every account, by name."""
        return self._readers.call(list_rules)

    def set_quota(self, account: Account, quota: int | None) -> None:
        """Let a maildrop hold so many octets; 0: any number; None: as the office has it.

        :raises NoSuchName: the account has been removed.
        """
        self._ledger.run(SetRule(account, sql_keeping.SET_QUOTA, (quota,)))

    def set_retention(self, account: Account, retention: Retention | None) -> None:
        """Keep letters for so long; None: as the office has it.

        :raises NoSuchName: the account has been removed.
        """
        values = (None, None) if retention is None else (retention.days, retention.collected)
        self._ledger.run(SetRule(account, sql_keeping.SET_RETENTION, values))

    def overdue(self, account: Account, retention: Retention) -> list[Overdue]:
        """Which letters of an account a retention would not keep now."""
        now = int(self._clock.seconds())
        return [one for some in self._portions(account, retention, now) for one in some]

    def expire(self, account: Account, retention: Retention) -> int:
        """Move what a retention does not keep into the bin; how many letters those were.

        In slices. What a session has listed it can go on fetching from there. Where the office has no bin, it
        empties this one when it looks for litter the next time.
        """
        now = int(self._clock.seconds())
        count = 0
        for some in self._portions(account, retention, now):
            for start in range(0, len(some), SLICE):
                found = some[start : start + SLICE]
                expiring = Expire(account.maildrop, retention, now, found, now)
                count += self._ledger.run(expiring).letters
        return count

    def _portions(
        self, account: Account, retention: Retention, now: int
    ) -> Iterator[Sequence[Overdue]]:
        above: int | None = 0
        while above is not None:
            found, above = self._readers.call(portion, account.maildrop, retention, now, above)
            yield found


class SetRule(Operation[None]):
    """Set something for a maildrop, and let a running office know."""

    __slots__ = ("account", "statement", "values")

    def __init__(self, account: Account, statement: str, values: tuple[object, ...]) -> None:
        self.account = account
        self.statement = statement
        self.values = values

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[SetRule]) -> Sequence[None]:
        """One row each."""
        for setting in operations:
            setting.one(db)
        return [None] * len(operations)

    def one(self, db: apsw.Connection) -> None:
        """The row, and the number that grows."""
        db.execute(self.statement, (*self.values, self.account.maildrop))
        if not db.changes():
            raise NoSuchName(f"there is no account {self.account.name}")
        db.execute(sql_bans.CHANGE, (KEPT,))
