"""The account book: names, stored passwords, and which maildrop and view are whose.

Names are kept in lower case; what a name may look like is for the accounts room to say. Finding is for
the reactor's thread and sees the newest commit, also another process's; all else blocks and is for the
command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
from attrs import frozen

from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store import sql
from mailpost.store.errors import DuplicateName, NoSuchName
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.store.ledger import Ledger
    from mailpost.store.locks import LockFile
    from mailpost.store.readers import Readers


@frozen
class Account:
    """Somebody who has a maildrop here.

    :ivar password: the encoded hash of the main password; None: no login by password.
    :ivar view: the view that a login opens.
    """

    number: int
    name: str
    password: str | None
    maildrop: int
    view: int


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

    def find(self, name: str) -> Account | None:
        """Whose name this is, as the newest commit has it. For the reactor's thread only.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        try:
            row = self._finder.execute(sql.FIND_ACCOUNT, (name.lower(),)).get
        except apsw.Error as error:
            raise TemporaryFailure(f"the account book cannot be read: {error}") from error
        return None if row is None else Account(*row)

    def all(self) -> list[Listed]:
        """Every account, by name, with what waits for it. Blocks."""
        return self._readers.call(_list)

    def add(self, name: str, password: str | None = None) -> Account:
        """Make an account with its maildrop and one view. Blocks.

        :raises DuplicateName: there is one already.
        """
        return self._ledger.run(Add(name.lower(), password))

    def set_password(self, name: str, password: str | None) -> None:
        """Replace the stored hash. Blocks.

        :raises NoSuchName: there is no such account.
        """
        self._ledger.run(SetPassword(name.lower(), password))

    def remove(self, name: str) -> None:
        """Remove an account, its view and its letters. Blocks.

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
    return [Listed(Account(*row[:5]), *row[5:]) for row in db.execute(sql.ALL_ACCOUNTS)]


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

    __slots__ = ("name", "password")

    def __init__(self, name: str, password: str | None) -> None:
        self.name = name
        self.password = password

    def one(self, db: apsw.Connection) -> Account:
        """Maildrop, view, account."""
        if _find(db, self.name) is not None:
            raise DuplicateName(f"there is an account {self.name} already")
        maildrop = db.execute(sql.ADD_MAILDROP).get
        view = db.execute(sql.ADD_VIEW, (maildrop,)).get
        number = db.execute(sql.ADD_ACCOUNT, (self.name, self.password, maildrop, view)).get
        return Account(number, self.name, self.password, maildrop, view)


class SetPassword(Add):
    """Replace the stored hash."""

    __slots__ = ()

    def one(self, db: apsw.Connection) -> Account:
        """One row."""
        if db.execute(sql.SET_PASSWORD, (self.password, self.name)).get is None:
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
        """Account and views; the maildrop is closed."""
        found = _find(db, self.account.name)
        if found is None:
            raise NoSuchName(f"there is no account {self.account.name}")
        db.execute(sql.REMOVE_ACCOUNT, (found.name,))
        db.execute(sql.REMOVE_EXCEPTIONS, (found.maildrop,))
        db.execute(sql.REMOVE_VIEWS, (found.maildrop,))
        db.execute(sql.CLOSE_MAILDROP, (found.maildrop,))
        return found
