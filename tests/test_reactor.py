"""The reactor of ``mailpost serve``, turned by hand."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mailpost.reactor import PlainReactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.logbook import Logbook


class Heard(Protocol):
    """Notes what comes; ``raise`` makes it fail."""

    def __init__(self) -> None:
        self.octets = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.octets += data
        if data == b"raise":
            raise ValueError("on purpose")
        assert self.transport is not None
        self.transport.write(data.upper())

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = reason


@pytest.fixture
def reactor() -> Iterator[PlainReactor]:
    reactor = PlainReactor()
    yield reactor
    for left in reactor.removeAll():
        left.connectionLost(Failure(ConnectionDone()))
    reactor._poller.close()


def connected(reactor: PlainReactor) -> tuple[Heard, socket.socket]:
    ours, theirs = socket.socketpair()
    protocol = Heard()
    factory = Factory.forProtocol(lambda: protocol)  # type: ignore[arg-type]
    reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
    ours.close()
    return protocol, theirs


def test_reads_and_writes(reactor: PlainReactor) -> None:
    protocol, peer = connected(reactor)
    with peer:
        peer.send(b"hello")
        reactor.doIteration(1)  # reads
        reactor.doIteration(1)  # writes
        assert protocol.octets == b"hello"
        assert peer.recv(100) == b"HELLO"
        peer.shutdown(socket.SHUT_RDWR)
        reactor.doIteration(1)
        assert protocol.lost is not None


def test_a_fault_is_logged_and_closes_its_own_connection_alone(
    reactor: PlainReactor, log: Logbook
) -> None:
    first, peer = connected(reactor)
    second, other = connected(reactor)
    with peer, other:
        peer.send(b"raise")
        other.send(b"hello")
        reactor.doIteration(1)
        assert first.lost is not None
        assert first.lost.check(ValueError)
        assert second.octets == b"hello"
        assert second.lost is None
    assert [event["failure"].getErrorMessage() for event in log.events] == ["on purpose"]


def test_one_that_was_closed_within_the_same_round_is_left_alone(reactor: PlainReactor) -> None:
    @implementer(IReadDescriptor)
    class Ender:
        """Closes the other one; either may come first."""

        def __init__(self, end: socket.socket) -> None:
            self.end = end
            self.other: Ender | None = None
            self.reads = 0

        def fileno(self) -> int:
            return self.end.fileno()

        def logPrefix(self) -> str:
            return "ender"

        def doRead(self) -> None:
            self.reads += 1
            assert self.other is not None
            reactor.removeReader(self.other)

        def connectionLost(self, reason: Failure) -> None:
            raise AssertionError(reason)

    (a, peer), (b, other) = socket.socketpair(), socket.socketpair()
    with a, b, peer, other:
        one, two = Ender(a), Ender(b)
        one.other, two.other = two, one
        for ender in (one, two):
            reactor.addReader(ender)
        peer.send(b"x")
        other.send(b"x")
        reactor.doIteration(1)
        assert one.reads + two.reads == 1
        reactor.removeAll()
