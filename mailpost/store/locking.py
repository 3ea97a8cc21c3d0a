"""Locking a maildrop by hand: letters go on coming in, and nobody collects or hands in.

It is asked at each login, and so counts at once; whoever is logged in then is turned out within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.store import sql, sql_desk
from mailpost.store.errors import NoSuchName
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw
    from twisted.internet.interfaces import IReactorTime

    from mailpost.store.accounts import Account
    from mailpost.store.ledger import Ledger


class Locking:
    """Locks maildrops by hand; that one is, is found with its account."""

    def __init__(self, ledger: Ledger, clock: IReactorTime) -> None:
        self._ledger = ledger
        self._clock = clock

    def lock(self, account: Account, reason: str) -> None:
        """Lock it; where it is already, the reason is another one from now on. Blocks.

        :raises NoSuchName: the account has been removed.
        """
        self._ledger.run(Lock(account, reason, int(self._clock.seconds())))

    def unlock(self, account: Account) -> bool:
        """Unlock it; whether it was locked. Blocks."""
        return self._ledger.run(Unlock(account))


class Lock(Operation[None]):
    """Lock a maildrop."""

    __slots__ = ("account", "reason", "when")

    def __init__(self, account: Account, reason: str, when: int) -> None:
        self.account = account
        self.reason = reason
        self.when = when

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Lock]) -> Sequence[None]:
        """One row each; then the office looks who is logged in."""
        for one in operations:
            if db.execute(sql.ACCOUNT_THERE, (one.account.number,)).get is None:
                raise NoSuchName(f"there is no account {one.account.name}")
            db.execute(sql_desk.LOCK, (one.account.maildrop, one.when, one.reason))
            db.execute(sql.REVOKE)
        return [None] * len(operations)


class Unlock(Operation[bool]):
    """Unlock a maildrop; answers whether it was locked."""

    __slots__ = ("account",)

    def __init__(self, account: Account) -> None:
        self.account = account

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Unlock]) -> Sequence[bool]:
        """One row each."""
        return [
            db.execute(sql_desk.UNLOCK, (one.account.maildrop,)).get is not None
            for one in operations
        ]
