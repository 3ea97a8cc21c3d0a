"""Devices: logins of an account beside its main password, each with a view of its own.

A device's password is generated, so what is kept of it is a fast keyed digest and SCRAM's keys. Its view
begins somewhere in the account's maildrop; what it lets go of there is still there for the others.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from mailpost.store import sql, sql_keeping
from mailpost.store.errors import DuplicateName, NoSuchName
from mailpost.store.views import begin_at
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw
    from twisted.internet.interfaces import IReactorTime

    from mailpost.store.accounts import Account
    from mailpost.store.ledger import Ledger
    from mailpost.store.readers import Readers


class Rights(IntFlag):
    """What a device may do."""

    COLLECT = 1
    SUBMIT = 2
    BOTH = COLLECT | SUBMIT


@frozen
class Device:
    """One device of an account.

    :ivar number: its own, never given to another.
    :ivar view: the view that its login opens.
    :ivar digest: of its password, under the office's secret.
    :ivar scram: SCRAM's keys of its password, as text; None: it has none.
    """

    number: int
    name: str
    view: int
    digest: bytes = field(repr=False)
    scram: str | None = field(repr=False)
    rights: Rights


@frozen
class ListedDevice:
    """A device, and how it fares.

    :ivar account: the account's name.
    :ivar made: in seconds since 1970.
    :ivar seen: its last login, to a minute; None: it has never logged in.
    :ivar lapsed: whether it was away for so long that it holds no letters back.
    :ivar letters: how many wait for it.
    """

    account: str
    device: Device
    made: int
    seen: int | None
    lapsed: bool
    letters: int


def _list(db: apsw.Connection) -> list[ListedDevice]:
    listed = []
    rows: list[Any] = db.execute(sql.ALL_DEVICES).fetchall()
    for account, number, name, view, digest, scram, rights, made, seen, living, letters in rows:
        device = Device(number, name, view, digest, scram, Rights(rights))
        collects = Rights.COLLECT in device.rights
        lapsed = collects and not living
        listed.append(ListedDevice(account, device, made, seen, lapsed, letters if collects else 0))
    return listed


def of_account(db: apsw.Connection, account: int) -> Sequence[Device]:
    """The devices of an account, the oldest first."""
    rows: list[Any] = db.execute(sql.DEVICES_OF, (account,)).fetchall()
    return [
        Device(number, name, view, digest, scram, Rights(rights))
        for number, name, view, digest, scram, rights in rows
    ]


class Devices:
    """The devices of all accounts. Everything here blocks, and is for the command line."""

    def __init__(self, readers: Readers, ledger: Ledger, clock: IReactorTime) -> None:
        self._readers = readers
        self._ledger = ledger
        self._clock = clock

    def add(
        self,
        account: Account,
        name: str,
        *,
        digest: bytes,
        scram: str | None = None,
        rights: Rights = Rights.BOTH,
        since: int | None = 0,
    ) -> Device:
        """Give an account one more device.

        :param since: seconds since 1970: its view shows what has arrived from then on and is still there;
            None: only what is yet to come.
        :raises DuplicateName: the account has a device of this name.
        :raises NoSuchName: the account has been removed.
        """
        made = int(self._clock.seconds())
        return self._ledger.run(AddDevice(account, name, digest, scram, rights, since, made))

    def remove(self, account: Account, name: str) -> None:
        """Take a device away, and its view with it: what it held back is held back no longer.

        :raises NoSuchName: the account has no device of this name.
        """
        self._ledger.run(RemoveDevice(account, name))

    def rename(self, account: Account, name: str, new: str) -> None:
        """Call a device by another name; its password and its view stay.

        :raises NoSuchName: the account has no device of this name.
        :raises DuplicateName: it has one of the new name.
        """
        self._ledger.run(RenameDevice(account, name, new))

    def all(self) -> list[ListedDevice]:
        """Every device, by its account's name."""
        return self._readers.call(_list)


