"""Sorting for the office's own domains: an address there is an account's, or it is nobody's.

Nothing is ever sent on, and nothing within a local part is read as a route: ``user%else@here``,
``else!user@here`` and ``"user@else"@here`` are names that nobody has.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from mailpost.config import domain_name
from mailpost.envelope import Address, Destination
from mailpost.interfaces import ISorter
from mailpost.outcome import Refused, Sorted, TryLater
from mailpost.wire import reply

if TYPE_CHECKING:
    from mailpost.config import Config
    from mailpost.store.accounts import Account

_log = Logger()
POSTMASTER = "postmaster"


class AccountBook(Protocol):
    """What is asked of the store's accounts here."""

    def find(self, name: str) -> Account | None:
        """Find an account by its name, as it is now; None if there is none."""


@implementer(ISorter)
class LocalSorter:
    """Sorts into the accounts' maildrops; every answer is known at once.

    Postmaster is reached in every way in which RFC 5321 §4.5.1 lets one ask for him: without a
    domain, at each domain of the office, at its host's name and at its addresses, in any case.
    Nobody else is at the latter two.
    """

    def __init__(self, book: AccountBook, config: Config) -> None:
        office = config.office
        self._book = book
        self._domains = {domain: domain for domain in office.domains}
        self._postmaster = (office.postmaster or POSTMASTER).lower()
        self._home = office.domains[0]
        self._at_host = {"", office.hostname, *_literals(config)}

    def sort(self, recipient: Address) -> Sorted:
        """Decide from memory and the account book."""
        try:
            return self._sort(recipient)
        except Exception as error:  # noqa: BLE001 - a fault of ours refuses no letter
            _log.failure("no answer for {recipient}", recipient=str(recipient))
            return TryLater(reply.LOCAL_ERROR, f"sorting failed: {error!r}")

    def _sort(self, recipient: Address) -> Sorted:
        local, domain = recipient
        # A few letters outside of ASCII, such as the Kelvin sign, have a lower case within it.
        name = local.lower() if local.isascii() else ""
        ours = self._domains.get(domain) or self._by_other_spelling(domain)
        if name == POSTMASTER and (ours or domain in self._at_host):
            return self._to_postmaster(ours or self._home)
        if ours is None:
            return Refused(reply.NOT_OUR_DOMAIN, "not a domain of this office")
        account = self._book.find(name) if name else None
        if account is None:
            return Refused(reply.NO_SUCH_USER, "no account of this name")
        return Destination(account.maildrop, f"{name}@{ours}")

    def _by_other_spelling(self, domain: str) -> str | None:
        """Find the office's domain that this one is when written in ASCII (RFC 5890 §2.3.2.1)."""
        if domain.isascii():
            return None
        try:
            return self._domains.get(domain_name(domain))
        except ValueError:
            return None

    def _to_postmaster(self, domain: str) -> Destination | TryLater:
        account = self._book.find(self._postmaster) or self._book.find(POSTMASTER)
        if account is None:
            return TryLater(reply.LOCAL_ERROR, "the office has no postmaster")
        return Destination(account.maildrop, f"{POSTMASTER}@{domain}")


def _literals(config: Config) -> set[str]:
    """Name the office by its addresses (RFC 5321 §4.1.3): where it listens, and loopback."""
    interfaces = {listen.interface for listen in config.listen} - {""}
    literals = set()
    for address in map(ipaddress.ip_address, {"127.0.0.1", "::1", *interfaces}):
        literals.add(f"[ipv6:{address}]" if address.version == 6 else f"[{address}]")  # noqa: PLR2004
    return literals
