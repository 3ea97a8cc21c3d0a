"""Checkpoints: the write-ahead log is copied into the database without making anybody wait.

The bulk is copied by a thread of its own while letters go on being written (PASSIVE: it waits for
nobody); what was written meanwhile, a short remainder, is copied in the writer's turn (RESTART), after
which the log begins anew. https://sqlite.org/c3ref/wal_checkpoint_v2.html
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import apsw

from mailpost.outcome import TemporaryFailure

if TYPE_CHECKING:
    from mailpost.store.sqlite import Engine
    from mailpost.store.writer import Writer

LOOK = 16  # commits from one look at the log to the next
BULK = 1024  # pages in the log from which the thread copies
REMAINDER = 256  # pages that may be left to the writer
ROUNDS = 4


class Checkpoints:
    """Decides when to checkpoint, and does the bulk of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._commits = 0
        self._bell = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._busy = False
        self._due = False
        self._error: apsw.Error | None = None
        self._shorten = False
        self._closing = False

    def start(self) -> None:
        """Start the thread; without it, the writer copies all by itself."""
        self._thread = threading.Thread(target=self._work, name="mailpost checkpoints", daemon=True)
        self._thread.start()

    def after(self, writer: Writer) -> None:
        """After a commit, when all have been answered: see whether anything is to be done."""
        self._commits += 1
        if not self._due and (self._busy or self._commits % LOOK):
            return
        error, self._error = self._error, None
        if error is not None:
            writer.distrust(error)
        elif self._due:
            self._due = False
            self._checkpoint(writer, apsw.SQLITE_CHECKPOINT_RESTART)
        elif self._long(writer):
            if self._thread is None:
                self._checkpoint(writer, apsw.SQLITE_CHECKPOINT_RESTART)
            else:
                self._busy = True
                self._bell.release()

    def shorten(self) -> None:
        """Cut the log off when nothing waits to be written, so that its disk is given back too."""
        self._shorten = True

    def idle(self, writer: Writer) -> None:
        """Nothing waits to be written."""
        if self._shorten:
            self._shorten = False
            self._checkpoint(writer, apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        """Stop the thread. Harmless when repeated."""
        self._closing = True
        if self._thread is not None:
            self._bell.release()
            self._thread.join()
            self._thread = None

    def bulk(self, db: apsw.Connection) -> None:
        """Copy, again and again, until little is left or others write as fast."""
        with suppress(apsw.BusyError):  # another process is at it
            for _ in range(ROUNDS):
                pages, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if self._closing or pages - done <= REMAINDER:
                    break
            self._due = True

    def _long(self, writer: Writer) -> bool:
        with suppress(apsw.Error, TemporaryFailure):  # not now, then
            pages, done = writer.log_pages()
            return pages - done >= BULK
        return False

    def _checkpoint(self, writer: Writer, mode: int) -> None:
        try:
            writer.checkpoint(mode)
        except (apsw.BusyError, TemporaryFailure):
            pass  # somebody reads the old pages just now: at the next look
        except apsw.Error as error:
            writer.distrust(error)

    def _work(self) -> None:
        while True:
            self._bell.acquire()
            if self._closing:
                return
            try:
                db = self._engine.reader()
                try:
                    self.bulk(db)
                finally:
                    db.close()
            except apsw.Error as error:
                with suppress(OSError):  # the writer does it again
                    self._engine.copy_log_anew()
                self._error = error
                self._due = True
            finally:
                self._busy = False
