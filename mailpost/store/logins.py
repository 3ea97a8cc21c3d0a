"""Logins that are open: they end when their device or account is taken away, or the maildrop locked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from twisted.logger import Logger

from mailpost.store import sql, sql_desk

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw


class Session(Protocol):
    """What is told that its login is good no longer."""

    def revoked(self) -> None:
        """End. Harmless where it has ended."""

    def locked(self, reason: str) -> None:
        """End, for the account was locked by hand. Harmless where it has ended."""


class Logins:
    """Who is logged in.

    :param db: a connection for short looks in the reactor's own thread.
    :param taken_away: told after something was taken away.
    """

    log = Logger()

    def __init__(self, db: apsw.Connection, taken_away: Callable[[], None]) -> None:
        self._db = db
        self._taken_away = taken_away
        # A session that has ended need not say so.
        self._sessions: WeakKeyDictionary[Session, tuple[int, int | None]] = WeakKeyDictionary()

    def enter(self, session: Session, account: int, device: int | None = None) -> None:
        """Have a session told when its login is taken away; it is not kept alive by that.

        :param account: the account's number.
        :param device: the number of the device whose password was used; None: the main password.
        """
        self._sessions[session] = (account, device)

    def look(self) -> None:
        """Something was taken away: end the sessions that it concerns.

        :raises apsw.Error: which those are cannot be found out just now; none was ended.
        """
        ends: list[tuple[Session, Callable[[], None]]] = []
        for session, (account, device) in list(self._sessions.items()):
            if self._gone(account, device):
                ends.append((session, session.revoked))
            elif (reason := self._locked(account)) is not None:
                ends.append((session, partial(session.locked, reason)))
        self._taken_away()
        for session, end in ends:
            self._sessions.pop(session, None)
            try:
                end()
            except Exception:  # noqa: BLE001 - the others are to end all the same
                self.log.failure("a session could not be ended")

    def _gone(self, account: int, device: int | None) -> bool:
        if self._db.execute(sql.ACCOUNT_THERE, (account,)).get is None:
            return True
        return device is not None and self._db.execute(sql.DEVICE_THERE, (device,)).get is None

    def _locked(self, account: int) -> str | None:
        reason: str | None = self._db.execute(sql_desk.ACCOUNT_LOCKED, (account,)).get
        return reason
