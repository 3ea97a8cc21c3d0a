"""The writer: runs operations as one transaction, and knows when not to trust the disk.

After a write or a sync that failed, pages in memory may look right and not be on the disk
(https://wiki.postgresql.org/wiki/Fsync_Errors). So nothing more is promised until the database has been
opened anew *and* a truncating checkpoint has succeeded: that syncs the write-ahead log, copies all of
it, even what was copied before (:mod:`mailpost.store.recopying`), and syncs the database, so that
whatever is read from then on is on the disk. A full disk is less grave: what did not fit has been undone,
and nothing that had been synced is in doubt.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import apsw
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store.errors import DiskFull, InDoubt, StoreError
from mailpost.store.sqlite import WAITS_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailpost.store.sqlite import Engine
    from mailpost.store.turns import TurnLock

T = TypeVar("T")
BRIEFLY_MS = 20  # to wait for whoever reads the old pages
AGAIN = 1.0  # seconds from one attempt to reopen to the next
ITS_OWN = (
    apsw.ConstraintError,
    apsw.FullError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.SQLError,
    apsw.TooBigError,
)
"""What SQLite says where the operation is at fault, or the disk full; all else puts the disk in doubt."""
EXPECTED = (TemporaryFailure, StoreError, MaildropInUse)


class Anew(Exception):  # noqa: N818 - what is to be done
    """The operations have learned something, and want to be applied once more, each by itself."""


class Operation(Generic[T]):
    """Something to be written. Operations of one class that wait together are applied together."""

    __slots__ = ()

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Self]) -> Sequence[T]:
        """Write them, within a transaction; one answer for each, in their order.

        An exception undoes the transaction: each operation is then tried by itself.
        """
        raise NotImplementedError

    @classmethod
    def alone(cls, operations: Sequence[Self]) -> bool:  # noqa: ARG003 - for those that care
        """Whether :meth:`apply` is one statement for them, and so a transaction by itself."""
        return False

    def refused(self, error: Exception) -> T:
        """The answer where it could not be written: as it stands, the error itself."""
        raise error


class Writer:
    """The one connection of the process that writes.

    :param seconds: a clock that only goes forward.
    :ivar turns: held while something is written.
    """

    log = Logger()

    def __init__(self, engine: Engine, turns: TurnLock, seconds: Callable[[], float]) -> None:
        self._engine = engine
        self.turns = turns
        self._seconds = seconds
        self._db: apsw.Connection | None = engine.writer()
        self._tried = float("-inf")
        self._closed = False

    def perform(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Run them as one transaction; an answer for each, a Failure where it was not done."""
        try:
            return self._transaction(self._trusted(), operations)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those it concerns
            trouble = self._judge(error)
            alone = len(operations) == 1 and not isinstance(error, Anew)
            if alone or isinstance(trouble, TemporaryFailure):
                return [self._refuse(each, trouble) for each in operations]
        # One of them is at fault, or all are too much for the disk: each by itself, then.
        return [self._perform_one(each) for each in operations]

    def _perform_one(self, operation: Operation[Any]) -> Any:
        try:
            return self._transaction(self._trusted(), [operation])[0]
        except Exception as error:  # noqa: BLE001 - it is told
            return self._refuse(operation, self._judge(error))

    def _judge(self, error: Exception) -> Exception:
        if isinstance(error, apsw.BusyError):
            return TemporaryFailure(f"somebody else keeps the store: {error}")
        if isinstance(error, apsw.Error) and not isinstance(error, ITS_OWN):
            self.distrust(error)
            return InDoubt(f"the store could not be written: {error}")
        return error

    def checkpoint(self, mode: int) -> tuple[int, int]:
        """Checkpoint in this process's turn; pages in the write-ahead log, and how many are done.

        :raises apsw.Error: not now.
        """
        db = self._trusted()
        db.set_busy_timeout(BRIEFLY_MS)
        try:
            with self.turns:
                return db.wal_checkpoint(mode=mode)
        finally:
            db.set_busy_timeout(WAITS_MS)

    def log_pages(self) -> tuple[int, int]:
        """Pages in the write-ahead log, and how many of them have been copied already."""
        return self._trusted().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)

    def close(self) -> None:
        """Close the connection. Harmless when repeated."""
        self._closed = True
        db, self._db = self._db, None
        if db is not None:
            with suppress(apsw.Error):
                db.close()

    def _transaction(self, db: apsw.Connection, operations: Sequence[Operation[Any]]) -> list[Any]:
        kind = type(operations[0])
        if all(type(operation) is kind for operation in operations) and kind.alone(operations):
            with self.turns:
                return list(kind.apply(db, operations))  # synced when it returns
        with self.turns:
            db.execute("BEGIN IMMEDIATE")
            try:
                answers = _apply(db, operations)
                db.execute("COMMIT")  # synced when it returns
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        return answers

    def _trusted(self) -> apsw.Connection:
        if self._closed:
            raise TemporaryFailure("the store is closed")
        if self._db is None:
            now = self._seconds()
            if now - self._tried < AGAIN:
                raise TemporaryFailure("the store is not to be trusted since a write failed")
            self._tried = now
            self._db = self._reopen()
            self.log.warn("the store has been reopened, and all of it is on the disk")
        return self._db

    def _reopen(self) -> apsw.Connection:
        db = self._engine.writer()
        try:
            with self.turns:
                self._engine.copy_log_anew()
                left = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except OSError as error:
            db.close()
            raise TemporaryFailure(f"the write-ahead log cannot be copied anew: {error}") from error
        except BaseException:
            db.close()
            raise
        if left != (0, 0):
            db.close()
            raise TemporaryFailure(f"the write-ahead log could not be emptied: {left}")
        return db

    def distrust(self, error: apsw.Error) -> None:
        """A write or a sync has failed: promise nothing until all is known to be on the disk."""
        self.log.error("a write to the store failed, it will be reopened: {error}", error=error)
        with suppress(
            OSError
        ):  # at once, before another process begins the log anew; and again later
            self._engine.copy_log_anew()
        db, self._db = self._db, None
        if db is not None:
            with suppress(apsw.Error):
                db.close(True)

    def _refuse(self, operation: Operation[Any], error: Exception) -> Any:
        if isinstance(error, apsw.FullError):
            error = DiskFull(f"the disk is full: {error}")
        elif not isinstance(error, EXPECTED):
            self.log.failure("an operation on the store failed", Failure(error))
            error = TemporaryFailure(f"an operation on the store failed: {error!r}")
        try:
            return operation.refused(error)
        except Exception:  # noqa: BLE001 - the answer is the failure
            return Failure()


def _apply(db: apsw.Connection, operations: Sequence[Operation[Any]]) -> list[Any]:
    kinds: dict[type[Operation[Any]], list[int]] = {}
    for place, operation in enumerate(operations):
        kinds.setdefault(type(operation), []).append(place)
    answers: list[Any] = [None] * len(operations)
    for kind, places in kinds.items():
        applied = kind.apply(db, [operations[place] for place in places])
        for place, answer in zip(places, applied, strict=True):
            answers[place] = answer
    return answers
