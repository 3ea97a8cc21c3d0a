"""A connection in memory: the test is the peer, and nothing happens by itself.

It does what Twisted's TCP transport does, at the same moments: it holds what the peer does not read,
tells a producer when that is too much, ends a connection only in the reactor's next round, and lets
what was written go out before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.task import Clock

BUFFER = 1 << 16  # as twisted.internet.abstract.FileDescriptor.bufferSize
SEGMENT = 1 << 16


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Line:
    """The office's end of the connection.

    :ivar ending: ``""``, or what the office did last: ``close``, ``half-close``, ``abort``.
    :ivar most: the most octets that ever waited here to be read by the peer.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.protocol: Protocol | None = None
        self.producer: Any = None
        self.nodelay = False
        self.reading = True  # the office reads
        self.read_by_peer = True
        self.unread = bytearray()  # what the peer has not taken yet
        self.in_flight = bytearray()  # what the office has not taken yet
        self.heard = bytearray()
        self.ending = ""
        self.most = 0
        self._full = False

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.protocol is None or self.ending in {"half-close", "abort"}:
            return
        if self.read_by_peer:
            self.heard += data
            return
        self.unread += data
        self.most = max(self.most, len(self.unread))
        if len(self.unread) > BUFFER and self.producer is not None and not self._full:
            self._full = True
            self.producer.pauseProducing()

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: FBT001
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True
        self.clock.callLater(0, self.deliver)

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        self.ending = self.ending or "close"
        self.clock.callLater(0, self._gone_out)

    def loseWriteConnection(self) -> None:
        self.ending = self.ending or "half-close"

    def abortConnection(self) -> None:
        self.ending = "abort"
        self.clock.callLater(0, self.lose, ConnectionAborted())

    def setTcpNoDelay(self, enabled: Any) -> None:
        self.nodelay = bool(enabled)

    def getTcpNoDelay(self) -> bool:
        return self.nodelay

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: Any) -> None:
        raise NotImplementedError

    def getHost(self) -> Any:
        return IPv4Address("TCP", "192.0.2.200", 25)

    def getPeer(self) -> Any:
        return IPv4Address("TCP", "192.0.2.1", 1025)

    # The peer's side ------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Give the office what is in flight, as long as it reads."""
        while self.in_flight and self.reading and self.protocol is not None:
            segment = bytes(self.in_flight[:SEGMENT])
            del self.in_flight[:SEGMENT]
            self.protocol.dataReceived(segment)

    def take(self) -> None:
        """The peer reads what waits."""
        self.heard += self.unread
        self.unread.clear()
        if self._full:
            self._full = False
            if self.producer is not None:
                self.producer.resumeProducing()
        if self.ending == "close":
            self._gone_out()

    def lose(self, reason: Exception) -> None:
        """The connection is gone."""
        protocol, self.protocol = self.protocol, None
        self.producer = None
        if protocol is not None:
            protocol.connectionLost(Failure(reason))

    def _gone_out(self) -> None:
        if not self.unread:
            self.lose(ConnectionDone())


class Peer:
    """Somebody who has connected."""

    def __init__(self, factory: Factory, clock: Clock, host: str = "192.0.2.1") -> None:
        self.clock = clock
        self.line = Line(clock)
        self.protocol: Any = factory.buildProtocol(address(host))
        self.line.protocol = self.protocol
        self.protocol.makeConnection(self.line)

    def say(self, octets: bytes) -> None:
        """Send; what the office does not read just now stays in flight."""
        self.line.in_flight += octets
        self.line.deliver()

    def heard(self) -> bytes:
        """What the office has said since this was asked the last time."""
        self.settle()
        octets = bytes(self.line.heard)
        self.line.heard.clear()
        return octets

    def ask(self, octets: bytes) -> bytes:
        """Send, and hear the answer."""
        self.say(octets)
        return self.heard()

    def settle(self) -> None:
        """Let the reactor go round."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def stop_reading(self) -> None:
        """Take nothing any more; what the office writes waits."""
        self.line.read_by_peer = False

    def read_on(self) -> None:
        """Take what waits, and all that comes."""
        self.line.read_by_peer = True
        self.line.take()
        self.settle()

    def leave(self, *, cleanly: bool = False) -> None:
        """Be gone."""
        self.line.lose(ConnectionDone() if cleanly else ConnectionLost())
        self.settle()

    @property
    def connected(self) -> bool:
        """Whether the connection is still there."""
        self.settle()
        return self.line.protocol is not None


def address(host: str) -> IAddress:
    """Where a peer comes from: an IP address, or ``""`` for a UNIX socket."""
    if not host:
        return UNIXAddress(None)
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 1025)


def go_round(clock: Clock) -> None:
    """Let the reactor go round once: what this calls for comes in the next round, as in a real reactor."""
    for call in [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]:
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)


def pass_time(clock: Clock, seconds: float, step: float = 1.0) -> None:
    """Let time pass in steps, as a reactor sees it."""
    end = clock.seconds() + seconds
    while clock.seconds() < end:
        clock.advance(min(step, end - clock.seconds()))
