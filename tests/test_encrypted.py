"""TLS between a transport and a connection: in the same round, and never more than the peer takes."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from mailpost.encrypted import Encrypted, EncryptedFactory
from mailpost.limits import MAX_THROWN_AWAY
from mailpost.tls import ServerTLS, channel_bindings
from mailpost.tls.server import HANDSHAKE_SECONDS
from tests.memory import BUFFER, Peer, pass_time
from tests.tls.pki import pyopenssl_client, write_pair
from tests.tls.records import OldRecords, Records

if TYPE_CHECKING:
    from pathlib import Path

    from mailpost.outlet import Outlet


class Room(Protocol):
    """What is spoken under TLS; it remembers all that happens to it."""

    transport: Any

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.told_drained = 0
        self.lost = 0
        self.greeting = b"hello"

    def connectionMade(self) -> None:
        self.outlet: Outlet = self.transport.outlet(self)
        if self.greeting:
            self.outlet.send(self.greeting)

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: object = None) -> None:
        self.lost += 1

    def drained(self) -> None:
        self.told_drained += 1


class Client(Peer):
    """A peer that speaks TLS."""

    def __init__(self, factory: Factory, clock: Clock, tls: SSL.Connection) -> None:
        super().__init__(factory, clock)
        self.tls = tls

    def shake_hands(self) -> None:
        """As far as it goes."""
        for _ in range(4):
            with suppress(SSL.WantReadError):
                self.tls.do_handshake()
            self.say(self.sent())
            self._hear()

    def sent(self) -> bytes:
        """What OpenSSL wants to send."""
        with suppress(SSL.WantReadError):
            return self.tls.bio_read(1 << 20)
        return b""

    def tell(self, octets: bytes) -> None:
        """Say it under TLS."""
        self.tls.sendall(octets)
        self.say(self.sent())

    def told(self) -> bytes:
        """What the office has said under TLS since this was asked the last time."""
        self._hear()
        octets = b""
        with suppress(SSL.WantReadError, SSL.ZeroReturnError):
            while True:
                octets += self.tls.recv(1 << 16)
        return octets

    @property
    def closed(self) -> bool:
        """Whether the office has said that nothing more comes."""
        self.told()
        return bool(self.tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    def _hear(self) -> None:
        octets = self.heard()
        for start in range(0, len(octets), 1 << 16):
            self.tls.bio_write(octets[start : start + (1 << 16)])


class Office:
    """A room under TLS."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.tls = ServerTLS([write_pair(folder, "a", "ecdsa", "a.example")], self.clock)
        self.rooms: list[Room] = []
        self.factory = EncryptedFactory(self.tls, Factory.forProtocol(self._room))
        self.greeting = b"hello"

    def _room(self) -> Room:
        room = Room()
        room.greeting = self.greeting
        self.rooms.append(room)
        return room

    def connect(self, tls: SSL.Connection | None = None) -> tuple[Client, Room]:
        """A peer that has connected."""
        client = Client(self.factory, self.clock, tls or pyopenssl_client())
        return client, self.rooms[-1]

    def shaken(self, tls: SSL.Connection | None = None) -> tuple[Client, Room]:
        """A peer that has shaken hands, and heard the greeting."""
        client, room = self.connect(tls)
        client.shake_hands()
        assert client.told() == self.greeting
        return client, room


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


# Both ways ----------------------------------------------------------------------------------------


def test_from_the_first_octet(office: Office) -> None:
    """The greeting waits for the handshake; then everything goes both ways at once."""
    client, room = office.connect()
    assert verifyObject(ITransport, room.transport)
    assert room.outlet.full
    assert client.line.heard == b""
    client.shake_hands()
    assert not room.outlet.full
    assert room.told_drained == 1
    assert client.told() == b"hello"
    client.tell(b"NOOP\r\n")
    assert room.heard == [b"NOOP\r\n"]
    room.outlet.send(b"250")
    assert client.line.heard  # without the reactor
    assert client.told() == b"250"
    assert client.line.nodelay
    assert channel_bindings(room.transport)
    assert room.transport.getPeer().host == "192.0.2.1"
    assert room.transport.getHost().port == 25


def test_as_any_transport(office: Office) -> None:
    """A protocol that knows no outlets writes and closes as it does anywhere."""
    client, room = office.shaken()
    room.transport.write(b"one ")
    room.transport.writeSequence([b"two ", b"three"])
    room.transport.loseConnection()
    assert client.told() == b"one two three"
    assert not client.connected
    assert room.lost == 1


def test_very_much_at_a_time(office: Office) -> None:
    """However much is said at once, all of it comes."""
    client, room = office.shaken()
    said = bytes(range(256)) * 4099
    room.outlet.send(said)
    assert client.told() == said


def test_the_greeting_goes_with_the_tickets(office: Office) -> None:
    """What waited for the handshake goes out in one piece with the end of it."""
    client, _ = office.connect()
    pieces: list[bytes] = []
    write = client.line.write
    client.line.write = lambda data: (pieces.append(data), write(data))  # type: ignore[method-assign]
    client.shake_hands()
    assert len(pieces) == 2
    assert client.told() == b"hello"


