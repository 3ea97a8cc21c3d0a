"""The store as a whole: its parts made and joined, started and closed.

On the disk, all of it the owner's alone::

    mailpost.db             the database; -wal and -shm beside it are SQLite's
    mailpost.db.locks       who is alive, which views are open
    mailpost.db.turn        whose turn it is to write
    mailpost.db.control     where a running office is asked (mailpost.control)
    mailpost.db.parcels/    bodies too large for a row
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailpost.store.accounts import Account, Accounts
from mailpost.store.addresses import Addresses
from mailpost.store.backup import Manifest, back_up
from mailpost.store.bans import KeptBans
from mailpost.store.bin import Bin
from mailpost.store.bringing import Bringing
from mailpost.store.changes import REVOKED, Changes
from mailpost.store.checkpoints import Checkpoints
from mailpost.store.contents import Contents
from mailpost.store.delivery import Delivery
from mailpost.store.devices import Devices
from mailpost.store.expiring import Expiry
from mailpost.store.fetched import Fetched, fetched_by
from mailpost.store.figures import Figures, figures
from mailpost.store.heads import head
from mailpost.store.keeping import Keeping
from mailpost.store.lapsing import DAY
from mailpost.store.ledger import Ledger
from mailpost.store.locking import Locking
from mailpost.store.locks import SERVING, LockFile
from mailpost.store.logins import Logins
from mailpost.store.maildrops import Lately, Maildrop
from mailpost.store.overview import ListedMaildrop, ListedView, list_maildrops, list_views
from mailpost.store.parcels import Parcels
from mailpost.store.policy import AS_IT_SHIPS, Policy
from mailpost.store.quotas import KEPT, Quotas
from mailpost.store.readers import Readers
from mailpost.store.snapshot import Room
from mailpost.store.space import Space
from mailpost.store.sqlite import Engine
from mailpost.store.sweeper import Sweeper
from mailpost.store.tracing import Tracing
from mailpost.store.turns import TurnLock
from mailpost.store.warnings import Warnings
from mailpost.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

LATELY = 30 * DAY  # what Gmail's users know as recent mode


class Store:
    """An open store. Make one with :func:`open_store`.

    :ivar accounts: the account book.
    :ivar addresses: domains and aliases.
    :ivar warnings: tells owners that their maildrops are nearly full, once it has somebody to write that.
    :ivar keeping: what is set of how much maildrops hold, and for how long.
    :ivar bin: what was deleted and can come back.
    :ivar expiry: for how many days letters are kept at least, as POP3 announces it.
    :ivar devices: what each account's devices are.
    :ivar delivery: takes letters in.
    :ivar bringing: takes in letters that were elsewhere before.
    :ivar tracing: finds letters for people.
    :ivar locking: which maildrops are locked by hand.
    :ivar logins: ends sessions whose login is taken away.
    :ivar bans: who may not come.
    :ivar secret: 32 octets that key the office's digests, the same in all its processes and for good.
    :ivar iterations: the count of SCRAM, the same for everybody and for good.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: IReactorTime,
        call_in_reactor: Callable[..., object],
        defer_to_thread: Callable[..., Deferred[Any]],
        policy: Policy = AS_IT_SHIPS,
    ) -> None:
        self._engine = engine = Engine(path)
        engine.check()
        self.path = path
        office = engine.office()
        self.secret = bytes.fromhex(office["secret"])
        self.iterations = int(office["iterations"])
        self._turns = TurnLock(path.with_name(path.name + ".turn"))
        self._locks = LockFile(path.with_name(path.name + ".locks"))
        self._parcels = Parcels(path.with_name(path.name + ".parcels"), self._locks.token)
        self._readers = Readers(engine, defer_to_thread)
        self._finder = engine.reader()
        self.ledger = Ledger(
            Writer(engine, self._turns, time.monotonic), Checkpoints(engine), clock, call_in_reactor
        )
        self.space = Space(path.parent, clock, policy.reserve)
        self.accounts = Accounts(self._finder, self._readers, self.ledger, self._locks)
        self.addresses = Addresses(self._finder, self.ledger)
        self.devices = Devices(self._readers, self.ledger, clock)
        self._changes = Changes(self._finder, clock)
        self.bans = KeptBans(self._finder, self.ledger, clock, self._changes)
        self.tracing = Tracing(self._readers, self._parcels, office["epoch"])
        self.locking = Locking(self.ledger, clock)
        self.keeping = Keeping(self._readers, self.ledger, clock)
        self.bin = Bin(self._readers, self.ledger, clock)
        self.sweeper = Sweeper(
            clock=clock,
            ledger=self.ledger,
            readers=self._readers,
            parcels=self._parcels,
            locks=self._locks,
            space=self.space,
            in_thread=defer_to_thread,
            policy=policy,
        )
        self.delivery = Delivery(
            self.ledger,
            self._parcels,
            self.space,
            clock,
            defer_to_thread,
            self.sweeper.make_room,
            Quotas(self._finder, policy.quota),
        )
        self._epoch = office["epoch"]
        self.bringing = Bringing(
            self.ledger, self._readers, self._parcels, self.space, clock, office["epoch"]
        )
        self.warnings = Warnings(
            clock=clock, ledger=self.ledger, readers=self._readers, delivery=self.delivery
        )
        self.delivery.posted = self.warnings.look_soon
        self._changes.follow(KEPT, self._rules_changed)
        self.logins = Logins(self._finder, self.sweeper.search)
        self._changes.follow(REVOKED, self.logins.look)
        self.expiry = Expiry(self._finder, policy.retention)
        self._room = Room(
            clock=clock,
            epoch=office["epoch"],
            finder=self._finder,
            ledger=self.ledger,
            readers=self._readers,
            locks=self._locks,
            parcels=self._parcels,
            in_thread=defer_to_thread,
            let_go=self._let_go,
            keeps=self.expiry.of,
        )

    def _rules_changed(self) -> None:
        self.delivery.quotas.look()
        self.expiry.look()
        self.warnings.look_soon()

    def _let_go(self, maildrop: int) -> None:
        self.sweeper.let_go(maildrop)
        self.warnings.look_soon()

    def maildrop(self, account: Account, view: int | None = None) -> Maildrop:
        """The maildrop of an account.

        :param view: of one of its devices; without, the one that the main password opens.
        """
        return Maildrop(self._room, account.maildrop, account.view if view is None else view)

    def lately(self, account: Account) -> Lately:
        """What an account got of late, whoever has collected it; nothing can be let go of there."""
        return Lately(self._room, account.maildrop, LATELY)

    def fetched_by(self, account: Account, number: int) -> list[Fetched]:
        """Who of an account's devices has fetched a letter of its maildrop, and when. Blocks.

        :param number: the letter's, as in its unique-id.
        """
        return self._readers.call(fetched_by, account.maildrop, number)

    def maildrops(self) -> list[ListedMaildrop]:
        """Every account's maildrop, for people. Blocks."""
        return self._readers.call(list_maildrops)

    def views(self, account: Account) -> list[ListedView]:
        """How each view of an account's maildrop stands to it. Blocks."""
        return self._readers.call(list_views, account.maildrop)

    def back_up(self, folder: Path, told: Callable[[int, int], object]) -> Manifest:
        """Copy the whole store into a folder, whoever works with it. Blocks; see :func:`back_up`."""
        return back_up(self._engine, self._parcels.folder, self._locks, folder, told)

    def sole(self) -> bool:
        """Whether this process is the one that serves the store; from here on, if no other is."""
        return self._locks.take(SERVING)

    def figures(self) -> Figures:
        """How large the store is. Blocks."""
        return self._readers.call(figures, self.path, self._parcels.folder)

    def contents(self, account: Account, view: int | None = None) -> Contents:
        """What an account's view shows just now, to be carried away. Blocks.

        :param view: of one of its devices; without, the one that the main password opens.
        """
        seen = account.view if view is None else view
        return Contents(self._readers, self._parcels, self._epoch, account.maildrop, seen)

    def head(self, letter: int) -> bytes:
        """The first 16 KiB of a letter's body, for people who are to know it again. Blocks."""
        return self._readers.call(head, self._parcels, letter)

    def start(self) -> None:
        """Start what works by itself: the ledger's thread, the sweeper, the look at what has changed."""
        self.ledger.start()
        self.sweeper.start()
        self._changes.start()
        self.warnings.start()

    def close(self) -> None:
        """Write what was accepted, then close everything. Blocks. Harmless when repeated."""
        self._changes.stop()
        self.warnings.stop()
        self.bans.stop()
        self.sweeper.stop()
        self.ledger.close()
        self._readers.close()
        self._finder.close()
        self._turns.close()
        self._locks.close()


