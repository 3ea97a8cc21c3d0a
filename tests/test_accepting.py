"""How a port takes newcomers in, and leaves them to others; real sockets are tested where real ports are."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock

from mailpost.accepting import AT_ONCE, MOMENT, PATIENCE, accept_few
from mailpost.inheritance import Inheritance, inherited
from mailpost.occupancy import SLACK, Occupancy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.occupancy import Share

pytestmark = pytest.mark.usefixtures("log")


class Crowd:
    """A socket at which many wait, which poll(2) sees too."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.taken = 0
        self._seen = os.eventfd(1)
        self._unseen = os.eventfd(0)

    def fileno(self) -> int:
        return self._seen if self.waiting else self._unseen

    def accept(self) -> tuple[Taken, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError(errno.EWOULDBLOCK, "nobody waits")
        self.waiting -= 1
        self.taken += 1
        return Taken(), ("192.0.2.1", 1025)

    def close(self) -> None:
        os.close(self._seen)
        os.close(self._unseen)


class Taken:
    """One that was accepted."""

    def close(self) -> None:
        pass


class Closed(Factory):
    """Lets nobody in."""

    def buildProtocol(self, addr: object) -> None:
        return None


class Listener:
    """A port, and how often it was told to look no more, and to look again."""

    def __init__(self, waiting: int, share: Share | None = None) -> None:
        self.clock = MemoryReactorClock()
        self.crowd = Crowd(waiting)
        port: Any = Port(0, Closed(), reactor=self.clock)
        port.socket = self.crowd
        port.connected = True
        port.numberAccepts = 100  # as startListening has it
        accept_few(port, share)
        self.port = port

    @property
    def looks(self) -> bool:
        """Whether it is told of newcomers."""
        return self.port in self.clock.getReaders()


@pytest.fixture
def make() -> Iterator[Callable[..., Listener]]:
    """Makes listeners."""
    made: list[Listener] = []

    def make(*given: Any) -> Listener:
        made.append(Listener(*given))
        return made[-1]

    yield make
    for listener in made:
        listener.crowd.close()


def test_a_port_takes_few_at_once(make: Callable[..., Listener]) -> None:
    """However many wait, and in every round anew; Twisted's own takes a hundred to begin with."""
    listener = make(1000)
    for rounds in (1, 2, 3):
        listener.port.doRead()
        assert listener.crowd.taken == rounds * AT_ONCE


@pytest.fixture
def shares() -> Iterator[tuple[Share, Share]]:
    """The parts of two workers in a listener: one has a connection more than the other, which has none."""
    occupancy = Occupancy.make(2, 1)
    here, there = occupancy.share(0, 0), occupancy.share(1, 0)
    here.has(1)
    there.has(0)
    yield here, there
    occupancy.close()


def test_newcomers_are_left_to_whoever_has_fewer(
    shares: tuple[Share, Share], make: Callable[..., Listener]
) -> None:
    """Not looked at meanwhile; whoever is still there after some looks is taken after all."""
    here, _ = shares
    listener = make(1000, here)
    listener.port.startReading()
    for rounds in (1, 2):
        listener.port.doRead()
        for _ in range(PATIENCE):
            assert (listener.looks, listener.crowd.taken) == (False, (rounds - 1) * AT_ONCE)
            listener.clock.advance(MOMENT)
        assert (listener.looks, listener.crowd.taken) == (True, rounds * AT_ONCE)


def test_they_are_taken_as_soon_as_there_is_room(
    shares: tuple[Share, Share], make: Callable[..., Listener]
) -> None:
    """As one here leaves, or the other has taken one; no more than there is room for."""
    here, there = shares
    listener = make(1000, here)
    listener.port.doRead()
    listener.clock.advance(MOMENT)
    there.has(1)
    listener.clock.advance(MOMENT)
    assert (listener.looks, listener.crowd.taken) == (True, 1)


def test_the_other_has_taken_them(
    shares: tuple[Share, Share], make: Callable[..., Listener]
) -> None:
    """Then they are looked for again at once."""
    here, _ = shares
    listener = make(1, here)
    listener.port.doRead()
    listener.crowd.waiting = 0
    listener.clock.advance(MOMENT)
    assert (listener.looks, listener.crowd.taken) == (True, 0)
    assert not listener.clock.getDelayedCalls()


@pytest.mark.parametrize("end", [{"connected": False}, {"disconnecting": True}])
def test_a_port_that_was_closed_meanwhile_takes_nobody(
    shares: tuple[Share, Share], make: Callable[..., Listener], end: dict[str, bool]
) -> None:
    """The worker finishes, and others have the listener."""
    here, _ = shares
    listener = make(5, here)
    listener.port.doRead()
    for name, value in end.items():
        setattr(listener.port, name, value)
    listener.clock.advance(MOMENT)
    assert (listener.looks, listener.crowd.taken) == (False, 0)


def test_room_is_by_the_emptiest_of_those_who_are_there() -> None:
    """Each listener for itself; who has ended does not count, and who is alone has all the room."""
    occupancy = Occupancy.make(3, 2)
    first, second, third = (occupancy.share(worker, 1) for worker in range(3))
    occupancy.share(1, 0).has(0)
    assert first.room() > 1 << 60
    first.has(40)
    assert first.room() > 1 << 60
    second.has(39)
    third.has(100)
    assert first.room() == 40 + 40 // SLACK + 1 - 41
    assert (second.room(), third.room()) == (41 + 41 // SLACK + 1 - 40, 0)
    occupancy.clear(1)
    assert third.room() == 0
    occupancy.clear(0)
    assert third.room() > 1 << 60
    occupancy.close()
    occupancy.close()


@given(st.integers(2, 8), st.lists(st.integers(0, 7), max_size=300))
def test_whoever_is_emptiest_always_has_room(workers: int, gone: list[int]) -> None:
    """So a newcomer is never left to somebody who leaves it too; and nobody has much more than another."""
    occupancy = Occupancy.make(workers, 1)
    shares = [occupancy.share(worker, 0) for worker in range(workers)]
    counts = [0] * workers
    for share in shares:
        share.has(0)
    for number in gone:
        with_room = [worker for worker in range(workers) if shares[worker].room()]
        assert counts.index(min(counts)) in with_room
        taker = with_room[number % len(with_room)]
        counts[taker] += 1
        shares[taker].has(counts[taker])
        assert max(counts) <= min(counts) + (min(counts) + 1) // SLACK + 1
    occupancy.close()


def test_processes_share_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the supervisor hands down is the same memory, at the descriptors that it says."""
    occupancy = Occupancy.make(2, 3)
    given_down = Inheritance([70, 71, 72], occupancy, 1)
    assert given_down.descriptors == {3: 70, 4: 71, 5: 72, 6: occupancy.memory}
    seen = []

    def there(memory: int, workers: int, listeners: int) -> Occupancy:
        seen.append(memory)
        return Occupancy(os.dup(occupancy.memory), workers, listeners)

    monkeypatch.setattr("mailpost.inheritance.Occupancy", there)
    for name, value in given_down.environment.items():
        monkeypatch.setenv(name, value)
    received = inherited()
    assert received is not None
    assert (seen, list(received.listeners), received.place) == ([6], [3, 4, 5], 1)
    received.occupancy.share(received.place, 2).has(7)
    occupancy.share(0, 2).has(8)
    assert occupancy.share(0, 2).room() == 8 + 8 // SLACK + 1 - 9
    assert inherited() is None
    occupancy.close()
