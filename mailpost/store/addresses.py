"""Domains and aliases: what the store knows of an address.

What an address comes to is for the sorting room to say; here it is found, by one statement for an
address or for many, and changed, by one transaction for whatever belongs together. Local parts, domains
and targets are kept in the one form that sorting gives them. Finding is for the reactor's thread and sees
the newest commit, also another process's; changing blocks and is for the command line.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import apsw
from attrs import frozen

from mailpost.outcome import TemporaryFailure
from mailpost.store import sql, sql_addresses
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from mailpost.store.ledger import Ledger

T = TypeVar("T")
SEPARATOR = "+"  # what most of the world uses


@frozen
class Domain:
    """A domain of the office, and what is set for it.

    :ivar ours: it was added to the store; the configuration's are there by themselves.
    :ivar accounts: whether accounts' names are addresses there; if not, only aliases are.
    :ivar separator: the character between a name and a detail of the user's own; ``""``: none.
    """

    name: str
    ours: bool = True
    accounts: bool = True
    separator: str = SEPARATOR


class Alias(NamedTuple):
    """One target of an alias.

    :ivar domain: ``""``: in every domain.
    :ivar local: ``""``: whatever nobody has in that domain.
    :ivar target: an address, or a name without a domain.
    """

    domain: str
    local: str
    target: str


class Found(NamedTuple):
    """What is known of an address.

    :ivar domain: as it was asked for; ``""``: in no domain.
    :ivar settings: of the domain; None: there are none.
    :ivar here: the targets of the alias that it is in this domain.
    :ivar everywhere: the targets of the alias that it is in every domain.
    :ivar maildrop: of the account whose name the local part is; None: there is none.
    """

    domain: str
    local: str
    settings: Domain | None
    here: tuple[str, ...]
    everywhere: tuple[str, ...]
    maildrop: int | None


class AddressBook:
    """Finds addresses by one connection."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, domain: str, local: str) -> Found:
        """Find what is known of an address.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        try:
            row = self._db.execute(sql_addresses.FIND, (domain, local)).get
        except apsw.Error as error:
            raise _unreadable(error) from error
        return _found(row)

    def find_all(self, addresses: Sequence[tuple[str, str]]) -> list[Found]:
        """Find many, given as domain and local part; each bears what was asked for.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        found: list[Found] = []
        try:
            for start, end in sql.portions(len(addresses)):
                values = [value for address in addresses[start:end] for value in address]
                statement = sql.times(sql_addresses.FIND, end - start)
                found += map(_found, self._db.execute(statement, values))
        except apsw.Error as error:
            raise _unreadable(error) from error
        return found

    def domains(self) -> list[Domain]:
        """Every domain of which something is known, by name."""
        return [_domain(row) for row in self._db.execute(sql_addresses.DOMAINS)]

    def domain(self, name: str) -> Domain | None:
        """What is known of a domain.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        try:
            row = self._db.execute(sql_addresses.DOMAIN, (name,)).get
        except apsw.Error as error:
            raise _unreadable(error) from error
        return None if row is None else _domain(row)

    def aliases(self) -> list[Alias]:
        """Every target of every alias, by domain and local part."""
        return _aliases(self._db.execute(sql_addresses.ALIASES))

    def aliases_at(self, domain: str) -> list[Alias]:
        """The aliases of one domain; ``""``: those of every domain."""
        return _aliases(self._db.execute(sql_addresses.ALIASES_AT, (domain,)))

    def alias(self, domain: str, local: str) -> list[Alias]:
        """The targets of one alias; none: there is no such alias."""
        return _aliases(self._db.execute(sql_addresses.ALIAS, (domain, local)))

    def aliases_of(self, name: str) -> list[Alias]:
        """The aliases that have a name among their targets, alone or in some domain."""
        values = (name, f"{name}@", f"{name}A")
        return _aliases(self._db.execute(sql_addresses.ALIASES_OF, values))

    def aliases_into(self, domain: str) -> list[Alias]:
        """The aliases that have an address of a domain among their targets."""
        pattern = "%@" + domain.replace("_", r"\_")
        return _aliases(self._db.execute(sql_addresses.ALIASES_TO, (pattern,)))


class AddressRegister(AddressBook):
    """Finds, and changes, within a transaction."""

    def set_domain(self, domain: Domain) -> None:
        """Add a domain, or replace what is set for it."""
        values = (domain.name, int(domain.ours), int(domain.accounts), domain.separator)
        self._db.execute(sql_addresses.SET_DOMAIN, values)

    def remove_domain(self, name: str) -> None:
        """Forget a domain and its aliases."""
        self._db.execute(sql_addresses.REMOVE_ALIASES_AT, (name,))
        self._db.execute(sql_addresses.REMOVE_DOMAIN, (name,))

    def add(self, alias: Alias) -> bool:
        """Add a target; whether it was not there yet."""
        return self._db.execute(sql_addresses.ADD_ALIAS, alias).get is not None

    def remove(self, alias: Alias) -> bool:
        """Remove a target; whether it was there."""
        return self._db.execute(sql_addresses.REMOVE_TARGET, alias).get is not None


class Addresses(AddressBook):
    """The domains and aliases of a store."""

    def __init__(self, finder: apsw.Connection, ledger: Ledger) -> None:
        super().__init__(finder)
        self._ledger = ledger

    def change(self, work: Callable[[AddressRegister], T], *, dry: bool = False) -> T:
        """Change domains and aliases in one transaction, and give what ``work`` gives. Blocks.

        :param work: whatever it finds is what it has changed so far; a StoreError that it raises undoes all.
        :param dry: undo it in any case.
        """
        return self._ledger.run(Change(work, dry=dry))


class Domains:
    """The names of the office's domains: the configuration's, and those that were added."""

    def __init__(self, always: Iterable[str], book: AddressBook) -> None:
        self._always = frozenset(always)
        self._book = book

    def __contains__(self, name: object) -> bool:
        """Whether it is one, as the newest commit has it."""
        if name in self._always:
            return True
        known = self._book.domain(name) if isinstance(name, str) else None
        return known is not None and known.ours


class Change(Operation[T], Generic[T]):
    """Some work on domains and aliases."""

    __slots__ = ("dry", "work")

    def __init__(self, work: Callable[[AddressRegister], T], *, dry: bool) -> None:
        self.work = work
        self.dry = dry

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Change[T]]) -> Sequence[T]:
        """Each after the other."""
        return [operation.one(db) for operation in operations]

    def one(self, db: apsw.Connection) -> T:
        """Work, and undo it where it is not meant."""
        db.execute("SAVEPOINT dry")
        answer = self.work(AddressRegister(db))
        if self.dry:
            db.execute("ROLLBACK TO dry")
        db.execute("RELEASE dry")
        return answer


def _unreadable(error: apsw.Error) -> TemporaryFailure:
    return TemporaryFailure(f"the addresses cannot be read: {error}")


def _found(row: Any) -> Found:
    domain, local, settings, here, everywhere, maildrop = row
    return Found(
        domain,
        local,
        None if settings is None else _domain(json.loads(settings)),
        () if here is None else tuple(here.split("\n")),
        () if everywhere is None else tuple(everywhere.split("\n")),
        maildrop,
    )


def _domain(row: Any) -> Domain:
    name, ours, accounts, separator = row
    return Domain(name, bool(ours), bool(accounts), separator)


def _aliases(rows: Iterable[Any]) -> list[Alias]:
    return [Alias(*row) for row in rows]
