"""An address book in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.config import Config, Listen, Office
from mailpost.store import Domain, Found
from mailpost.wire.path import Address, parse_rcpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mailpost.sorting.local import LocalSorter
    from mailpost.sorting.steps import Step

POSTMASTER, ALICE, BOB = 1, 2, 3


class Book:
    """Accounts by their name, aliases as the store writes addresses, domains by their name.

    :ivar looks: how often it was asked.
    """

    def __init__(
        self,
        accounts: Mapping[str, int] | None = None,
        aliases: Mapping[str, Iterable[str]] | None = None,
        *domains: Domain,
    ) -> None:
        known = {"postmaster": POSTMASTER, "alice": ALICE, "b.o-b_2": BOB}
        self.accounts = dict(known if accounts is None else accounts)
        self.aliases = {name: tuple(targets) for name, targets in (aliases or {}).items()}
        self.domains = {domain.name: domain for domain in domains}
        self.looks = 0

    def find(self, domain: str, local: str) -> Found:
        self.looks += 1
        return Found(
            domain,
            local,
            self.domains.get(domain),
            self.aliases.get(f"{local}@{domain}" if domain else local, ()),
            self.aliases.get(local, ()),
            self.accounts.get(local),
        )

    def find_all(self, addresses: Sequence[tuple[str, str]]) -> list[Found]:
        return [self.find(*address) for address in addresses]


def config(**office: str) -> Config:
    return Config(
        office=Office(
            hostname="mx.example.org", domains=("example.org", "b\u00fccher.example"), **office
        ),
        listen=(
            Listen(protocol="smtp", endpoint="tcp:25:interface=192.0.2.25"),
            Listen(protocol="smtp", endpoint=r"tcp6:25:interface=2001\:db8\:\:25"),
            Listen(protocol="pop3", endpoint="tcp:110"),
        ),
    )


def sort(sorter: LocalSorter, path: str, steps: list[Step] | None = None):
    """Sort what RCPT TO:<path> names."""
    recipient, _ = parse_rcpt(f"TO:<{path}>")
    return sorter.sort(recipient, steps)


def at(local: str, domain: str = "example.org") -> Address:
    return Address(local, domain)
