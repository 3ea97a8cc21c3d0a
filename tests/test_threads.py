"""Threads for what blocks."""

from __future__ import annotations

import gc
import threading
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from mailpost.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.logbook import Logbook

MOST = 3
SECONDS = 30  # for what is a matter of microseconds


class Reactor:
    """Calls in the test's thread what a thread has asked for."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., Any], Any]] = SimpleQueue()
        self.threads = Threads(lambda call, *args: self._calls.put((call, args)), MOST, "test")

    def run(self, calls: int) -> None:
        for _ in range(calls):
            call, args = self._calls.get(timeout=SECONDS)
            call(*args)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    reactor.threads.stop()


def named() -> str:
    return threading.current_thread().name


def test_work_is_done_in_a_thread_and_answered_in_the_reactors(reactor: Reactor) -> None:
    """What was asked for is called elsewhere, with its arguments; the answer comes here."""
    heard: list[Any] = []
    reactor.threads.defer(lambda *args, **kwargs: (named(), args, kwargs), 1, b=2).addCallback(
        lambda answer: heard.append((named(), answer))
    )
    assert not heard
    reactor.run(1)
    assert heard == [(named(), ("test-1", (1,), {"b": 2}))]


def test_what_is_raised_is_the_answer(reactor: Reactor) -> None:
    """An exception fails the Deferred, and the thread goes on."""
    failed: list[Any] = []
    reactor.threads.defer(int, "x").addErrback(failed.append)
    done: list[Any] = []
    reactor.threads.defer(int, "1").addCallback(done.append)
    reactor.run(2)
    assert failed[0].check(ValueError)
    assert done == [1]


def test_a_reactor_that_cannot_be_woken(log: Logbook) -> None:
    """The thread goes on: the others wait for it. That it was so is logged."""
    calls: SimpleQueue[Any] = SimpleQueue()

    def call_in_reactor(call: Callable[..., Any], *args: Any) -> None:
        calls.put((call, args))
        if calls.qsize() == 1:
            raise OSError("the reactor's pipe is broken")

    threads = Threads(call_in_reactor, 1, "test")
    done: list[str] = []
    for _ in range(2):
        threads.defer(named).addCallback(done.append)
    threads.stop()
    for _ in range(2):
        call, args = calls.get_nowait()
        call(*args)
    assert done == ["test-1", "test-1"]
    assert log.take_failures(OSError)


def test_there_are_as_many_threads_as_are_needed_at_once(reactor: Reactor) -> None:
    """One does for one thing after the other; of many things at once each has one, up to the most."""
    names: list[str] = []
    for _ in range(5):
        reactor.threads.defer(named).addCallback(names.append)
        reactor.run(1)
    assert set(names) == {"test-1"}
    together = threading.Barrier(MOST)
    for _ in range(2 * MOST):
        reactor.threads.defer(together.wait, SECONDS).addCallback(lambda _: names.append(""))
    reactor.run(2 * MOST)
    assert len(names) == 5 + 2 * MOST
    alive = [one.name for one in threading.enumerate() if one.name.startswith("test-")]
    assert sorted(alive) == ["test-1", "test-2", "test-3"]


def test_work_is_begun_in_its_order() -> None:
    """Who asked first is served first."""
    reactor = Reactor()
    begun: list[int] = []
    gate = threading.Semaphore(0)
    for _ in range(MOST):
        reactor.threads.defer(gate.acquire)
    for number in range(20):
        reactor.threads.defer(begun.append, number)
    gate.release()  # one thread is free
    reactor.run(21)
    assert begun == list(range(20))
    gate.release(MOST - 1)
    reactor.threads.stop()


def test_stopping_waits_for_what_was_asked_for() -> None:
    """Whatever was begun, or waits, is done first; then no thread is left. It may be repeated."""
    reactor = Reactor()
    reactor.threads.stop()
    done: list[int] = []
    gate = threading.Event()
    reactor.threads.defer(gate.wait, SECONDS)
    for number in range(10):
        reactor.threads.defer(done.append, number)
    threading.Timer(0.05, gate.set).start()
    reactor.threads.stop()
    assert sorted(done) == list(range(10))
    assert not [one for one in threading.enumerate() if one.name.startswith("test-")]
    reactor.threads.stop()


def test_a_thread_that_waits_keeps_nothing(reactor: Reactor) -> None:
    """A letter that was read is not held by the thread that read it."""

    class Letter:
        pass

    read: list[Any] = []
    reactor.threads.defer(Letter).addCallback(read.append)
    reactor.run(1)
    letter = weakref.ref(read.pop())
    reactor.threads.defer(int).addCallback(read.append)  # by then the thread has come back
    reactor.run(1)
    gc.collect()
    assert letter() is None
