"""Logins that are open: they end when their device, or their account, is taken away.

``mailpost device remove`` runs in another process. So once a second the office looks at one number in the
store, which grows whenever something is taken away, and only then at who is logged in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import apsw
from twisted.logger import Logger

from mailpost.store import sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 0.5  # seconds: what is taken away is noticed within one


class Session(Protocol):
    """What is told that its login is good no longer."""

    def revoked(self) -> None:
        """End. Harmless where it has ended."""


class Logins:
    """Who is logged in.

    :param db: a connection for short looks in the reactor's own thread.
    :param taken_away: told after something was taken away.
    """

    log = Logger()

    def __init__(
        self, db: apsw.Connection, clock: IReactorTime, taken_away: Callable[[], None]
    ) -> None:
        self._db = db
        self._clock = clock
        self._taken_away = taken_away
        # A session that has ended need not say so.
        self._sessions: WeakKeyDictionary[Session, tuple[int, int | None]] = WeakKeyDictionary()
        self._known = self._revocations()
        self._call: IDelayedCall | None = None

    def enter(self, session: Session, account: int, device: int | None = None) -> None:
        """Have a session told when its login is taken away; it is not kept alive by that.

        :param account: the account's number.
        :param device: the number of the device whose password was used; None: the main password.
        """
        self._sessions[session] = (account, device)

    def start(self) -> None:
        """Look from now on."""
        self._call = self._clock.callLater(INTERVAL, self._look)

    def stop(self) -> None:
        """Look no more. Harmless when repeated."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _look(self) -> None:
        self._call = self._clock.callLater(INTERVAL, self._look)
        try:
            now = self._revocations()
            if now == self._known:
                return
            gone = [session for session, who in list(self._sessions.items()) if self._gone(*who)]
        except apsw.Error as error:
            self.log.warn("logins cannot be looked at just now: {error}", error=error)
            return
        self._known = now
        self._taken_away()
        for session in gone:
            self._sessions.pop(session, None)
            try:
                session.revoked()
            except Exception:  # noqa: BLE001 - the others are to end all the same
                self.log.failure("a session could not be ended")

    def _revocations(self) -> str | None:
        value: str | None = self._db.execute(sql.REVOKED).get
        return value

    def _gone(self, account: int, device: int | None) -> bool:
        if self._db.execute(sql.ACCOUNT_THERE, (account,)).get is None:
            return True
        return device is not None and self._db.execute(sql.DEVICE_THERE, (device,)).get is None
