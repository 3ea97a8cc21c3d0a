"""Connections that come through a load balancer."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import connect, makeFakeClient, makeFakeServer
from zope.interface import implementer

from mailpost.encrypted import EncryptedFactory
from mailpost.outlet import SocketOutlet, outlet_for
from mailpost.proxied import HEADER_SECONDS, ProxiedFactory, proxy_header
from mailpost.rates import COMPLAINT_SECONDS
from mailpost.tls import CertificateFiles, ServerTLS, make_self_signed, protocol_and_cipher

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"
V1_6 = b"PROXY TCP6 2001:db8::1 2001:db8::25 56324 25\r\n"
V1_MAPPED = b"PROXY TCP6 ::ffff:192.0.2.1 ::1 56324 25\r\n"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"

PROXY = IPv4Address("TCP", "10.0.0.9", 4711)
CLIENT = IPv4Address("TCP", "192.0.2.1", 56324)


class Room(Protocol):
    """Notes what it sees."""

    def __init__(self, addr):
        self.addr = addr
        self.events = []

    def connectionMade(self):
        self.events.append(("made", self.transport.getPeer(), self.transport.getHost()))
        self.transport.write(b"220 hello\r\n")

    def dataReceived(self, data):
        self.events.append(data)

    def connectionLost(self, reason):
        self.events.append("lost")


class Rooms(Factory):
    noisy = False
    started = 0

    def __init__(self):
        self.made = []
        self.open = True

    def startFactory(self):
        self.started += 1

    def stopFactory(self):
        self.started -= 1

    def buildProtocol(self, addr):
        if not self.open:
            return None
        self.made.append(Room(addr))
        return self.made[-1]


class Transport(StringTransportWithDisconnection):
    aborted = False

    def abortConnection(self):
        self.aborted = True
        self.loseConnection()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rooms():
    return Rooms()


@pytest.fixture
def factory(rooms, clock):
    return ProxiedFactory(rooms, [ip_network("10.0.0.0/24"), ip_network("fd00::/8")], clock)


def arrive(factory, peer=PROXY):
    transport = Transport(peerAddress=peer)
    protocol = factory.buildProtocol(peer)
    transport.protocol = protocol
    protocol.makeConnection(transport)
    return transport


def deliver(transport, octets):
    """As a socket's transport does: to whatever protocol it has now."""
    transport.protocol.dataReceived(octets)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (V1, CLIENT),
        (V1_6, IPv6Address("TCP", "2001:db8::1", 56324)),
        (V1_MAPPED, CLIENT),
        (LOCAL, PROXY),
        (b"PROXY UNKNOWN\r\n", PROXY),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_room_sees_the_client(factory, rooms, header, client, size):
    """PROTOCOL 82: before the greeting, split anywhere; what follows comes through untouched."""
    transport = arrive(factory)
    octets = header + b"EHLO a\r\n\r\n\0\r\nQUIT\nPROXY "
    for start in range(0, len(octets), size):
        deliver(transport, octets[start : start + size])
        assert bool(transport.value()) == (start + size >= len(header))
    (room,) = rooms.made
    assert room.addr == client
    assert room.events[0][:2] == ("made", client)
    assert b"".join(room.events[1:]) == octets[len(header) :]
    assert transport.getPeer() == client
    assert proxy_header(transport).local == (header == LOCAL)


def test_the_address_the_client_came_to(factory, rooms):
    """That of the proxy's side that the world sees."""
    transport = arrive(factory)
    deliver(transport, V1)
    assert rooms.made[0].events == [("made", CLIENT, IPv4Address("TCP", "198.51.100.7", 25))]


def test_it_stands_aside(factory, rooms, clock):
    """The transport's protocol is the room's own; the end is told to it, once."""
    transport = arrive(factory)
    deliver(transport, V1)
    assert transport.protocol is rooms.made[0]
    clock.advance(HEADER_SECONDS + 2)
    assert not transport.aborted
    transport.loseConnection()
    assert rooms.made[0].events[1:] == ["lost"]


def test_a_transport_that_goes_on_calling_the_first(factory, rooms):
    """Not every transport asks what its protocol is; nothing is lost on the way."""
    transport = arrive(factory)
    first, transport.protocol = transport.protocol, None
    first.dataReceived(V1 + b"a")
    first.dataReceived(b"b")
    first.connectionLost(None)
    assert rooms.made[0].events[1:] == [b"a", b"b", "lost"]


def test_a_room_that_is_closed(factory, rooms):
    """The connection ends; whatever else comes is not looked at."""
    rooms.open = False
    transport = arrive(factory)
    deliver(transport, V1)
    assert transport.aborted
    deliver(transport, V1)
    assert transport.value() == b""


def test_a_port_that_begins_and_ends(factory, rooms):
    """The room's factory learns of it."""
    factory.doStart()
    assert rooms.started == 1
    factory.doStop()
    assert rooms.started == 0


# Whom nobody believes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "peer",
    [
        PROXY,
        IPv6Address("TCP", "fd00::1", 1),
        IPv6Address("TCP", "::ffff:10.0.0.9", 1),
        UNIXAddress("/run/mailpost.sock"),
        UNIXAddress(None),
    ],
)
def test_trusted(factory, peer):
    """Networks of both families, the first also through a socket for both; UNIX sockets."""
    assert factory.buildProtocol(peer) is not None


