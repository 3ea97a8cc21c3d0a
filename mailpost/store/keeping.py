"""What is set for a maildrop: how much it may hold.

What is not set for it is as the office's configuration says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from mailpost.store import sql_bans, sql_keeping
from mailpost.store.errors import NoSuchName
from mailpost.store.quotas import KEPT
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from mailpost.store.accounts import Account
    from mailpost.store.ledger import Ledger
    from mailpost.store.readers import Readers


@frozen
class Rules:
    """What holds of one account's maildrop.

    :ivar held: octets in it.
    :ivar quota: octets that it may hold; 0: any number; None: as the office has it.
    """

    account: str
    maildrop: int
    held: int
    quota: int | None

    def filled(self, quota: int) -> Rules:
        """The same, with the office's own where nothing is set."""
        return evolve(self, quota=quota if self.quota is None else self.quota)


def list_rules(db: apsw.Connection) -> list[Rules]:
    """Of every account, by name."""
    rows: list[Any] = db.execute(sql_keeping.RULES).fetchall()
    return [Rules(*row) for row in rows]


class Keeping:
    """What is set, for the command line; everything here blocks."""

    def __init__(self, readers: Readers, ledger: Ledger) -> None:
        self._readers = readers
        self._ledger = ledger

    def all(self) -> list[Rules]:
        """What is set for every account, by name."""
        return self._readers.call(list_rules)

    def set_quota(self, account: Account, quota: int | None) -> None:
        """Let a maildrop hold so many octets; 0: any number; None: as the office has it.

        :raises NoSuchName: the account has been removed.
        """
        self._ledger.run(SetRule(account, sql_keeping.SET_QUOTA, (quota,)))


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
