"""A TCP connection as the reactor sees it: Twisted's own, less what it keeps of each and hardly ever needs.

Twisted's ``tcp.Server`` makes two names for the log, an address, a bound method and an empty list for each
connection, some 500 octets. Here they are made when somebody asks. A listening port has a place for
the class of its transports (``tcp.Port.transport``), so nothing of Twisted's own is replaced.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IProtocol


class _Unsent:
    """The list of what waits to be sent, made when there is something."""

    def __get__(self, transport: LeanServer, owner: type) -> list[bytes]:
        unsent: list[bytes] = []
        transport._tempDataBuffer = unsent  # noqa: SLF001 - the connection's own from then on
        return unsent


class LeanServer(tcp.Server):
    """One accepted connection. It takes all that Twisted's takes, and asks the kernel for what it drops."""

    connected = 1
    _tempDataBuffer: Any = _Unsent()
    _tempDataLen = 0

    def __init__(  # Twisted's own is not called: it is what takes the room
        self,
        sock: socket.socket,
        protocol: IProtocol,
        client: object,  # noqa: ARG002
        server: object,  # noqa: ARG002
        sessionno: int,  # noqa: ARG002
        reactor: Any,
    ) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.protocol = protocol
        self.reactor = reactor
        self.startReading()  # type: ignore[no-untyped-call]

    @property
    def fileno(self) -> Callable[[], int]:
        """Gives the descriptor's number, -1 once it is closed."""
        try:
            return self.socket.fileno
        except AttributeError:
            return _closed

    @fileno.deleter
    def fileno(self) -> None:
        """It is closed: Twisted deletes this with the socket."""

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The peer's address; no host and port 0 when it has gone."""
        try:
            return _address(self.socket.getpeername())
        except (OSError, AttributeError):
            return IPv4Address("TCP", "", 0)

    def getHost(self) -> IPv4Address | IPv6Address:
        """The office's own address."""
        return _address(self.socket.getsockname())

    def logPrefix(self) -> str:
        """What Twisted's old log has before a line."""
        return type(self.protocol).__name__

    def __repr__(self) -> str:
        there = "closed" if self.disconnected else f"with {self.getPeer().host}"
        return f"<{type(self).__name__} {there}>"


def lean(port: object) -> None:
    """Have a port of Twisted's own for TCP make such transports."""
    if isinstance(port, tcp.Port) and port.transport is tcp.Server:
        port.transport = LeanServer


def _address(name: tuple[Any, ...]) -> IPv4Address | IPv6Address:
    host, port, *more = name
    if not more:
        return IPv4Address("TCP", host, port)
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return IPv6Address("TCP", socket.getnameinfo(name, numeric)[0], port, *more)  # with its zone


def _closed() -> int:
    return -1