@pytest.mark.parametrize(
    "peer",
    [
        CLIENT,
        IPv4Address("TCP", "10.0.1.9", 1),
        IPv6Address("TCP", "fe80::1%eth0", 1),
        IPv6Address("TCP", "::ffff:192.0.2.1", 1),
        IPv6Address("TCP", "::1", 1),
        None,
    ],
)
def test_strangers(factory, rooms, peer):
    """No protocol is made, so that the port closes the connection."""
    assert factory.buildProtocol(peer) is None
    assert rooms.made == []


def test_strangers_do_not_fill_the_log(factory, clock):
    """A line a minute at most, with how many there were."""
    with capturedLogs() as logs:
        for _ in range(50):
            factory.buildProtocol(CLIENT)
            clock.advance(1)
        assert len(logs) == 1
        clock.advance(COMPLAINT_SECONDS - 50)
        factory.buildProtocol(CLIENT)
    assert [(log["peer"], log["reason"], log["unsaid"]) for log in logs] == [
        ("192.0.2.1", "not a trusted proxy", 0),
        ("192.0.2.1", "not a trusted proxy", 49),
    ]


@pytest.mark.parametrize("octets", [b"EHLO a\r\n", b"\x16\x03\x01\x02\0", b"PROXY TCP4\r\n", b"G"])
def test_no_header(factory, rooms, octets):
    """From a trusted network too it is never optional; the rest is not looked at."""
    transport = arrive(factory)
    with capturedLogs() as logs:
        deliver(transport, octets)
        deliver(transport, V1)
    assert transport.aborted
    assert rooms.made == []
    assert [log["peer"] for log in logs] == ["10.0.0.9"]


def test_a_header_that_never_comes(factory, rooms, clock):
    """The whole of it within the time, however it trickles."""
    transport = arrive(factory, UNIXAddress("/run/mailpost.sock"))
    with capturedLogs() as logs:
        for octet in V1[: int(HEADER_SECONDS) + 1]:
            if not transport.aborted:
                deliver(transport, bytes([octet]))
            clock.advance(1)
    assert transport.aborted
    assert rooms.made == []
    assert [log["peer"] for log in logs] == ["a UNIX socket"]
    assert not clock.getDelayedCalls()


def test_who_goes_before_the_header(factory, rooms, clock):
    """Nothing is left behind."""
    transport = arrive(factory)
    deliver(transport, V1[:9])
    transport.loseConnection()
    assert rooms.made == []
    assert not clock.getDelayedCalls()


# With the rest of the house -----------------------------------------------------------------------


class Socket:
    """As much of a socket as a transport asks for."""

    def fileno(self):
        return 0

    def setblocking(self, flag):
        """Nothing to do."""

    def setsockopt(self, *option):
        """Nothing to do."""


def test_the_fast_path_is_kept(factory):
    """A socket's transport is handed on as it is, so that the outlet takes the socket itself."""
    taken = []

    class Quiet(Protocol):
        def connectionMade(self):
            taken.append(outlet_for(self.transport, self))

    factory.inner = Factory.forProtocol(Quiet)
    protocol = factory.buildProtocol(PROXY)
    transport = Server(Socket(), protocol, ("10.0.0.9", 1), None, 1, reactor)
    protocol.makeConnection(transport)
    transport._dataReceived(V1)
    assert isinstance(taken[0], SocketOutlet)
    assert isinstance(transport.protocol, Quiet)
    assert transport.getPeer() == CLIENT


@implementer(IOpenSSLClientConnectionCreator)
class AnyClient:
    def clientConnectionForTLS(self, protocol):
        return SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))


def test_the_header_comes_before_tls(rooms, clock, tmp_path):
    """In the clear; the handshake follows, and the room sees client and TLS both."""
    tls = ServerTLS([CertificateFiles(*make_self_signed(tmp_path, ["a.example"]))], clock)
    factory = ProxiedFactory(EncryptedFactory(tls, rooms), [ip_network("10.0.0.0/24")], clock)

    class Client(Protocol):
        heard = b""

        def connectionMade(self):
            self.transport.write(b"EHLO a\r\n")

        def dataReceived(self, data):
            self.heard += data

    client = Client()
    near = TLSMemoryBIOFactory(
        AnyClient(), True, Factory.forProtocol(lambda: client), clock
    ).buildProtocol(None)
    far = factory.buildProtocol(PROXY)
    near_transport = makeFakeClient(near)
    near_transport.write(V1)
    pump = connect(far, makeFakeServer(far), near, near_transport)
    for _ in range(4):
        clock.advance(0)
        pump.flush()
    (room,) = rooms.made
    assert client.heard == b"220 hello\r\n"
    assert room.addr == CLIENT
    assert room.events == [
        ("made", CLIENT, IPv4Address("TCP", "198.51.100.7", 25)),
        b"EHLO a\r\n",
    ]
    assert protocol_and_cipher(room.transport)[0] == "TLSv1.3"
    assert proxy_header(room.transport).source == "192.0.2.1"


def test_without_a_proxy():
    """Nothing was said."""
    assert proxy_header(Transport()) is None
