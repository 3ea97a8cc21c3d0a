"""Nobody outside can make the office grow or stop: how many may come, how often, and how long be silent.

Used by every room that listens. RFC 5321 §4.5.3.2 and RFC 1939 §3 name the shortest patience allowed.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Generic, TypeVar

from twisted.logger import Logger

from mailpost.rates import Rates
from mailpost.strangers import Strangers

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

MAX_BUFFERED = 32 * 1024
"""Octets of input that wait for their turn, per connection; at this many no more is read.

One read gives up to 64 KiB, so that much more there may be; within a long letter, up to 256 KiB.
"""

READ = 64 * 1024
"""Octets that one read gives at most; what a connection of Twisted's begins with."""

LETTER_READ = 256 * 1024
"""The same within a long letter: each read costs a round of the reactor, however much it gives."""

MAX_THROWN_AWAY = 256 * 1024
"""Octets that are read and thrown away after a session's end; then the connection is reset."""

CLOSING_SECONDS = 10.0
"""How long a connection that is being closed may take to go."""

RESERVED = 10
"""One connection of so many is kept for who is known."""

MINUTE = 60.0

_TICK = 1.0

_log = Logger(namespace="mailpost.limits")

T = TypeVar("T")


class ConnectionLimits:
    """Counts connections, in all and per address, at a time and within a minute.

    :param total: connections at a time; the last tenth of them is for who is known.
    :param per_address: connections at a time from one :func:`neighbourhood`.
    :param loopback_exempt: whether loopback (and UNIX sockets) may have as many as there are.
    :param per_minute: those of one neighbourhood within a minute; None: as many as they like.
    :ivar strangers: those who give way where there is no more room for strangers.
    """

    def __init__(
        self,
        total: int = 10_000,
        per_address: int = 50,
        *,
        loopback_exempt: bool = True,
        per_minute: Rates | None = None,
    ) -> None:
        self._per_minute = per_minute
        self._total = total
        self._for_all = total - total // RESERVED
        self._per_address = per_address
        self._loopback_exempt = loopback_exempt
        self.strangers = Strangers()
        self._count = 0
        self._by_address: dict[str, int] = {}

    def admit(self, address: str, known: Callable[[str], bool] | None = None) -> bool:
        """Whether one more may come from there; if so, :meth:`release` is owed.

        :param address: an IP address; ``""`` for a peer without one.
        :param known: whether an address is no stranger's, asked where the office is nearly full; None:
            nobody is told from anybody else.
        """
        if self._exempt(address):
            if not self._room(address, known):
                return False
        else:
            near = neighbourhood(address)
            rates = self._per_minute
            if self._by_address.get(near, 0) >= self._per_address:
                return False
            if rates is not None and not rates.may(near):
                return False
            if not self._room(address, known):
                return False
            if rates is not None:
                rates.take(near)
            self._by_address[near] = self._by_address.get(near, 0) + 1
        self._count += 1
        return True

    def _room(self, address: str, known: Callable[[str], bool] | None) -> bool:
        """Whether there is room for one more, which a stranger may have to make."""
        if self._count < self._for_all:
            return True
        if self._count < self._total and (known is None or known(address)):
            return True
        return self.strangers.make_room(neighbourhood(address))

    def release(self, address: str) -> None:
        """One that was admitted has gone."""
        self._count -= 1
        near = neighbourhood(address)
        here = self._by_address.get(near, 0)
        if here > 1:
            self._by_address[near] = here - 1
        elif here:
            del self._by_address[near]

    def _exempt(self, address: str) -> bool:
        return self._loopback_exempt and is_loopback(address)


def connection_rates(clock: IReactorTime, most: int) -> Rates:
    """Count the connections of each neighbourhood within a minute; 0: as many as they like."""

    def exceeded(near: str) -> None:
        _log.warn(
            "{peer} has connected {count} times within a minute; more are refused",
            peer=near,
            count=most,
        )

    return Rates(clock, most, MINUTE, exceeded)


def is_loopback(address: str) -> bool:
    """Whether a peer is on this machine: its IP address says so, or it has none (a UNIX socket)."""
    return not address or address == "127.0.0.1" or ip_address(address).is_loopback


def neighbourhood(peer: str) -> str:
    """Tell what counts as one address: in IPv6 that is a /64, which one machine can own whole."""
    if ":" not in peer:
        return peer
    try:
        address = IPv6Address(peer)
    except ValueError:
        return peer
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address.packed[:8] + bytes(8), 64)))


class IdleWatch(Generic[T]):
    """Tells who of a few has been silent for too long; one clock tick serves all of them.

    A dict keeps its order, so moving whoever is heard to its end keeps the most silent one in front:
    no timer per connection, and a tick looks only at those whose time has come.

    :param seconds: the patience.
    :param expired: called with each whose time has come; it is watched no longer.
    """

    def __init__(self, clock: IReactorTime, seconds: float, expired: Callable[[T], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = expired
        self._heard: dict[T, float] = {}
        self._next: IDelayedCall | None = None

    def touch(self, who: T) -> None:
        """Somebody was heard; watching begins with the first time."""
        heard = self._heard
        heard.pop(who, None)
        heard[who] = self._clock.seconds()
        if self._next is None:
            self._next = self._clock.callLater(_TICK, self._tick)

    def forget(self, who: T) -> None:
        """Somebody has gone. Harmless when repeated."""
        self._heard.pop(who, None)
        if not self._heard and self._next is not None:
            self._next.cancel()
            self._next = None

    def _tick(self) -> None:
        # First, since `expired` may touch or forget whom it likes, and may raise.
        self._next = self._clock.callLater(_TICK, self._tick)
        limit = self._clock.seconds() - self._seconds
        late = []
        for who, heard in self._heard.items():
            if heard > limit:
                break
            late.append(who)
        for who in late:
            self.forget(who)
            self._expired(who)
