"""Logins that are open: they end when their device or account is taken away, or the maildrop locked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from mailpost.store import sql, sql_desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import apsw


class Session(Protocol):
    """What is told that its login is good no longer.

    :ivar account: the number of the account that has logged in; None: nobody has.
    :ivar device: the number of the device whose password was used; None: the main password.
    """

    account: int | None
    device: int | None

    def revoked(self) -> None:
        """End. Harmless where it has ended."""

    def locked(self, reason: str) -> None:
        """End, for the account was locked by hand. Harmless where it has ended."""


class Logins:
    """Who is logged in.

    :param db: a connection for short looks in the reactor's own thread.
    :param taken_away: told after something was taken away.
    :ivar there: gives the sessions that there are, whether anybody has logged in or not.
    """

    log = Logger()

    def __init__(self, db: apsw.Connection, taken_away: Callable[[], None]) -> None:
        self._db = db
        self._taken_away = taken_away
        # The listeners have them all; a list of one's own would take 180 octets for each.
        self.there: Callable[[], Iterable[Session]] = tuple

    def enter(self, session: Session, account: int, device: int | None = None) -> None:
        """Have a session told when its login is taken away, as long as it is there."""
        session.account, session.device = account, device

    def look(self) -> None:
        """Something was taken away: end the sessions that it concerns.

        :raises apsw.Error: which those are cannot be found out just now; none was ended.
        """
        ends: list[tuple[Session, Callable[[], None]]] = []
        for session in self.there():
            account = session.account
            if account is None:
                continue
            if self._gone(account, session.device):
                ends.append((session, session.revoked))
            elif (reason := self._locked(account)) is not None:
                ends.append((session, partial(session.locked, reason)))
        self._taken_away()
        for session, end in ends:
            session.account = None
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
