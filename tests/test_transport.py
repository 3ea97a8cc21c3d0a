"""The transport of an accepted connection: as Twisted's own to whoever uses it, in a third of its room."""

import socket
from collections.abc import Iterator

import pytest
from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from mailpost.transport import LeanServer, lean


class Accepted:
    """A connection over the loopback, accepted by a transport."""

    def __init__(self, kind: type[tcp.Server], family: int, host: str) -> None:
        with socket.socket(family) as listening:
            listening.bind((host, 0))
            listening.listen()
            self.client = socket.create_connection(listening.getsockname()[:2])
            self.socket, self.peer = listening.accept()
        self.reactor = MemoryReactorClock()
        self.protocol = Told()
        self.transport = kind(self.socket, self.protocol, self.peer, None, 7, self.reactor)
        self.protocol.makeConnection(self.transport)

    def close(self) -> None:
        self.socket.close()
        self.client.close()


class Told(Protocol):
    """What is spoken; it remembers what it is told."""

    def __init__(self) -> None:
        self.heard = b""
        self.reasons: list[object] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure) -> None:
        self.reasons.append(reason.type)


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def both(request: pytest.FixtureRequest) -> Iterator[list[Accepted]]:
    """Ours, and Twisted's own."""
    pair = [Accepted(kind, *request.param) for kind in (LeanServer, tcp.Server)]
    yield pair
    for one in pair:
        one.close()


def test_as_twisteds_own(both: list[Accepted]) -> None:
    """Addresses, states and watched descriptors are the same."""
    ours, theirs = (one.transport for one in both)
    assert type(ours.getPeer()) is type(theirs.getPeer())
    assert ours.getPeer().host == theirs.getPeer().host
    assert ours.getPeer().port == both[0].client.getsockname()[1]
    assert ours.getHost().host == theirs.getHost().host
    assert both[0].reactor.getReaders() == [ours]
    for name in ("connected", "disconnected", "disconnecting", "producer", "dataBuffer", "TLS"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours._tempDataBuffer == theirs._tempDataBuffer == []
    assert ours._tempDataBuffer is ours._tempDataBuffer
    assert ours.fileno() == both[0].socket.fileno()
    assert not both[0].socket.getblocking()
    assert ours.logPrefix() == "Told"
    assert repr(ours) == f"<LeanServer with {ours.getPeer().host}>"


def test_all_of_its_attributes(both: list[Accepted]) -> None:
    """What Twisted's has of its own ours has, too, but for what is only for its log and its address."""
    ours, theirs = (one.transport for one in both)
    dropped = {"client", "hostname", "logstr", "repstr", "server", "sessionno", "_addressType"}
    missing = [name for name in vars(theirs) if not hasattr(ours, name)]
    assert set(missing) <= dropped


def test_there_and_back(both: list[Accepted]) -> None:
    """It reads, keeps what the socket does not take, and sends that when it does."""
    for one in both:
        one.client.sendall(b"hello")
        one.transport.doRead()
        assert one.protocol.heard == b"hello"
        one.transport.write(b"one ")
        one.transport.writeSequence([b"two ", b"three"])
        assert one.reactor.getWriters() == [one.transport]
        one.transport.doWrite()
        assert one.client.recv(100) == b"one two three"
        assert one.reactor.getWriters() == []


def test_lost(both: list[Accepted]) -> None:
    """The protocol hears of the end once; a descriptor that is closed is none, and there is no address."""
    for one in both:
        for _ in range(2):
            one.transport.connectionLost(Failure(ConnectionDone()))
        assert one.protocol.reasons == [ConnectionDone]
        assert one.transport.fileno() == -1
        assert one.reactor.getReaders() == []
    assert both[0].transport.getPeer().host == ""
    assert repr(both[0].transport) == "<LeanServer closed>"


def test_aborted(both: list[Accepted]) -> None:
    """An abort resets the connection."""
    for one in both:
        one.transport.abortConnection()
        one.reactor.advance(0)
        assert one.protocol.reasons == [ConnectionAborted]
        with pytest.raises(ConnectionResetError):
            one.client.recv(1)


def test_which_ports() -> None:
    """A port for TCP gets it where nobody else has said which; UNIX sockets have one of their own."""
    port, file = tcp.Port(0, Factory()), unix.Port("/nowhere", Factory())
    for one in (port, file, object()):
        lean(one)
    assert port.transport is LeanServer
    assert file.transport is unix.Server


def test_small(both: list[Accepted]) -> None:
    """It keeps nothing of its own but the socket, the protocol and the reactor."""
    assert sorted(vars(both[0].transport)) == ["protocol", "reactor", "socket"]
