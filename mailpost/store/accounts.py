"""The account book: names, stored passwords, and which maildrop and view are whose.

Names are kept in lower case; what a name may look like is for the accounts room to say. Finding is for
the reactor's thread and sees the newest commit, also another process's; all else blocks and is for the
command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
from attrs import field, frozen

from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store import sql, sql_carrying, sql_desk, sql_keeping
from mailpost.store.devices import Seen, of_account
from mailpost.store.errors import DuplicateName, NoSuchName
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.store.devices import Device
    from mailpost.store.ledger import Ledger
    from mailpost.store.locks import LockFile
    from mailpost.store.readers import Readers

MINUTE = 60.0


@frozen
class Account:
    """Somebody who has a maildrop here.

    :ivar password: the encoded hash of the main password; None: no login by password.
    :ivar view: the view that a login by the main password opens.
    :ivar scram: SCRAM's keys of the main password, as text; None: it has none.
    :ivar secret: a secret that can be read back, for APOP (RFC 1939 §7); hardly anybody has one.
    :ivar locked: why its maildrop is locked by hand, perhaps ``""``; None: it is not, or nobody has looked.
    """

    number: int
    name: str
    password: str | None
    maildrop: int
    view: int
    scram: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    locked: str | None = None


@frozen
class Listed:
    """An account with what waits for it."""

    account: Account
    letters: int
    octets: int


class Accounts:
    """The account book."""

    def __init__(
        self, finder: apsw.Connection, readers: Readers, ledger: Ledger, locks: LockFile
    ) -> None:
        self._finder = finder
        self._readers = readers
        self._ledger = ledger
        self._locks = locks
        self._noted: dict[int, float] = {}

    def find(self, name: str) -> Account | None:
        """Whose name this is, as the newest commit has it. For the reactor's thread only.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        try:
            row = self._finder.execute(sql.FIND_ACCOUNT, (name.lower(),)).get
        except apsw.Error as error:
            raise TemporaryFailure(f"the account book cannot be read: {error}") from error
        return None if row is None else Account(*row)

    def devices_of(self, account: Account) -> Sequence[Device]:
        """The account's devices as the newest commit has them. For the reactor's thread only.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        try:
            return of_account(self._finder, account.number)
        except apsw.Error as error:
            raise TemporaryFailure(f"the devices cannot be read: {error}") from error

    def seen(self, device: int, when: float) -> None:
        """Note that a device has logged in, once a minute at most; nobody waits for it.

        :param when: seconds since 1970. For the reactor's thread only.
        """
        if abs(when - self._noted.get(device, 0.0)) < MINUTE:
            return
        self._noted[device] = when
        # It is told to people alone: where it cannot be written, the next login's will do.
        self._ledger.submit(Seen(device, int(when))).addErrback(lambda _: None)

    def all(self) -> list[Listed]:
        """Every account, by name, with what waits for it. Blocks."""
        return self._readers.call(_list)

    def add(
        self,
        name: str,
        password: str | None = None,
        scram: str | None = None,
        secret: str | None = None,
    ) -> Account:
        """Make an account with its maildrop and one view. Blocks.

        :raises DuplicateName: there is one already.
        """
        return self._ledger.run(Add(name.lower(), password, scram, secret))

    def set_password(
        self,
        name: str,
        password: str | None,
        scram: str | None = None,
        secret: str | None = None,
    ) -> None:
        """Replace what is kept of the main password, all of it: what is not given is gone. Blocks.

        :raises NoSuchName: there is no such account.
        """
        self._ledger.run(SetPassword(name.lower(), password, scram, secret))

    def remove(self, name: str) -> None:
        """Remove an account, its devices, its views and its letters. Blocks.

        :raises NoSuchName: there is no such account.
        :raises MaildropInUse: a session has it open.
        """
        account = self._readers.call(_find, name.lower())
        if account is None:
            raise NoSuchName(f"there is no account {name}")
        if not self._locks.take(account.view):
            raise MaildropInUse(f"somebody is collecting the letters of {name} just now")
        try:
            self._ledger.run(Remove(account))
        finally:
            self._locks.free(account.view)


def _find(db: apsw.Connection, name: str) -> Account | None:
    row = db.execute(sql.FIND_ACCOUNT, (name,)).get
    return None if row is None else Account(*row)


def _list(db: apsw.Connection) -> list[Listed]:
    return [Listed(Account(*row[:7]), *row[7:]) for row in db.execute(sql.ALL_ACCOUNTS)]


class _Singly(Operation[Account]):
    """An operation on one account, applied by itself."""

    __slots__ = ()

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[_Singly]) -> Sequence[Account]:
        return [operation.one(db) for operation in operations]

    def one(self, db: apsw.Connection) -> Account:
        raise NotImplementedError


class Add(_Singly):
    """Make an account."""

    __slots__ = ("name", "password", "scram", "secret")

    def __init__(
        self, name: str, password: str | None, scram: str | None, secret: str | None
    ) -> None:
        self.name = name
        self.password = password
        self.scram = scram
        self.secret = secret

    def one(self, db: apsw.Connection) -> Account:
        """Maildrop, view, account."""
        if _find(db, self.name) is not None:
            raise DuplicateName(f"there is an account {self.name} already")
        maildrop = db.execute(sql.ADD_MAILDROP).get
        view = db.execute(sql.ADD_VIEW, (maildrop,)).get
        kept = (self.password, self.scram, self.secret)
        number = db.execute(sql.ADD_ACCOUNT, (self.name, *kept, maildrop, view)).get
        return Account(number, self.name, self.password, maildrop, view, self.scram, self.secret)


class SetPassword(Add):
    """Replace what is kept of the main password."""

    __slots__ = ()

    def one(self, db: apsw.Connection) -> Account:
        """One row."""
        kept = (self.password, self.scram, self.secret)
        if db.execute(sql.SET_PASSWORD, (*kept, self.name)).get is None:
            raise NoSuchName(f"there is no account {self.name}")
        account = _find(db, self.name)
        assert account is not None
        return account


class Remove(_Singly):
    """Remove an account; the sweeper takes its letters."""

    __slots__ = ("account",)

    def __init__(self, account: Account) -> None:
        self.account = account

    def one(self, db: apsw.Connection) -> Account:
        """Account, devices and views; the maildrop is closed."""
        found = _find(db, self.account.name)
        if found is None:
            raise NoSuchName(f"there is no account {self.account.name}")
        db.execute(sql.REMOVE_ACCOUNT, (found.name,))
        db.execute(sql.REMOVE_DEVICES, (found.number,))
        db.execute(sql.REMOVE_EXCEPTIONS, (found.maildrop,))
        db.execute(sql_keeping.REMOVE_ALL_FETCHED, (found.maildrop,))
        db.execute(sql.REMOVE_VIEWS, (found.maildrop,))
        db.execute(sql_carrying.FORGET_BROUGHT, (found.maildrop,))
        db.execute(sql_desk.UNLOCK, (found.maildrop,))
        db.execute(sql.CLOSE_MAILDROP, (found.maildrop,))
        db.execute(sql.REVOKE)
        return found
