"""Doors: what listens, from before the room behind it is ready until the office closes.

Ports below 1024 are bound while the process is still root, and the store is opened when it is no longer;
nobody is let in before the reactor runs, and then the room is there. Where several processes serve one
office, another one binds: a door adopts the port then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory

from mailpost import endpoint
from mailpost.accepting import accept_few
from mailpost.encrypted import EncryptedFactory
from mailpost.listening import adopt, from_systemd, listen_at_file
from mailpost.proxied import ProxiedFactory
from mailpost.tls.security import Security
from mailpost.transport import lean

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IReactorTime

    from mailpost.config import Listen
    from mailpost.listener import ConnectionFactory
    from mailpost.occupancy import Share
    from mailpost.tls import ServerTLS


class Door(Factory):
    """One listener of the configuration.

    :ivar port: what it listens at; None: it does not yet.
    :ivar room: the factory of its connections; None: nobody is let in.
    """

    noisy = False

    def __init__(self, listen: Listen) -> None:
        self.listen = listen
        self.room: ConnectionFactory | None = None
        self.port: IListeningPort | None = None
        self._way_in: IProtocolFactory | None = None
        self._share: Share | None = None
        self._settled = True

    def bind(self, reactor: Any) -> Deferred[None]:
        """Listen where the configuration says; fails with CannotListenError."""

        def bound(port: IListeningPort) -> None:
            self.port = port
            accept_few(port)
            lean(port)

        listening: Deferred[IListeningPort] = maybeDeferred(self._listen, reactor)
        return listening.addCallback(bound)

    def _listen(self, reactor: Any) -> Any:
        description = self.listen.description
        parts = endpoint.parse(description)
        match parts["type"]:
            case "unix":
                mode, backlog = int(parts.get("mode", "600"), 8), int(parts["backlog"])
                return listen_at_file(reactor, parts["address"], mode, backlog, self)
            case "systemd":
                return from_systemd(reactor, description, parts["domain"], self)
            case _:
                return serverFromString(reactor, description).listen(self)

    def adopt(self, reactor: Any, descriptor: int, share: Share) -> None:
        """Listen at a port that another process has bound.

        :param descriptor: inherited from it, and closed here.
        :param share: of all who do so.
        """
        self.port = adopt(reactor, descriptor, self)
        self._share = share
        accept_few(self.port, share)
        lean(self.port)

    def hold(self) -> int:
        """Keep the port for other processes, and let nobody in here; its descriptor."""
        self.port.stopReading()  # type: ignore[union-attr]  # every port of a stream is read from
        return int(self.port.fileno())  # type: ignore[union-attr]

    def take_over(self, other: Door) -> None:
        """Stand where another door stands; its port is shared, and stays as it is until :meth:`settle`."""
        self.port = other.port
        self._settled = other.listen.description == self.listen.description

    def settle(self) -> None:
        """Make of a port that was taken over what the configuration says. Harmless when repeated.

        :raises OSError: that cannot be.
        """
        if self._settled:
            return
        self._settled = True
        parts = endpoint.parse(self.listen.description)
        if parts["type"] == "unix":
            Path(parts["address"]).chmod(int(parts.get("mode", "600"), 8))
        self.port.socket.listen(int(parts["backlog"]))  # type: ignore[union-attr]  # of every port

    def close(self) -> Deferred[object]:
        """Listen no longer. Harmless when repeated."""
        port, self.port = self.port, None
        return succeed(None) if port is None else maybeDeferred(port.stopListening)

    def open_to(self, room: ConnectionFactory, tls: ServerTLS | None, clock: IReactorTime) -> None:
        """Lead to a room: past a proxy's header and through TLS, where the configuration says so."""
        listen = self.listen
        room.security = Security(tls, listen.tls == "implicit", listen.cleartext)
        way_in: IProtocolFactory = room
        if tls is not None and listen.tls == "implicit":
            way_in = EncryptedFactory(tls, room)
        if listen.proxy:
            way_in = ProxiedFactory(way_in, listen.proxy, clock)
        if self._share is not None:
            room.share = self._share
            room.share.has(0)
        self.room, self._way_in = room, way_in

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection in the room behind."""
        return None if self._way_in is None else self._way_in.buildProtocol(addr)  # type: ignore[arg-type]

    @property
    def where(self) -> str:
        """The address it listens at, as a person writes it."""
        host: object = None if self.port is None else self.port.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            return f"[{host.host}]:{host.port}" if ":" in host.host else f"{host.host}:{host.port}"
        return self.listen.endpoint
