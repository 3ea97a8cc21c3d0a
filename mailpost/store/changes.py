"""What the command line has changed, and a running office holds in memory.

``mailpost device remove`` and ``mailpost ban add`` run in another process, and so do the other workers, whose
guards ban. Each adds one to a number of its own in the store. Twice a second the office looks at those
numbers, by one statement, and only where one has grown at what was changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
from twisted.logger import Logger

from mailpost.store import sql, sql_bans

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 0.5  # seconds: a change is noticed within one

REVOKED = "revoked"  # accounts and devices were taken away
BANNED = "banned"  # bans were made or lifted by hand
GUARDED = "guarded"  # the guard of some worker has banned somebody


class Changes:
    """Looks at the numbers, and tells whom it concerns.

    :param db: a connection for short looks in the reactor's own thread.
    """

    log = Logger()

    def __init__(self, db: apsw.Connection, clock: IReactorTime) -> None:
        self._db = db
        self._clock = clock
        self._followers: dict[str, Callable[[], None]] = {}
        self._known: dict[str, str] = {}
        self._call: IDelayedCall | None = None

    def follow(self, name: str, changed: Callable[[], None]) -> None:
        """Be told of a change from now on.

        :param name: of the number.
        :param changed: where it raises apsw.Error, it is told again.
        """
        self._followers[name] = changed
        self._known.update(self._numbers(name))

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
            for name, number in self._numbers(*self._followers).items():
                if number != self._known.get(name):
                    self._followers[name]()
                    self._known[name] = number
        except apsw.Error as error:
            self.log.warn("changes cannot be looked at just now: {error}", error=error)

    def _numbers(self, *names: str) -> dict[str, str]:
        rows = self._db.execute(sql.times(sql_bans.CHANGED, len(names)), names)
        return {str(name): str(number) for name, number in rows}
