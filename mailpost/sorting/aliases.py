"""Survey the aliases: what may be one, and what is told of it.

All of it runs within one transaction, on what that has changed so far, and follows addresses by the very
code that sorts letters: what would not do is undone. See :meth:`mailpost.store.Addresses.change`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.envelope import Address
from mailpost.sorting.addresses import read, shown, written
from mailpost.sorting.route import Directory, Route
from mailpost.store import Alias, BadAddress

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mailpost.store import AddressBook, AddressRegister

NO_WAY_OUT = "is in no domain of this office, and nothing is sent on to others yet"
UNKNOWN = "is nobody's: there is no account and no alias of that name"


def add(
    register: AddressRegister, domains: Sequence[str], alias: Address, targets: Sequence[Address]
) -> list[str]:
    """Add targets to an alias, which may be new; what its owner should know, in sentences.

    :param domains: those of the configuration.
    :raises BadAddress: it cannot be so; the text says why.
    """
    survey = Survey(register, domains)
    survey.must_be_ours(alias)
    for target in targets:
        if survey.is_outside(target):
            raise BadAddress(f"{target} {NO_WAY_OUT}")
        register.add(Alias(alias.domain, alias.local, written(target)))
    name = shown(alias.domain, alias.local)
    for target in survey.unknown(alias, name):
        if target in targets:
            raise BadAddress(f"{target} {UNKNOWN}")
    return survey.shadows(alias)


def remove(
    register: AddressRegister, domains: Sequence[str], alias: Address, targets: Sequence[Address]
) -> list[str] | None:
    """Remove targets of an alias, or all of it; what its owner should know, or None: there was none.

    :param targets: none: all.
    :raises BadAddress: a target is none of its, or what is left would lead in a circle.
    """
    there = register.alias(alias.domain, alias.local)
    if not there:
        return None
    name = shown(alias.domain, alias.local)
    for target in targets:
        if not any(read(one.target) == target for one in there):
            raise BadAddress(f"{target} is no target of {name}")
    for one in there:
        if not targets or read(one.target) in targets:
            register.remove(one)
    survey = Survey(register, domains)
    survey.unknown(alias, name)
    if register.alias(alias.domain, alias.local):
        return []
    return survey.dangling(register.aliases_of(alias.local)) if alias.local else []


class Survey:
    """Looks at the addresses as they are, or as a transaction has left them."""

    def __init__(self, book: AddressBook, domains: Sequence[str]) -> None:
        self.book = book
        self.directory = Directory(book, domains)
        self._outside: dict[str, bool] = {}

    def is_outside(self, address: Address) -> bool:
        """Whether an address is in no domain of the office."""
        domain = address.domain
        if domain not in self._outside:
            settings = self.directory.settings(self.book.find(domain, address.local))
            self._outside[domain] = settings is None
        return self._outside[domain]

    def must_be_ours(self, alias: Address) -> None:
        """Refuse an alias that nothing would ever be looked up for."""
        if self.is_outside(alias):
            raise BadAddress(
                f"{alias.domain} is no domain of this office; add it first: mailpost domain add"
            )
        if not alias.domain and not alias.local:
            raise BadAddress("what nobody has is caught domain by domain: @example.org")

    def unknown(self, alias: Address, named: str) -> list[Address]:
        """Follow an alias; the targets of its own that are nobody's.

        :raises BadAddress: it leads in a circle, or further than letters are carried.
        """
        found = self.book.find(*key(alias))
        if not found.here and not found.everywhere:
            return []
        route = Route(self.directory, alias.domain or self.directory.home)
        route.follow(found, alias.local)
        if route.trouble is not None:
            raise BadAddress(f"{named} cannot be so: {route.trouble}")
        if not route.nobodys:
            return []
        targets = [read(target) for target in found.here]
        return [target for target in targets if key(target) in route.nobodys]

    def shadows(self, alias: Address) -> list[str]:
        """Tell which other meanings of its name an alias has put aside, or leaves as they are."""
        if not alias.local:
            return []
        told = self.shadowed_account(alias)
        if not alias.domain:
            told += [
                f"{one} is an alias of its own, and stays so" for one in self._local(alias.local)
            ]
        elif self.book.find(*key(alias)).everywhere:
            name = shown(alias.domain, alias.local)
            told.append(
                f"{alias.local} is an alias in every domain, but not for {name} from now on"
            )
        return told

    def put_aside(self, name: str) -> list[str]:
        """Tell which aliases get the mail of an account, and it does not."""
        aliases = [Address(name, ""), *map(read, self._local(name))]
        return [note for alias in aliases for note in self.shadowed_account(alias)]

    def _local(self, name: str) -> list[str]:
        """The domains in which a name is an alias of its own, as addresses."""
        domains = dict.fromkeys(
            [*self.directory.domains, *(one.name for one in self.book.domains())]
        )
        return [written(Address(name, one)) for one in domains if self.book.alias(one, name)]

    def shadowed_account(self, alias: Address) -> list[str]:
        """Tell if an account of its name does not get the mail of an alias."""
        found = self.book.find(*key(alias))
        settings = self.directory.settings(found)
        if not found.here or found.maildrop is None or settings is None or not settings.accounts:
            return []
        if found.maildrop in self._reached(alias):
            return []
        told = (
            f"{alias.local} is an account: mail for {shown(*key(alias))} goes to the alias, and not to"
            f" {alias.local}; name {alias.local} among its targets to have both"
        )
        return [told]

    def dangling(self, aliases: Sequence[Alias]) -> list[str]:
        """Tell which aliases lead to somebody who is there no more."""
        return [
            f"{shown(alias.domain, alias.local)} still leads to {target}, which is nobody's now"
            for alias in aliases
            if not self._reached(target := read(alias.target))
        ]

    def _reached(self, address: Address) -> Collection[int]:
        """The maildrops that an address leads to."""
        route = Route(self.directory, address.domain or self.directory.home)
        route.follow(self.book.find(*key(address)), address.local)
        return route.destinations


def key(address: Address) -> tuple[str, str]:
    """Domain and local part, in the order in which the store is asked."""
    return address.domain, address.local
