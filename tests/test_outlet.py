"""The way out of a connection, with a socket that takes what the test says it takes."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection as SocketConnection
from twisted.internet.testing import MemoryReactor, StringTransport
from zope.interface.verify import verifyObject

from mailpost.outlet import SocketOutlet, TransportOutlet, outlet_for
from tests.memory import BUFFER, Line


class Socket:
    """A socket of which the kernel takes so many octets."""

    def __init__(self) -> None:
        self.room = 1 << 30
        self.sent = b""
        self.calls = 0
        self.error: OSError | None = None
        self.shut: list[int] = []
        self.options: list[tuple[int, int, int]] = []

    def send(self, octets: Any) -> int:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if not self.room:
            raise BlockingIOError
        taken = bytes(octets)[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def setblocking(self, flag: object) -> None:
        """As sockets have it."""

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))

    def shutdown(self, how: int) -> None:
        self.shut.append(how)

    def fileno(self) -> int:
        return -1


class Told:
    """Speaks, and counts how often it could go on."""

    def __init__(self) -> None:
        self.times = 0

    def drained(self) -> None:
        self.times += 1


class Socketed:
    """Twisted's own TCP transport over such a socket, and an outlet on it."""

    def __init__(self) -> None:
        self.socket = Socket()
        self.reactor = MemoryReactor()
        self.transport = SocketConnection(self.socket, Protocol(), self.reactor)
        self.transport.connected = 1
        self.told_drained = 0
        self.outlet = outlet_for(self.transport, self)

    def drained(self) -> None:
        self.told_drained += 1

    @property
    def watched(self) -> bool:
        """Whether the reactor is asked to tell when the socket takes more."""
        return self.transport in self.reactor.getWriters()


def test_which_outlet() -> None:
    """A plain TCP connection has a socket to send on; anything else does not."""
    assert isinstance(Socketed().outlet, SocketOutlet)
    assert isinstance(outlet_for(StringTransport(), Told()), TransportOutlet)
    assert verifyObject(IPullProducer, Socketed().outlet)
    assert Socketed().socket.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)]


def test_sent_at_once() -> None:
    """What the socket takes is sent at once; the reactor need not watch it."""
    there = Socketed()
    there.outlet.send(b"one ")
    there.outlet.send(b"two")
    assert there.socket.sent == b"one two"
    assert there.socket.calls == 2
    assert not there.outlet.full
    assert not there.watched


@pytest.mark.parametrize("room", [0, 4])
def test_the_rest_waits(room: int) -> None:
    """What the socket does not take waits, in order; ``full`` until all of it has gone; then it is told."""
    there = Socketed()
    there.socket.room = room
    there.outlet.send(b"one two ")
    assert there.outlet.full
    assert there.watched
    there.outlet.send(b"three")
    assert there.socket.sent == b"one two "[:room]
    there.socket.room = 5
    there.transport.doWrite()
    assert there.outlet.full
    assert there.told_drained == 0
    there.socket.room = 100
    there.transport.doWrite()
    assert there.socket.sent == b"one two three"
    assert not there.outlet.full
    assert there.told_drained == 1
    there.outlet.send(b"!")
    assert there.socket.sent.endswith(b"three!")
    there.outlet.resumeProducing()
    assert there.told_drained == 1


def test_again_and_again() -> None:
    """It may be full any number of times, also from within the telling that it is so no longer."""
    there = Socketed()
    todo = [b"b" * 10, b"c" * 10]

    class More:
        def drained(self) -> None:
            if todo:
                there.socket.room = 3
                there.outlet.send(todo.pop(0))

    there.outlet = SocketOutlet(there.transport, More())
    there.socket.room = 3
    there.outlet.send(b"a" * 10)
    for _ in range(6):
        there.socket.room = 100
        there.transport.doWrite()
    assert there.socket.sent == b"a" * 10 + b"b" * 10 + b"c" * 10
    assert not there.outlet.full


def test_detached_with_a_rest() -> None:
    """After it was detached the rest still goes out, and then the connection closes."""
    there = Socketed()
    there.socket.room = 3
    there.outlet.send(b"good bye")
    there.outlet.detach()
    there.outlet.detach()
    there.transport.loseConnection()
    there.socket.room = 100
    there.transport.doWrite()
    assert there.socket.sent == b"good bye"
    assert there.told_drained == 0


@pytest.mark.parametrize("orderly", [True, False])
def test_closed_with_a_rest(orderly: bool) -> None:  # noqa: FBT001
    """The rest goes out first; then the connection is closed, or its half where the peer may still talk."""
    there = Socketed()
    there.socket.room = 3
    there.outlet.send(b"good bye")
    there.outlet.close(b"", orderly=orderly)
    assert there.socket.shut == []
    there.socket.room = 100
    ended = there.transport.doWrite()
    assert there.socket.sent == b"good bye"
    assert isinstance(ended, ConnectionDone) is orderly
    assert there.socket.shut == ([] if orderly else [1])


@pytest.mark.parametrize("error", [BrokenPipeError(), ConnectionResetError(), OSError("odd")])
def test_a_broken_socket(error: OSError) -> None:
    """A socket that is broken is the transport's to find out: nothing is raised."""
    there = Socketed()
    there.socket.error = error
    there.outlet.send(b"hello?")
    assert there.outlet.full
    assert there.watched
    there.outlet.stopProducing()
    assert not there.outlet.full


def test_back_pressure_of_any_transport() -> None:
    """The outlet of another transport is full while that holds more than it likes."""
    line = Line(Clock())
    line.protocol = Protocol()
    told = Told()
    outlet = TransportOutlet(line, told)
    assert verifyObject(IPushProducer, outlet)
    line.read_by_peer = False
    outlet.send(b"x" * (BUFFER + 1))
    assert outlet.full
    line.take()
    assert not outlet.full
    outlet.resumeProducing()
    assert told.times == 1
    outlet.pauseProducing()
    outlet.stopProducing()
    assert not outlet.full
    outlet.detach()
    outlet.detach()
    assert line.producer is None
