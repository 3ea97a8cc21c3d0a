"""A process that does a little of everything a store does, step by step, and says what it was promised.

Run by the tests of power cuts: ``python small_history.py STORE NAME``. Its lines are those of a history.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mailpost.store.delivery import ROW
from mailpost.store.sweeper import PAUSE, SOON
from tests.faults.letters import body_of
from tests.store.conftest import Office, now
from tests.store.under_load import Told

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL, PARCEL = 200, ROW + 2_000


class Little:
    """The process, and its one account, which it makes."""

    def __init__(self, path: str, user: str) -> None:
        self.office = Office(Path(path))
        self.user = user
        self.account = self.office.accounts.add(user)
        self.told = Told("little-")
        self.serial = 0

    def deliver(self, size: int) -> None:
        """One letter."""
        self.serial += 1
        name = f"letter-{self.serial}"
        body = body_of(name, size)
        attempt = self.told.sending(name, [self.user], body)
        (outcome,) = self.office.deliver(body, self.account, postmark=b"")
        self.told.answered(attempt, b"%d" % outcome.reply.code)

    def let_go(self, indexes: Sequence[int]) -> None:
        """A session that ends with QUIT."""
        session = self.told.opening(self.user)
        snapshot = self.office.open(self.account)
        uidls = [snapshot.uidl(index) for index in range(len(snapshot.sizes))]
        self.told.listed(session, uidls)
        for index, uidl in enumerate(uidls):
            self.told.read(session, uidl, self.office.fetch(snapshot, index))
        self.told.quitting(session, [uidls[index] for index in indexes])
        going = snapshot.let_go(indexes)
        self.office.turn()
        now(going)
        self.told.quit(session, b"+OK")
        self.told.closed(session)
        snapshot.close()

    def sweep(self) -> None:
        """Take away what was let go of."""
        self.office.turn()
        self.office.clock.advance(SOON)
        for _ in range(8):
            self.office.turn()
            self.office.clock.advance(PAUSE)

    def shorten(self) -> None:
        """Copy the write-ahead log into the database, and cut it off."""
        self.office.ledger.shorten_log()
        self.office.turn()

    def live(self) -> None:
        """All of it; at the end the database is closed, which does away with the log."""
        self.office.store.sweeper.start()
        self.sweep()
        self.deliver(SMALL)
        self.deliver(PARCEL)
        self.shorten()
        self.deliver(SMALL)
        self.let_go([0, 2])
        self.sweep()
        self.deliver(PARCEL)
        self.let_go([0])
        self.sweep()
        self.office.store.close()


if __name__ == "__main__":
    Little(*sys.argv[1:]).live()
