"""The way out of a connection: at once where the socket takes it, and never more than it takes.

Twisted's ``transport.write`` keeps what it is given and sends it when the reactor comes round again:
two system calls to watch the socket and one more turn of the loop, for a reply that the kernel would
have taken at once. An outlet sends first and asks the transport only to keep the rest; while there is
a rest, :attr:`Outlet.full` holds the session back, so that a peer who does not read can make nothing
grow here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import (
    IPullProducer,
    IPushProducer,
    ITCPTransport,
    ITransport,
)
from twisted.internet.tcp import Connection as SocketConnection
from zope.interface import implementer

if TYPE_CHECKING:
    import socket


class Speaker(Protocol):
    """Whoever speaks through an outlet; a callable for each of them would take 64 octets more."""

    def drained(self) -> None:
        """The outlet was :attr:`~Outlet.full`, and is so no longer."""


class Outlet(Protocol):
    """Where a connection's output goes."""

    @property
    def full(self) -> bool:
        """Nothing more should be sent before :meth:`Speaker.drained` came."""

    def send(self, octets: bytes | memoryview) -> None:
        """Send, in order; what cannot be sent at once is copied."""

    def detach(self) -> None:
        """Leave the transport alone: another outlet takes over, or the connection is being closed."""

    def close(self, last: bytes, *, orderly: bool) -> None:
        """Close the connection; what was sent will still go out.

        :param last: what is to be sent before, perhaps ``b""``.
        :param orderly: if not, the peer may still be sending what nobody will read.
        """

    def stopProducing(self) -> None:
        """The connection has gone."""


def outlet_for(transport: ITransport, speaker: Speaker) -> Outlet:
    """The best outlet for a transport."""
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)  # replies are small and awaited
    if isinstance(transport, SocketConnection):
        return SocketOutlet(transport, speaker)
    return TransportOutlet(transport, speaker)


@implementer(IPullProducer)
class SocketOutlet:
    """Sends on the socket itself while the transport holds nothing back."""

    __slots__ = ("_socket", "_speaker", "_transport", "full")

    def __init__(self, transport: SocketConnection, speaker: Speaker) -> None:
        self._transport = transport
        self._socket: socket.socket = transport.getHandle()
        self._speaker = speaker
        self.full = False

    def send(self, octets: bytes | memoryview) -> None:
        """Send, in order."""
        if not self.full:
            try:
                sent = self._socket.send(octets)
            except OSError:  # would block, or is broken: the transport knows what to do with either
                sent = 0
            if sent == len(octets):
                return
            octets = octets[sent:]
            # A pull producer is called when the transport has sent all it held; and once right here,
            # which `full` tells apart.
            self._transport.registerProducer(self, streaming=False)
            self.full = True
        self._transport.write(bytes(octets))

    def resumeProducing(self) -> None:
        """All that the transport held has gone out."""
        if self.full:
            self.detach()
            self._speaker.drained()

    def stopProducing(self) -> None:
        """The connection has gone."""
        self.full = False

    def detach(self) -> None:
        """Leave the transport alone."""
        if self.full:
            self.full = False
            self._transport.unregisterProducer()

    def close(self, last: bytes, *, orderly: bool) -> None:
        """Close the connection; what was sent will still go out."""
        if last:
            self.send(last)
        self.detach()
        _close(self._transport, orderly=orderly)


@implementer(IPushProducer)
class TransportOutlet:
    """Sends through any transport, and heeds its back-pressure."""

    __slots__ = ("_attached", "_speaker", "_transport", "full")

    def __init__(self, transport: ITransport, speaker: Speaker) -> None:
        self._transport = transport
        self._speaker = speaker
        self.full = False
        self._attached = True
        transport.registerProducer(self, True)  # type: ignore[attr-defined]  # IConsumer as well

    def send(self, octets: bytes | memoryview) -> None:
        """Send, in order."""
        self._transport.write(bytes(octets))

    def pauseProducing(self) -> None:
        """The transport holds more than it likes to."""
        self.full = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        if self.full:
            self.full = False
            self._speaker.drained()

    def stopProducing(self) -> None:
        """The connection has gone."""
        self.full = False

    def detach(self) -> None:
        """Leave the transport alone."""
        if self._attached:
            self._attached = False
            self._transport.unregisterProducer()  # type: ignore[attr-defined]  # IConsumer as well

    def close(self, last: bytes, *, orderly: bool) -> None:
        """Close the connection; what was sent will still go out."""
        if last:
            self.send(last)
        self.detach()
        _close(self._transport, orderly=orderly)


def _close(transport: ITransport, *, orderly: bool) -> None:
    half = getattr(transport, "loseWriteConnection", None)
    if orderly or half is None:
        transport.loseConnection()
    else:
        # The peer may be sending still: closing now would reset the connection, and our last words
        # would be lost on their way. So only our half is closed, and what comes is thrown away.
        half()