def test_nobody_to_talk_to(office: Office) -> None:
    """Where the room is not open there is nothing to encrypt."""

    class Closed(Factory):
        def buildProtocol(self, addr: object) -> None:  # type: ignore[override]
            """Nobody is let in."""

    inner = Closed()
    factory = EncryptedFactory(office.tls, inner)
    factory.doStart()
    assert inner.numPorts == 1
    assert factory.buildProtocol(None) is None  # type: ignore[arg-type]
    factory.doStop()
    assert inner.numPorts == 0


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    says=st.lists(st.integers(1, 100_000), min_size=1, max_size=5),
    reads=st.lists(st.booleans(), min_size=1, max_size=5),
)
def test_whatever_is_said_comes(office: Office, says: list[int], reads: list[bool]) -> None:
    """In order and whole, whether the peer reads or not; while it does not, ``full`` says so in time."""
    client, room = office.shaken()
    expected = b""
    for number, size in enumerate(says):
        if reads[number % len(reads)]:
            client.read_on()
        else:
            client.stop_reading()
        for start in range(0, size, 1 << 15):
            if not room.outlet.full:
                piece = bytes([65 + number]) * min(1 << 15, size - start)
                expected += piece
                room.outlet.send(piece)
    assert client.line.most <= BUFFER + (1 << 16)
    client.read_on()
    assert not room.outlet.full
    assert client.told() == expected
    client.leave()


# Back-pressure ------------------------------------------------------------------------------------


def test_a_peer_that_does_not_read(office: Office) -> None:
    """The outlet is full; when the peer has read all of it, this is told, once."""
    client, room = office.shaken()
    room.told_drained = 0
    client.stop_reading()
    said = 0
    while not room.outlet.full:
        room.outlet.send(b"x" * 10_000)
        said += 10_000
    assert client.line.most < BUFFER + 11_000
    client.read_on()
    assert not room.outlet.full
    assert room.told_drained == 1
    assert len(client.told()) == said


def test_a_room_that_does_not_read(office: Office) -> None:
    """What holds the connection back holds the peer back."""
    client, room = office.shaken()
    room.transport.pauseProducing()
    client.tell(b"later")
    assert room.heard == []
    room.transport.resumeProducing()
    client.settle()
    assert room.heard == [b"later"]


@pytest.mark.parametrize("old", [False, True])
def test_answers_that_nobody_takes(office: Office, old: bool) -> None:  # noqa: FBT001
    """Who has TLS answer without end, and takes no answer, is read no more until it does.

    KeyUpdate on TLS 1.3, a hello in the midst of TLS 1.2: each has an answer that the room knows nothing of.
    """
    records: Any = OldRecords() if old else Records()
    client, room = office.shaken(records.client)
    client.stop_reading()
    while client.line.reading:
        client.say(b"".join(records.hello() if old else records.key_update() for _ in range(100)))
        assert client.line.most < BUFFER + (1 << 16)
    room.transport.pauseProducing()
    client.read_on()
    assert not client.line.reading  # for now it is the room that does not want to
    room.transport.resumeProducing()
    assert client.line.reading


def test_answers_that_nobody_takes_while_the_room_reads_on(office: Office) -> None:
    """The room's wish to read changes nothing before the answers are taken; an end does."""
    records = Records()
    client, room = office.shaken(records.client)
    client.stop_reading()
    while client.line.reading:
        client.say(b"".join(records.key_update() for _ in range(100)))
    room.transport.pauseProducing()
    room.transport.resumeProducing()
    assert not client.line.reading
    room.outlet.close(b"bye", orderly=False)
    assert client.line.reading
    client.say(b"".join(records.key_update() for _ in range(1000)))
    assert client.line.most < BUFFER + (1 << 16)
    client.read_on()
    assert client.line.ending == "half-close"


# Ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("orderly", "ending"), [(True, "close"), (False, "half-close")])
def test_last_words(office: Office, orderly: bool, ending: str) -> None:  # noqa: FBT001
    """They go out with close_notify in one piece, and nothing after it; what comes is not listened to."""
    client, room = office.shaken()
    pieces: list[bytes] = []
    write = client.line.write
    client.line.write = lambda data: (pieces.append(data), write(data))  # type: ignore[method-assign]
    room.outlet.close(b"221 bye", orderly=orderly)
    room.outlet.send(b"too late")
    room.outlet.close(b"too late", orderly=True)
    assert client.line.ending == ending
    assert len(pieces) == 1
    assert client.told() == b"221 bye"
    assert client.closed
    with suppress(SSL.Error):
        client.tell(b"anybody there?")
    client.say(b"no TLS")
    assert room.heard == []
    client.leave()
    assert room.lost == 1


def test_what_comes_after_the_last_words(office: Office) -> None:
    """It is thrown away, so that they are not lost; but not for ever."""
    client, room = office.shaken()
    room.outlet.close(b"too long", orderly=False)
    client.say(b"x" * MAX_THROWN_AWAY)
    assert client.line.ending == "half-close"
    client.say(b"x")
    assert client.line.ending == "abort"
    assert room.heard == []


