"""Bans, kept: those that the guard makes, so that they outlive a restart, and those made by hand.

The store is where the office and ``mailpost ban`` meet. The office holds all bans in memory
(:mod:`mailpost.bans`) and reads them again when the command line has changed some
(:mod:`mailpost.store.changes`); what its guard bans is in force at once, and nobody waits for the writing.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mailpost.bans import ROOM, Ban, Bans
from mailpost.outcome import TemporaryFailure
from mailpost.store import sql, sql_bans
from mailpost.store.changes import BANNED, GUARDED
from mailpost.store.errors import NoSuchBan
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from mailpost.bans import Network
    from mailpost.store.changes import Changes
    from mailpost.store.ledger import Ledger

LATER = 30.0  # seconds to wait after a ban could not be written


class KeptBans:
    """The bans of a store.

    :param db: a connection for short looks in the reactor's own thread.
    """

    log = Logger()

    def __init__(
        self, db: apsw.Connection, ledger: Ledger, clock: IReactorTime, changes: Changes
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock
        self._changes = changes
        self._unwritten: dict[Network, Ban] = {}
        self._networks: dict[str, Network] = {}  # those read last, by their text
        self._again: IDelayedCall | None = None
        self._stopped = False

    def in_force(self) -> list[Ban]:
        """Those whose time has not passed, the oldest first.

        :raises apsw.Error: they cannot be read.
        """
        rows = sql.told(self._db, sql_bans.IN_FORCE, (self._clock.seconds(),))
        before = self._networks  # to read a network costs more than all the rest
        self._networks = {row[0]: before.get(row[0]) or ip_network(row[0]) for row in rows}
        return [
            Ban(self._networks[network], until, made, reason, bool(by_hand), guesses)
            for network, until, made, reason, by_hand, guesses in rows
        ]

    # For the office -------------------------------------------------------------------------------

    def fill(self, bans: Bans, changed: Callable[[], None]) -> None:
        """Put those in force into memory, now and whenever they have changed.

        :param changed: told after the command line has changed them.
        :raises apsw.Error: they cannot be read.
        """

        def read() -> None:
            # What is not written yet cannot have been lifted by anybody.
            bans.replace([*self._unwritten.values(), *self.in_force()])

        def read_again() -> None:
            read()
            changed()

        self._changes.follow(BANNED, read_again)
        self._changes.follow(GUARDED, read)  # by another worker, perhaps
        read()

    def keep(self, ban: Ban) -> None:
        """Keep one that the guard has made; nobody waits for it. For the reactor's thread only."""
        self._unwritten[ban.network] = ban
        written = self._ledger.submit(Keep(ban))
        written.addCallbacks(lambda _: self._written(ban), self._failed)

    def stop(self) -> None:
        """Try no more to write what could not be written. Harmless when repeated."""
        self._stopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()

    def _written(self, ban: Ban) -> None:
        if self._unwritten.get(ban.network) is ban:
            del self._unwritten[ban.network]

    def _failed(self, failure: Failure) -> None:
        failure.trap(TemporaryFailure)
        if self._stopped or (self._again is not None and self._again.active()):
            return
        self.log.warn("bans could not be kept, for now: {error}", error=failure.value)
        self._again = self._clock.callLater(LATER, self._try_again)

    def _try_again(self) -> None:
        for ban in list(self._unwritten.values()):
            if ban.over(self._clock.seconds()):
                del self._unwritten[ban.network]
            else:
                self.keep(ban)

    # For the command line: these block ------------------------------------------------------------

    def add(self, ban: Ban) -> None:
        """Ban a network by hand, in place of the ban that is on it, if any."""
        self._ledger.run(Add(ban))

    def remove(self, network: Network) -> None:
        """Lift a ban.

        :raises NoSuchBan: there is none on this very network.
        """
        self._ledger.run(Remove(network, int(self._clock.seconds())))


class Keep(Operation[None]):
    """Keep a ban of the guard's."""

    __slots__ = ("ban",)

    def __init__(self, ban: Ban) -> None:
        self.ban = ban

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Keep]) -> Sequence[None]:
        """One row each, and the other workers are told.

        What is over goes, and the oldest where there are more than memory takes.
        """
        for keep in operations:
            ban = keep.ban
            db.execute(sql_bans.FORGET, (int(ban.made),))
            row = (str(ban.network), _whole(ban.until), int(ban.made), ban.reason, ban.guesses)
            db.execute(sql_bans.KEEP, row)
        db.execute(sql_bans.FORGET_OLDEST, (ROOM,))
        db.execute(sql_bans.CHANGE, (GUARDED,))
        return [None] * len(operations)


class _Singly(Operation[None]):
    """What is applied by itself."""

    __slots__ = ()

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Any]) -> Sequence[None]:
        for operation in operations:
            operation.one(db)
        return [None] * len(operations)


class Add(_Singly):
    """Ban by hand."""

    __slots__ = ("ban",)

    def __init__(self, ban: Ban) -> None:
        self.ban = ban

    def one(self, db: apsw.Connection) -> None:
        """One row, and the office is told."""
        ban = self.ban
        db.execute(sql_bans.FORGET, (int(ban.made),))
        row = (str(ban.network), _whole(ban.until), int(ban.made), ban.reason, ban.guesses)
        db.execute(sql_bans.ADD, row)
        db.execute(sql_bans.CHANGE, (BANNED,))


class Remove(_Singly):
    """Lift a ban."""

    __slots__ = ("network", "now")

    def __init__(self, network: Network, now: int) -> None:
        self.network = network
        self.now = now

    def one(self, db: apsw.Connection) -> None:
        """One row, and the office is told."""
        db.execute(sql_bans.FORGET, (self.now,))
        if db.execute(sql_bans.REMOVE, (str(self.network),)).get is None:
            raise NoSuchBan(f"{self.network} is not banned")
        db.execute(sql_bans.CHANGE, (BANNED,))


class Forget(_Singly):
    """Take away the bans whose time has passed."""

    __slots__ = ("now",)

    def __init__(self, now: int) -> None:
        self.now = now

    def one(self, db: apsw.Connection) -> None:
        """All such rows."""
        db.execute(sql_bans.FORGET, (self.now,))


def _whole(until: float | None) -> int | None:
    return None if until is None else int(until)
