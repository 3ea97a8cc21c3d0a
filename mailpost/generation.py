"""A generation: the workers that serve by one reading of the configuration.

One that ends unasked is replaced: at once after a long life, after a pause that grows when lives are short.
Where nobody else serves the pause stays short, since the office is closed for as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from mailpost.inheritance import Inheritance
from mailpost.occupancy import Occupancy
from mailpost.service import first_cause
from mailpost.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from mailpost.config import Config
    from mailpost.doors import Door

_log = Logger(namespace="mailpost.workers")

STEADY_SECONDS = 10.0
"""A worker that lived for so long is replaced at once; after shorter lives there is a pause, that grows."""

LONGEST_PAUSE = 30.0
NOBODY_SERVES_PAUSE = 1.0
"""The longest where no other worker serves or is being started: until then the office is closed."""


class Starter(Protocol):
    """How a worker's process is started."""

    def start(self, worker: Worker, given: Inheritance) -> None:
        """Start one. Where that fails the worker has ended."""

    def end(self) -> None:
        """No more are wanted; those there are stay. Harmless when repeated."""


class Generation:
    """Keeps as many workers as the configuration asks for.

    :param doors: the listeners, bound.
    :param starter: starts workers' processes.
    :ivar workers: those whose process lives.
    """

    def __init__(
        self,
        config: Config,
        doors: Sequence[Door],
        starter: Starter,
        reactor: Any,
    ) -> None:
        self.config = config
        self.doors = doors
        self.workers: list[Worker] = []
        self._starter = starter
        self._reactor = reactor
        self._retired = False
        self._pause = 0.0
        self._starts: set[IDelayedCall] = set()
        self._occupancy = Occupancy.make(config.office.workers, len(doors))

    def bind(self) -> Deferred[Any]:
        """Bind those of the doors that have no port yet; fails with why one cannot be had."""
        binding = _all([door.bind(self._reactor) for door in self.doors if door.port is None])
        return binding.addCallback(lambda _: [door.hold() for door in self.doors])

    def fill(self) -> Deferred[Any]:
        """Start them all; fires when all serve, fails with why one does not."""
        count = self.config.office.workers
        return _all([self._start().opened for _ in range(count)])

    def finish(self) -> None:
        """Have them take nobody in any more, and end with their last sessions; none is replaced."""
        self._retire()
        for worker in self.workers:
            worker.ask("finish").addErrback(lambda _: None)  # it has ended already

    def stop(self, signal: str = "TERM") -> None:
        """Have them close; none is replaced. Harmless when repeated."""
        self._retire()
        for worker in self.workers:
            worker.stop(signal)

    def _retire(self) -> None:
        self._retired = True
        self._occupancy.close()
        self._starter.end()
        for call in self._starts:
            call.cancel()
        self._starts.clear()

    def _start(self) -> Worker:
        taken = [worker.place for worker in self.workers]
        place = next(one for one in range(self._occupancy.workers) if one not in taken)
        worker = Worker(self._reactor.seconds(), place)
        self.workers.append(worker)
        worker.ended.addCallback(lambda _: self._ended(worker))
        listeners = [door.hold() for door in self.doors]
        self._starter.start(worker, Inheritance(listeners, self._occupancy, place))
        return worker

    def _ended(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self._occupancy.clear(worker.place)
        if self._retired or not worker.serves:
            return
        steady = self._reactor.seconds() - worker.started >= STEADY_SECONDS
        self._pause = 0.0 if steady else self._longer()
        pause = self._start_later()
        _log.error(
            "a worker has ended unasked, {how}; another is started in {pause:.0f} s",
            how=worker.how,
            pause=pause,
        )

    def _start_later(self) -> float:
        """Start a worker in the place of one that has ended; in how many seconds."""

        def start() -> None:
            self._starts.discard(call)
            worker = self._start()
            worker.opened.addErrback(self._failed, worker)

        pause = self._pause if self.workers else min(self._pause, NOBODY_SERVES_PAUSE)
        call = self._reactor.callLater(pause, start)
        self._starts.add(call)
        return pause

    def _failed(self, failure: Failure, worker: Worker) -> None:
        # Its place in the table is free when it has ended.
        worker.ended.addCallback(lambda _: self._another(failure))

    def _another(self, failure: Failure) -> None:
        if self._retired:
            return
        self._pause = self._longer()
        pause = self._start_later()
        _log.error(
            "a worker cannot open: {why}; again in {pause:.0f} s",
            why=failure.getErrorMessage(),
            pause=pause,
        )

    def _longer(self) -> float:
        return min(LONGEST_PAUSE, max(1.0, 2 * self._pause))


def _all(waited_for: Sequence[Deferred[Any]]) -> Deferred[Any]:
    return gatherResults(waited_for, consumeErrors=True).addErrback(first_cause)