def serving(path: Path) -> LockFile | None:
    """For a process that leads others: it is the one that serves this store, until the lock is closed.

    None: another office does, or the store is not there.
    """
    if not path.exists():
        return None
    lock = LockFile(path.with_name(path.name + ".locks"))
    if lock.take(SERVING):
        return lock
    lock.close()
    return None


def create_store(path: Path | str) -> None:
    """Make an empty store, with an account for ``postmaster``.

    :raises StoreError: it cannot be made there.
    """
    Engine(Path(path)).create()


def open_store(
    path: Path | str,
    *,
    clock: IReactorTime,
    call_in_reactor: Callable[..., object],
    defer_to_thread: Callable[..., Deferred[Any]],
    create: bool = False,
    policy: Policy = AS_IT_SHIPS,
) -> Store:
    """Open a store.

    :param clock: the reactor, or a ``task.Clock``.
    :param call_in_reactor: ``reactor.callFromThread``.
    :param defer_to_thread: runs a callable with its arguments in a thread; a Deferred of its result.
    :param create: make the store where there is none.
    :param policy: what the office's configuration says of how letters are kept.
    :raises StoreError: it cannot be opened; the message says what to do.
    """
    place = Path(path)
    if create and not place.exists():
        create_store(place)
    return Store(
        place,
        clock=clock,
        call_in_reactor=call_in_reactor,
        defer_to_thread=defer_to_thread,
        policy=policy,
    )
