"""Threads for what blocks: reading the store and its files, writing parcels, hashing passwords.

Twisted's own pool leads each piece of work through a team of workers and queues with locks of Python, and in
each of these two threads wait for the interpreter: 50 to 90 µs of processor time to a thread and back. One
queue whose locks are C's takes a third of that, and a large letter needs several such hops.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

_log = Logger(namespace="mailpost.threads")

P = ParamSpec("P")
T = TypeVar("T")
_Work = tuple["Callable[..., Any]", Any, Any, "Deferred[Any]"]


class Threads:
    """A few threads; what is to be done is begun in its order, by whichever is free.

    They are started as they are needed. All methods are for the reactor's thread.

    :param call_in_reactor: the reactor's ``callFromThread``.
    :param most: how many threads there are at most.
    """

    def __init__(self, call_in_reactor: Callable[..., object], most: int, name: str) -> None:
        self._call_in_reactor = call_in_reactor
        self._most = most
        self._name = name
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0

    def defer(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call it in a thread; fires with its result, or fails with what it has raised."""
        answer: Deferred[T] = Deferred()
        self._under_way += 1
        if len(self._threads) < min(self._under_way, self._most):
            self._begin()
        self._queue.put((function, args, kwargs, answer))
        return answer

    def stop(self) -> None:
        """Let the threads end when all that was asked for is done, and wait for that. Blocks.

        What was asked for is answered as long as the reactor runs.
        """
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _begin(self) -> None:
        number = len(self._threads) + 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            function, args, kwargs, answer = work
            try:
                result = function(*args, **kwargs)
            except BaseException:  # noqa: BLE001 - whoever asked gets it
                result = Failure()
            try:
                self._call_in_reactor(self._answer, answer, result)
            except Exception:  # noqa: BLE001 - the thread must live, for others wait for it
                _log.failure("the reactor could not be woken for an answer")
            del work, function, args, kwargs, answer, result  # a thread that waits keeps nothing

    def _answer(self, answer: Deferred[Any], result: object) -> None:
        self._under_way -= 1
        answer.callback(result)