def test_last_words_before_the_handshake(office: Office) -> None:
    """They are said when hands are shaken: not before, and not in the clear."""
    client, room = office.connect()
    room.outlet.close(b" and bye", orderly=True)
    room.outlet.send(b"too late")
    assert client.line.ending == ""
    assert client.line.heard == b""
    client.shake_hands()
    assert client.told() == b"hello and bye"
    assert client.closed
    assert room.told_drained == 0
    assert not client.connected


def test_nothing_to_say_before_the_handshake(office: Office) -> None:
    """Then there is nothing to wait for."""
    office.greeting = b""
    client, room = office.connect()
    room.outlet.close(b"", orderly=True)
    assert client.line.ending == "abort"
    assert not client.connected


def test_a_handshake_without_a_greeting(office: Office) -> None:
    """What TLS has to say does not wait for the room."""
    office.greeting = b""
    client, room = office.connect()
    client.shake_hands()
    room.outlet.send(b"hello")
    assert client.told() == b"hello"


def test_the_peer_closes(office: Office) -> None:
    """Its close_notify is answered, what it said before is heard, and the connection is closed."""
    client, room = office.shaken()
    client.tls.sendall(b"the last")
    client.tls.shutdown()
    client.say(client.sent())
    assert room.heard == [b"the last"]
    assert client.closed
    assert client.line.ending == "close"
    assert not client.connected
    assert room.lost == 1


def test_what_is_no_tls(office: Office) -> None:
    """It ends the connection; the room hears nothing but that, and cannot speak in the clear."""
    client, room = office.connect()
    client.say(b"EHLO evil.example\r\n")
    room.outlet.send(b"250 in the clear")
    assert room.heard == []
    assert b"250" not in client.line.heard
    assert client.line.ending == "close"
    assert not client.connected
    assert room.lost == 1


def test_cut_off(office: Office) -> None:
    """An end without close_notify, for it was none."""
    client, room = office.shaken()
    room.transport.abortConnection()
    room.outlet.send(b"too late")
    room.outlet.close(b"too late", orderly=True)
    client.tell(b"too late as well")
    assert client.line.ending == "abort"
    assert not client.connected
    assert not client.closed
    assert (room.heard, room.lost) == ([], 1)


def test_an_end_within_what_comes(office: Office) -> None:
    """A room may end the connection while it is told something; the rest goes nowhere."""
    client, room = office.shaken()
    room.dataReceived = lambda data: room.outlet.close(data, orderly=True)  # type: ignore[method-assign]
    client.tls.sendall(b"QUIT")
    client.tls.shutdown()
    client.say(client.sent())
    assert client.told() == b"QUIT"
    assert not client.connected


# Patience -----------------------------------------------------------------------------------------


def test_a_hello_that_never_comes(office: Office) -> None:
    """The peer is cut off when its time is up, not before; that is logged at debug."""
    client, _ = office.connect()
    pass_time(office.clock, HANDSHAKE_SECONDS - 1)
    assert client.connected
    with capturedLogs() as logs:
        pass_time(office.clock, 2)
    assert client.line.ending == "abort"
    assert not client.connected
    assert [log["peer"].host for log in logs] == ["192.0.2.1"]


def test_a_hello_that_trickles(office: Office) -> None:
    """An octet a second does not prolong the time."""
    client, _ = office.connect()
    with pytest.raises(SSL.WantReadError):
        client.tls.do_handshake()
    for octet in client.sent()[: int(HANDSHAKE_SECONDS) + 1]:
        client.say(bytes([octet]))
        pass_time(office.clock, 1)
    assert client.line.ending == "abort"


def test_who_has_shaken_hands_stays(office: Office) -> None:
    """The rest of the patience is the room's, and nobody waits for anything any more."""
    client, _ = office.shaken()
    assert not office.clock.getDelayedCalls()
    pass_time(office.clock, HANDSHAKE_SECONDS + 2)
    assert client.connected


@pytest.mark.parametrize("shaken", [True, False])
def test_who_has_gone_is_not_kept(office: Office, shaken: bool) -> None:  # noqa: FBT001
    """Neither the connection nor OpenSSL's memory waits for the patience, or for the garbage collector."""
    client, room = office.shaken() if shaken else office.connect()
    kept = weakref.ref(room.transport), weakref.ref(room.transport.getHandle())
    gc.disable()
    try:
        client.leave()
        assert not office.clock.getDelayedCalls()
        office.rooms.clear()
        del client, room
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


def test_from_starttls_on(office: Office) -> None:
    """What was spoken before in the clear goes on under TLS: it is not connected anew."""
    room = Room()
    client = Client(Factory.forProtocol(Protocol), office.clock, pyopenssl_client())
    encrypted = Encrypted(office.tls, room)
    client.line.protocol = encrypted
    encrypted.begin(client.line)
    outlet = encrypted.outlet(room)
    client.shake_hands()
    outlet.send(b"as before")
    assert client.told() == b"as before"
    assert not hasattr(room, "outlet")
