"""How much of a letter one read takes, on Twisted's own transport."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.tcp import Connection as SocketConnection
from twisted.internet.testing import MemoryReactor

from mailpost.limits import LETTER_READ, READ

from .office import ENVELOPE, HELLO, Office

pytestmark = pytest.mark.usefixtures("log")

LINE = b"x" * 76 + b"\r\n"


class Socket:
    """A socket at which octets wait.

    :ivar reads: how many octets each read gave.
    """

    def __init__(self) -> None:
        self.waiting = b""
        self.reads: list[int] = []
        self.sent = b""

    def recv(self, octets: int) -> bytes:
        read, self.waiting = self.waiting[:octets], self.waiting[octets:]
        self.reads.append(len(read))
        return read

    def send(self, octets: bytes) -> int:
        self.sent += octets
        return len(octets)

    def setblocking(self, flag: object) -> None:
        """As sockets have it."""

    def setsockopt(self, *option: object) -> None:
        """As sockets have it."""

    def fileno(self) -> int:
        return -1


class Sender:
    """A peer whose octets the reactor reads one time after the other."""

    def __init__(self, office: Office) -> None:
        self.socket = Socket()
        protocol = office.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1025))
        self.transport: Any = SocketConnection(self.socket, protocol, MemoryReactor())
        self.transport.connected = True
        protocol.makeConnection(self.transport)
        self.say(HELLO)

    def say(self, octets: bytes) -> list[int]:
        """Say something; how many octets of it each read took."""
        self.socket.waiting += octets
        self.socket.reads = []
        while self.socket.waiting:
            self.transport.doRead()
        return self.socket.reads


def test_a_long_letter_is_read_in_large_pieces() -> None:
    """When much of a letter comes at once reads become larger, and with its end as they were."""
    office = Office()
    sender = Sender(office)
    sender.say(ENVELOPE + b"DATA\r\n")
    letter = LINE * (1_000_000 // len(LINE))
    reads = sender.say(letter)
    assert reads[0] == READ
    assert set(reads[1:-1]) == {LETTER_READ}
    sender.say(b".\r\n")
    assert sender.socket.sent.splitlines()[-1].startswith(b"250 2.0.0 kept")
    assert office.delivery.kept[0].body == letter
    assert sender.say(b"NOOP\r\n" * READ)[0] == READ


def test_letters_that_end_in_any_way_leave_reads_as_they_were() -> None:
    """One that is too large, and one whose sender breaks it off."""
    office = Office(max_octets=100_000)
    sender = Sender(office)
    sender.say(ENVELOPE + b"DATA\r\n" + LINE * 3000 + b".\r\n")
    assert sender.socket.sent.splitlines()[-1].startswith(b"552")
    assert sender.say(b"NOOP\r\n" * READ)[0] == READ
    sender.say(ENVELOPE + b"BDAT 78000\r\n" + LINE * 1000)
    assert sender.say(b"RSET\r\n" * READ)[0] == READ


def test_commands_are_read_in_small_pieces() -> None:
    """However many come: those who flood are not to fill the memory."""
    sender = Sender(Office())
    assert max(sender.say(b"NOOP\r\n" * READ)) == READ


def test_small_letters_leave_reads_as_they_are() -> None:
    """They come in one read, whatever its size."""
    sender = Sender(Office())
    sender.say(ENVELOPE + b"DATA\r\n" + LINE * 50 + b".\r\n")
    assert sender.transport.bufferSize == READ
