"""Connections that come through a load balancer: the PROXY header is read, then it stands aside.

Between a listening port and a room's factory, where the listener says so. The header comes before
everything else, before TLS too (:mod:`mailpost.wire.proxy` reads it), so the order is::

    port -> ProxiedFactory -> EncryptedFactory -> the room's factory

Only networks named in the configuration are believed, and from those the header is never optional:
a receiver that guesses can be lied to (PROXY protocol §5). Once it is read, the transport is handed to
the protocol behind, which sees the client's address wherever it looks and nothing in between.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet import address
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger

from mailpost.limits import IdleWatch
from mailpost.rates import Seldom
from mailpost.wire.proxy import Header, Malformed, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime
    from twisted.python.failure import Failure

__all__ = ["HEADER_SECONDS", "HeaderProtocol", "ProxiedFactory", "proxy_header"]

_log = Logger(namespace="mailpost.proxied")

HEADER_SECONDS = 5.0
"""How long a proxy may take for its header; it is one segment, sent at once (§2.2)."""

Network = IPv4Network | IPv6Network


def proxy_header(transport: object) -> Header | None:
    """What the proxy in front said of a connection; None where there is no proxy."""
    header = getattr(transport, "proxied", None)
    return header if isinstance(header, Header) else None


class HeaderProtocol(Protocol):
    """Reads the header, then makes the protocol behind and leaves the transport to it."""

    factory: ProxiedFactory

    def __init__(self, peer: IAddress) -> None:
        self.peer = peer
        self._octets = b""
        self._refused = False
        self._inner: IProtocol | None = None

    def connectionMade(self) -> None:
        """Wait for the header, but not for long."""
        self.factory.waiting.touch(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what came."""
        if self._inner is not None:  # a transport that goes on calling whom it knew first
            self._inner.dataReceived(data)
            return
        if self._refused:
            return
        self._octets += data
        header = parse(self._octets)
        if header is None:
            return
        self.factory.waiting.forget(self)
        octets, self._octets = self._octets, b""
        if isinstance(header, Malformed):
            self.refuse(header.reason)
        else:
            self._stand_aside(header, octets[header.size :])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Gone before the header was there; or as in :meth:`dataReceived`."""
        self.factory.waiting.forget(self)
        if self._inner is not None:
            self._inner.connectionLost(reason)

    def refuse(self, reason: str) -> None:
        """Abort the connection, as §2.1 recommends, so that the sender notices."""
        self._refused = True
        self.factory.complain(self.peer, reason)
        self.transport.abortConnection()  # type: ignore[union-attr]  # every stream has it

    def _stand_aside(self, header: Header, rest: bytes) -> None:
        # A transport has nothing that could be set for this, but Twisted's own startTLS replaces its
        # methods in the same way.
        transport: Any = self.transport
        transport.proxied = header
        client = self.peer
        if header.source is not None and header.destination is not None:
            client = _address(header.source, header.source_port)
            here = _address(header.destination, header.destination_port)
            transport.getPeer = lambda: client
            transport.getHost = lambda: here
        inner = self.factory.inner.buildProtocol(client)
        if inner is None:  # the room is not open
            self._refused = True
            transport.abortConnection()
            return
        self._inner = inner
        if getattr(transport, "protocol", None) is self:
            transport.protocol = inner
        inner.makeConnection(transport)
        if rest:
            inner.dataReceived(rest)


class ProxiedFactory(Factory):
    """Wraps the factory of whatever is spoken behind a proxy.

    :param inner: gets ``buildProtocol`` with the client's address, as an ``IPv4Address`` or ``IPv6Address``;
        with the proxy's own where the header names none.
    :param trusted: from which networks a header is believed; anybody else is turned away unheard. UNIX
        sockets are always trusted, for who may connect there is a matter of the file's mode.
    :param clock: for the patience.
    :param seconds: the patience; past that the connection is aborted.
    """

    noisy = False

    def __init__(
        self,
        inner: IProtocolFactory,
        trusted: Iterable[Network],
        clock: IReactorTime,
        seconds: float = HEADER_SECONDS,
    ) -> None:
        self.inner = inner
        self.waiting: IdleWatch[HeaderProtocol] = IdleWatch(
            clock, seconds, lambda protocol: protocol.refuse("no header came in time")
        )
        self._trusted = tuple(trusted)
        self._seldom = Seldom(clock)

    def doStart(self) -> None:
        """A port listens."""
        self.inner.doStart()
        super().doStart()  # type: ignore[no-untyped-call]

    def doStop(self) -> None:
        """A port listens no longer."""
        self.inner.doStop()
        super().doStop()  # type: ignore[no-untyped-call]

    def buildProtocol(  # type: ignore[override]  # nobody but strangers gets None
        self, addr: IAddress
    ) -> HeaderProtocol | None:
        """Somebody connects; a stranger's connection is closed by the port when this gives None."""
        if not self._trusts(addr):
            self.complain(addr, "not a trusted proxy")
            return None
        protocol = HeaderProtocol(addr)
        protocol.factory = self
        return protocol

    def complain(self, peer: IAddress, reason: str) -> None:
        """Log that somebody was turned away, with how many were so since the last time."""
        unsaid = self._seldom.time()
        if unsaid is not None:
            _log.warn(
                "PROXY: connection from {peer} closed: {reason} ({unsaid} more before it)",
                peer=getattr(peer, "host", None) or "a UNIX socket",
                reason=reason,
                unsaid=unsaid,
            )

    def _trusts(self, addr: IAddress) -> bool:
        host = getattr(addr, "host", None)
        if host is None:
            return isinstance(addr, address.UNIXAddress)
        ip = ip_address(host)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped:  # a socket for both families
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._trusted)


def _address(host: str, port: int) -> address.IPv4Address | address.IPv6Address:
    ip = ip_address(host)
    if isinstance(ip, IPv6Address):
        if not ip.ipv4_mapped:
            return address.IPv6Address("TCP", host, port)
        # The same client must not be two, according to which socket of the proxy took it.
        host = str(ip.ipv4_mapped)
    return address.IPv4Address("TCP", host, port)
