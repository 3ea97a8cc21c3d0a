"""Quotas: how much a maildrop may hold.

What counts is what the maildrop's row counts: each letter once, however many devices are to have it, and
nothing that lies in the bin. RCPT asks by what the sender has announced; the true size is compared within
the transaction that enters a letter (:mod:`mailpost.store.posting`), so letters that come at the same time
do not go beyond it together.

An office without quotas is not asked at all. ``mailpost user set`` runs in another process; that there is one
now is noticed as :mod:`mailpost.store.changes` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from mailpost.store import sql_keeping

if TYPE_CHECKING:
    from mailpost.envelope import Destination, Group

KEPT = "kept"  # quotas and retentions were set; see mailpost.store.changes
POSTMARK = 512  # octets that the office adds to a letter, about


class Quotas:
    """The quotas of an office.

    :param db: a connection for short looks in the reactor's own thread.
    :ivar default: octets that a maildrop may hold which has no quota of its own; 0: any number.
    :ivar any: whether there are any.
    """

    def __init__(self, db: apsw.Connection, default: int = 0) -> None:
        self._db = db
        self.default = default
        self.any = True
        self.look()

    def look(self) -> None:
        """See whether there are any."""
        self.any = bool(self.default or self._db.execute(sql_keeping.ANY_QUOTA).get)

    def room_for(self, sorted_to: Destination | Group, octets: int) -> bool:
        """Whether one of a recipient's maildrops has room for a letter of so many octets."""
        if not self.any:
            return True
        try:
            return any(self._has_room(to, octets) for to in sorted_to.destinations)
        except apsw.Error:
            return True  # the commit will tell

    def _has_room(self, to: Destination, octets: int) -> bool:
        row: Any = self._db.execute(sql_keeping.ROOM, (to.maildrop,)).get
        if row is None or to.always:
            return True  # where it has just been removed the commit will tell
        held, quota = row
        if quota is None:
            quota = self.default
        return not quota or bool(held + octets + POSTMARK <= quota)