class _Singly(Operation[Device]):
    """An operation on one device, applied by itself."""

    __slots__ = ("account", "name")

    def __init__(self, account: Account, name: str) -> None:
        self.account = account
        self.name = name

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[_Singly]) -> Sequence[Device]:
        return [operation.one(db) for operation in operations]

    def one(self, db: apsw.Connection) -> Device:
        raise NotImplementedError

    def find(self, db: apsw.Connection) -> Device | None:
        found = of_account(db, self.account.number)
        return next((device for device in found if device.name == self.name), None)

    def existing(self, db: apsw.Connection) -> Device:
        device = self.find(db)
        if device is None:
            raise NoSuchName(f"{self.account.name} has no device {self.name}")
        return device


class AddDevice(_Singly):
    """Make a device and its view."""

    __slots__ = ("digest", "made", "rights", "scram", "since")

    def __init__(
        self,
        account: Account,
        name: str,
        digest: bytes,
        scram: str | None,
        rights: Rights,
        since: int | None,
        made: int,
    ) -> None:
        super().__init__(account, name)
        self.digest = digest
        self.scram = scram
        self.rights = rights
        self.since = since
        self.made = made

    def one(self, db: apsw.Connection) -> Device:
        """View, device; the view lives only where it can be opened."""
        account = self.account
        if db.execute(sql.FIND_ACCOUNT, (account.name,)).get is None:
            raise NoSuchName(f"there is no account {account.name}")
        if self.find(db) is not None:
            raise DuplicateName(f"{account.name} has a device {self.name} already")
        older: frozenset[int] = frozenset()
        if self.since is None:
            floor = db.execute(sql.FLOOR_OF_ALL, (account.maildrop,)).get
        else:
            floor, older = begin_at(db, account.maildrop, self.since)
        # While a view was the only one it could not lapse; now it has all the time, from today.
        db.execute(sql.COUNT_ANEW, (self.made, account.maildrop, self.made))
        living = int(Rights.COLLECT in self.rights)
        view = db.execute(sql.ADD_DEVICE_VIEW, (account.maildrop, floor, living, self.made)).get
        excepted = [value for number in sorted(older) for value in (view, number)]
        sql.each(db.execute, sql.ADD_EXCEPTIONS, excepted)
        row = (account.number, self.name, view, self.digest, self.scram, self.rights, self.made)
        number = db.execute(sql.ADD_DEVICE, row).get
        return Device(number, self.name, view, self.digest, self.scram, self.rights)


class RemoveDevice(_Singly):
    """Take a device away."""

    __slots__ = ()

    def one(self, db: apsw.Connection) -> Device:
        """Device, view, exceptions."""
        device = self.existing(db)
        db.execute(sql.REMOVE_DEVICE, (device.number,))
        db.execute(sql.REMOVE_VIEW_EXCEPTIONS, (device.view,))
        db.execute(sql_keeping.REMOVE_FETCHED, (device.view,))
        db.execute(sql.REMOVE_VIEW, (device.view,))
        db.execute(sql.REVOKE)
        return device


class RenameDevice(_Singly):
    """Give a device another name."""

    __slots__ = ("new",)

    def __init__(self, account: Account, name: str, new: str) -> None:
        super().__init__(account, name)
        self.new = new

    def one(self, db: apsw.Connection) -> Device:
        """One row."""
        device = self.existing(db)
        if any(one.name == self.new for one in of_account(db, self.account.number)):
            raise DuplicateName(f"{self.account.name} has a device {self.new} already")
        db.execute(sql.RENAME_DEVICE, (self.new, device.number))
        return evolve(device, name=self.new)


class Seen(Operation[None]):
    """Note a device's login."""

    __slots__ = ("device", "when")

    def __init__(self, device: int, when: int) -> None:
        self.device = device
        self.when = when

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Seen]) -> Sequence[None]:
        """One row each, and never back in time."""
        for seen in operations:
            db.execute(sql.SEEN, (seen.when, seen.device, seen.when))
        return [None] * len(operations)
