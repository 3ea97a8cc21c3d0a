"""The ledger: one thread that writes, many operations to a commit.

It takes everything that waits, runs it as one transaction, commits (and so syncs) once, and then
answers all, in the reactor's thread, by one call. While it commits, the next batch gathers: the busier,
the cheaper.

What is true when: an operation's answer is given after the commit that holds it has been synced.
Operations that wait together have no order among them; whoever needs one waits for the answer.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.outcome import TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime

    from mailpost.store.checkpoints import Checkpoints
    from mailpost.store.writer import Operation, Writer

T = TypeVar("T")
BATCH = 256  # operations to a commit, at most
LIMIT = 4096  # operations that may wait


class Ledger:
    """Runs operations in batches, each one transaction.

    :param clock: the reactor; a batch gathers until it has seen to all that came at once.
    :param call_in_reactor: ``reactor.callFromThread``, or what does as much.
    :param limit: how many may wait; more are refused at once.
    """

    log = Logger()

    def __init__(
        self,
        writer: Writer,
        checkpoints: Checkpoints,
        clock: IReactorTime,
        call_in_reactor: Callable[..., object],
        *,
        limit: int = LIMIT,
    ) -> None:
        self._writer = writer
        self._checkpoints = checkpoints
        self._clock = clock
        self._call_in_reactor = call_in_reactor
        self._limit = limit
        self._waiting: deque[tuple[Operation[Any], Deferred[Any] | _Caller]] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._gathering = False
        self._alone = True  # the latest turn had one operation: nobody to gather with

    @property
    def waiting(self) -> int:
        """How many operations wait to be written."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the threads. Without them, :meth:`turn` is called by hand."""
        self._checkpoints.start()
        self._thread = threading.Thread(target=self._work, name="mailpost ledger", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Deferred[T]:
        """Have it written; fires after the commit. For the reactor's thread."""
        done: Deferred[T] = Deferred()
        if self._closing or len(self._waiting) >= self._limit:
            try:
                done.callback(operation.refused(TemporaryFailure("too much waits to be written")))
            except TemporaryFailure:
                done.errback()
            return done
        self._waiting.append((operation, done))
        if self._alone or self._thread is None:
            self._ring()
        elif not self._gathering:
            # Whoever is rung wants Python's turn, and takes it from the reactor bit by bit, which
            # costs both: once for all that this round of the reactor brings is enough.
            self._gathering = True
            self._clock.callLater(0, self._gathered)
        return done

    def run(self, operation: Operation[T]) -> T:
        """Have it written and wait for that. Never in the reactor's thread while it runs."""
        if self._closing:
            raise TemporaryFailure("the store is closed")
        caller = _Caller()
        self._waiting.append((operation, caller))
        self._ring()
        while self._thread is None and self.turn():
            pass
        caller.answered.wait()
        if isinstance(caller.answer, Failure):
            caller.answer.raiseException()
        return cast("T", caller.answer)

    def turn(self) -> int:
        """Write what waits, as one transaction; how many operations that was."""
        with self._writing:
            if not self._waiting:
                self._checkpoints.idle(self._writer)
                return 0
            with ExitStack() as held:
                with suppress(OSError):  # then the writer will say so to each of them
                    # First: what comes while another process writes is written along with the rest.
                    held.enter_context(self._writer.turns)
                batch = self._next_batch()
                self._alone = len(batch) == 1
                answers = self._writer.perform([operation for operation, _ in batch])
        told: list[tuple[Deferred[Any], Any]] = []
        for (_, asker), answer in zip(batch, answers, strict=True):
            if isinstance(asker, _Caller):
                asker.answer = answer
                asker.answered.set()
            else:
                told.append((asker, answer))
        if told:
            self._call_in_reactor(_tell, told)
        with self._writing:
            self._checkpoints.after(self._writer)
        return len(batch)

    def shorten_log(self) -> None:
        """Have the write-ahead log copied and cut off, when the ledger comes to it."""
        self._checkpoints.shorten()
        self._ring()

    def close(self) -> None:
        """Write what was accepted, then stop. Blocks; harmless when repeated."""
        self._closing = True
        if self._thread is not None:
            self._ring()
            self._thread.join()
            self._thread = None
        while self.turn():
            pass
        self._checkpoints.close()
        self._writer.close()

    def _next_batch(self) -> list[tuple[Operation[Any], Deferred[Any] | _Caller]]:
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _gathered(self) -> None:
        self._gathering = False
        self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            with suppress(RuntimeError):  # another thread rang meanwhile
                self._bell.release()

    def _work(self) -> None:
        while not self._closing:
            self._bell.acquire()
            try:
                while self.turn():
                    pass
            except Exception:  # noqa: BLE001 - the thread must live
                self.log.failure("the ledger failed")


class _Caller:
    """Who waits in another thread than the reactor's, which may not even run."""

    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answer: Any = None
        self.answered = threading.Event()


def _tell(told: Sequence[tuple[Deferred[Any], Any]]) -> None:
    for deferred, answer in told:
        deferred.callback(answer)
