"""Sorting for the office's own domains: an address there is an account's, an alias, or nobody's.

Nothing is ever sent on, and nothing within a local part is read as a route: ``user%else@here``,
``else!user@here`` and ``"user@else"@here`` are names that nobody has.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from twisted.logger import Logger
from zope.interface import implementer

from mailpost.config import domain_name
from mailpost.envelope import Address, Destination, Group
from mailpost.interfaces import ISorter
from mailpost.outcome import Refused, Sorted, TryLater
from mailpost.sorting.addresses import ALWAYS, POSTMASTER, folded
from mailpost.sorting.route import Directory, Route, meaning
from mailpost.sorting.steps import Step
from mailpost.wire import reply

if TYPE_CHECKING:
    from mailpost.config import Config
    from mailpost.sorting.route import Book
    from mailpost.store import Domain, Found

_log = Logger()


@implementer(ISorter)
class LocalSorter:
    """Sorts into the accounts' maildrops; every answer is known at once.

    Postmaster is reached in every way in which RFC 5321 §4.5.1 lets one ask for him: without a
    domain, at each domain of the office, at its host's name and at its addresses, in any case.
    Nobody else is at the latter two.
    """

    def __init__(self, book: Book, config: Config) -> None:
        office = config.office
        postmaster = (office.postmaster or POSTMASTER).lower()
        self.directory = Directory(book, office.domains, postmaster)
        self._at_host = {"", office.hostname, *_literals(config)}

    def sort(self, recipient: Address, steps: list[Step] | None = None) -> Sorted:
        """Decide from memory and the store.

        :param steps: hears of every step that led to the answer.
        """
        try:
            return self._sort(recipient, steps)
        except Exception as error:  # noqa: BLE001 - a fault of ours refuses no letter
            _log.failure("no answer for {recipient}", recipient=str(recipient))
            return TryLater(reply.LOCAL_ERROR, f"sorting failed: {error!r}")

    def belongs(self, address: Address, name: str, maildrop: int) -> bool:
        """Whether an address is an account's: its own name, or one that leads to its maildrop.

        :param name: the account's name.
        :raises TemporaryFailure: the store cannot be read just now.
        """
        found, settings = self._find(address)
        if settings is not None and settings.accounts and found.local == name:
            return True
        sorted_to = self._sort(address, None)
        return isinstance(sorted_to, Destination | Group) and any(
            destination.maildrop == maildrop for destination in sorted_to.destinations
        )

    def _find(self, recipient: Address) -> tuple[Found, Domain | None]:
        """What is known of a recipient, and of its domain; None: it is none of the office's."""
        directory, local = self.directory, folded(recipient.local)
        found = directory.book.find(_in_ascii(recipient.domain), local)
        settings = directory.settings(found) if found.domain else None
        if settings is None and local == POSTMASTER and recipient.domain in self._at_host:
            found = directory.book.find(directory.home, local)
            settings = directory.settings(found)
        return found, settings

    def _sort(self, recipient: Address, steps: list[Step] | None) -> Sorted:
        found, settings = self._find(recipient)
        if settings is None:
            if steps is not None:
                steps.append(Step.of("outside", str(recipient)))
            return Refused(reply.NOT_OUR_DOMAIN, "not a domain of this office")
        if found.local != POSTMASTER and isinstance(met := meaning(found, settings), int):
            # Nearly every letter is for an account by its very name: no need to follow anything.
            delivered_to = f"{found.local}@{found.domain}"
            if steps is not None:
                steps.append(Step.of("account", delivered_to, found.local))
            return Destination(met, delivered_to)
        at = found.domain if settings.accounts else self.directory.home
        route = Route(self.directory, at, steps)
        route.follow(found, recipient.local if recipient.local.isascii() else found.local)
        return self._answer(recipient, found, route)

    def _answer(self, recipient: Address, found: Found, route: Route) -> Sorted:
        if route.trouble is not None:
            _log.warn("{recipient}: {trouble}", recipient=str(recipient), trouble=route.trouble)
            if not route.whole:
                return TryLater(reply.MISROUTED, str(route.trouble))
        if not route.destinations and found.local in ALWAYS:
            route.reach_postmaster(found.domain)
            if not route.destinations:
                return TryLater(reply.LOCAL_ERROR, "the office has no postmaster")
        destinations = tuple(route.destinations.values())
        if len(destinations) == 1:
            return destinations[0]
        if destinations:
            return Group(destinations)
        if route.trouble is not None:
            return TryLater(reply.MISROUTED, str(route.trouble))
        return Refused(reply.NO_SUCH_USER, "no account and no alias of this name, or one to nobody")


def _in_ascii(domain: str) -> str:
    """Write a domain as the office has it (RFC 5890 §2.3.2.1); as it is, if it is none."""
    if domain.isascii():
        return domain
    try:
        return domain_name(domain)
    except ValueError:
        return domain


def _literals(config: Config) -> set[str]:
    """Name the office by its addresses (RFC 5321 §4.1.3): where it listens, and loopback."""
    interfaces = {listen.interface for listen in config.listen} - {""}
    literals = set()
    for address in map(ipaddress.ip_address, {"127.0.0.1", "::1", *interfaces}):
        literals.add(f"[ipv6:{address}]" if address.version == 6 else f"[{address}]")  # noqa: PLR2004
    return literals
