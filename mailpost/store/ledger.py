"""The ledger: one thread that writes, many operations to a commit.

It takes everything that waits, runs it as one transaction, commits (and so syncs) once, and then answers all,
in the reactor's thread, by one call. While it commits, the next batch gathers: the busier, the cheaper.

What is true when: an operation's answer is given after the commit that holds it has been synced. If that
commit failed, every operation of the batch is told so, and nothing of it was kept.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import apsw
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.outcome import TemporaryFailure
from mailpost.store.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailpost.store.sqlite import Engine
    from mailpost.store.turns import TurnLock

T = TypeVar("T")
BATCH = 256
LIMIT = 4096


class Operation(Generic[T]):
    """Something to be written. Operations of one class that wait together are applied together."""

    __slots__ = ()

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Self]) -> Sequence[T]:
        """Write them, within a transaction; one answer for each, in their order.

        An exception undoes the transaction: each operation is then tried by itself.
        """
        raise NotImplementedError

    def refused(self, error: TemporaryFailure) -> T:
        """The answer where it could not be written: as it stands, the error."""
        raise error


class Ledger:
    """Runs operations in batches, each one transaction.

    :param call_in_reactor: ``reactor.callFromThread``, or what does as much.
    :param limit: how many may wait; more are refused at once.
    """

    log = Logger()

    def __init__(
        self,
        engine: Engine,
        turns: TurnLock,
        call_in_reactor: Callable[..., object],
        *,
        limit: int = LIMIT,
    ) -> None:
        self._engine = engine
        self._turns = turns
        self._call_in_reactor = call_in_reactor
        self._limit = limit
        self._db: apsw.Connection | None = engine.writer()
        self._waiting: deque[tuple[Operation[Any], Callable[[Any], object]]] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Start the thread that writes. Without it, :meth:`turn` is called by hand."""
        self._thread = threading.Thread(target=self._work, name="mailpost ledger", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Deferred[T]:
        """Have it written; fires after the commit. Call it in the reactor's thread."""
        if self._closed or len(self._waiting) >= self._limit:
            try:
                answer = operation.refused(TemporaryFailure("too much waits to be written"))
            except TemporaryFailure:
                return fail()
            done: Deferred[T] = Deferred()
            done.callback(answer)
            return done
        done = Deferred()
        self._waiting.append((operation, done.callback))
        self._ring()
        return done

    def run(self, operation: Operation[T]) -> T:
        """Have it written and wait for it. Never call it in the reactor's thread."""
        if self._thread is None:
            with self._writing:
                answer = self._perform([operation])[0]
        else:
            answers: list[Any] = []
            answered = threading.Event()

            def tell(told: Any) -> None:
                answers.append(told)
                answered.set()

            self._waiting.append((operation, tell))
            self._ring()
            answered.wait()
            answer = answers[0]
        if isinstance(answer, Failure):
            answer.raiseException()
        return cast("T", answer)

    def turn(self) -> int:
        """Write what waits, as one transaction; how many operations that was."""
        batch = []
        with suppress(IndexError):
            while len(batch) < BATCH:
                batch.append(self._waiting.popleft())
        if batch:
            with self._writing:
                answers = self._perform([operation for operation, _ in batch])
            self._call_in_reactor(_tell, [tell for _, tell in batch], answers)
        return len(batch)

    def close(self) -> None:
        """Write what was accepted, then stop. Harmless when repeated."""
        self._closed = True
        if self._thread is not None:
            self._ring()
            self._thread.join()
            self._thread = None
        while self.turn():
            pass
        if self._db is not None:
            self._db.close()
            self._db = None

    def _ring(self) -> None:
        if self._bell.locked():
            with suppress(RuntimeError):  # another thread rang between
                self._bell.release()

    def _work(self) -> None:
        while not self._closed:
            self._bell.acquire()
            while self.turn():
                pass

    def _perform(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        try:
            return self._transaction(operations)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those it concerns
            if self._db is not None and self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if len(operations) > 1:
                return [self._perform([operation])[0] for operation in operations]
            return [self._refuse(operations[0], error)]

    def _transaction(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        db = self._db
        assert db is not None
        kinds: dict[type[Operation[Any]], list[int]] = {}
        for place, operation in enumerate(operations):
            kinds.setdefault(type(operation), []).append(place)
        answers: list[Any] = [None] * len(operations)
        with self._turns:
            db.execute("BEGIN IMMEDIATE")
            for kind, places in kinds.items():
                applied = kind.apply(db, [operations[place] for place in places])
                for place, answer in zip(places, applied, strict=True):
                    answers[place] = answer
            db.execute("COMMIT")
        return answers

    def _refuse(self, operation: Operation[Any], error: Exception) -> Any:
        if isinstance(error, apsw.FullError):
            error = DiskFull(str(error))
        elif isinstance(error, apsw.Error):
            error = TemporaryFailure(str(error))
        try:
            return operation.refused(error)
        except Exception:  # noqa: BLE001
            return Failure()


def _tell(tells: Sequence[Callable[[Any], object]], answers: Sequence[Any]) -> None:
    for tell, answer in zip(tells, answers, strict=True):
        tell(answer)
