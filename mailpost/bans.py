"""Who may not come: networks that are banned, and whether an address is in one of them.

The guard bans a neighbourhood for a while (:mod:`mailpost.guard`), an owner any network by hand
(``mailpost ban``). What is here is in memory, and asked about each connection; :mod:`mailpost.store.bans`
keeps it beyond a restart.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

IPV4 = 4  # ipaddress's versions

ROOM = 10_000
"""Bans of the guard's own that are remembered; the oldest gives way. By hand there may be more."""


@frozen
class Ban:
    """A network from which nobody may come.

    :ivar until: in seconds since 1970; None: for ever.
    :ivar made: likewise.
    :ivar reason: a few words for the owner.
    :ivar by_hand: whether the owner has made it; if not, the guard.
    :ivar guesses: the distinct wrong logins that led to it.
    """

    network: Network
    until: float | None
    made: float
    reason: str
    by_hand: bool
    guesses: int = 0

    def over(self, now: float) -> bool:
        """Whether its time has passed."""
        return self.until is not None and self.until <= now


class Bans:
    """The bans in force.

    An address is looked up once for each length of prefix that is banned: the guard's own have two, so
    that costs the same however many there are.

    :param room: of the guard's own are remembered at most so many.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._tables: dict[tuple[int, int], dict[int, Ban]] = {}  # by version and length of prefix
        self._own: dict[Network, None] = {}  # the guard's, the oldest first

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def __iter__(self) -> Iterator[Ban]:
        for table in self._tables.values():
            yield from table.values()

    def add(self, ban: Ban) -> None:
        """Ban a network, anew where it is banned."""
        network = ban.network
        self._own.pop(network, None)
        key, prefix = _place(network)
        self._tables.setdefault(key, {})[prefix] = ban
        if not ban.by_hand:
            self._own[network] = None
            if len(self._own) > self._room:
                self.remove(next(iter(self._own)))

    def remove(self, network: Network) -> None:
        """Let a network come again. Harmless where it is not banned."""
        self._own.pop(network, None)
        key, prefix = _place(network)
        table = self._tables.get(key, {})
        if table.pop(prefix, None) is not None and not table:
            del self._tables[key]

    def replace(self, bans: Iterable[Ban]) -> None:
        """Have these, and no others."""
        self._tables.clear()
        self._own.clear()
        for ban in bans:
            self.add(ban)

    def on(self, address: Address, now: float) -> Ban | None:
        """The ban that an address comes under; None: it may come."""
        number, version, bits = int(address), address.version, address.max_prefixlen
        late: Ban | None = None
        for (one, length), table in self._tables.items():
            if one != version or (ban := table.get(number >> (bits - length))) is None:
                continue
            if not ban.over(now):
                return ban
            late = ban
        if late is not None:
            self.remove(late.network)
        return None


def address_of(peer: str) -> Address:
    """The address of a peer as bans know it: IPv4 is IPv4, however it was carried."""
    address = ip_address(peer)
    return getattr(address, "ipv4_mapped", None) or address


def named(network: Network) -> str:
    """A network as a person writes it: one address of IPv4 without its prefix."""
    text = str(network)
    return text.removesuffix("/32") if network.version == IPV4 else text


def _place(network: Network) -> tuple[tuple[int, int], int]:
    """The table that a network stands in, and where."""
    shift = network.max_prefixlen - network.prefixlen
    return (network.version, network.prefixlen), int(network.network_address) >> shift
