"""The write-ahead log is copied without making anybody wait."""

import fcntl
import os
import threading

import apsw
import pytest

from mailpost.store import checkpoints
from mailpost.store.checkpoints import LOOK
from mailpost.store.locks import FLOCK
from mailpost.store.recopying import CHECKPOINTS
from mailpost.store.sqlite import LOG_LIMIT

from .conftest import Office


def log_pages(office):
    return office.ledger._writer.log_pages()


@pytest.fixture
def busy(office, alice, monkeypatch):
    """An office whose log is long already after a few letters."""
    monkeypatch.setattr(checkpoints, "BULK", 50)

    def deliver(letters):
        for _ in range(letters):
            office.deliver(os.urandom(10_000), alice)

    office.busy = deliver
    return office


def test_log_begins_anew(busy):
    """Without threads the writer copies the log by itself, now and then."""
    busy.busy(10 * LOOK)
    pages, _ = log_pages(busy)
    assert pages < LOOK * 10 + 50


def test_bulk_is_copied_beside_the_writer(busy, monkeypatch):
    """With its thread the bulk is copied there, and the writer does the short remainder."""
    watched = busy.ledger._checkpoints
    monkeypatch.setattr(watched, "_thread", object())
    busy.busy(LOOK)
    assert watched._busy
    before, done = log_pages(busy)
    assert done == 0
    db = watched._engine.reader()
    watched.bulk(db)
    db.close()
    watched._busy = False
    assert log_pages(busy) == (before, before)
    assert watched._due
    busy.busy(2)
    assert log_pages(busy)[0] < 20
    monkeypatch.undo()


def test_reader_is_not_waited_for(busy):
    """Somebody who reads the old pages makes the log longer, never a letter wait."""
    reader = apsw.Connection(str(busy.path))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM entry").fetchall()
    busy.busy(2 * LOOK)
    reader.execute("COMMIT")
    reader.close()
    busy.busy(2 * LOOK)
    assert log_pages(busy)[0] < 2 * LOOK * 6


def test_log_file_is_limited(busy, alice):
    """After a flood the log's file is cut to its limit."""
    for _ in range(15):
        for _ in range(30):
            busy.commit(os.urandom(60_000), alice)
        busy.turn()
    assert busy.path.with_name("mail.db-wal").stat().st_size > LOG_LIMIT
    busy.busy(2 * LOOK)
    assert busy.path.with_name("mail.db-wal").stat().st_size <= LOG_LIMIT


def test_thread(tmp_path, monkeypatch):
    """The thread copies when it is rung, and stops when the store closes."""
    monkeypatch.setattr(checkpoints, "BULK", 50)
    office = Office(tmp_path / "mail.db")
    alice = office.accounts.add("alice", None)
    office.ledger._checkpoints.start()
    for _ in range(10 * LOOK):
        office.deliver(os.urandom(10_000), alice)
    office.store.close()
    office.open_store()
    assert len(office.open(office.accounts.find("alice")).sizes) == 10 * LOOK
    office.store.close()


def test_thread_that_fails_is_told(busy):
    """A checkpoint that fails in its thread puts the disk in doubt, as any write that fails."""
    watched = busy.ledger._checkpoints
    watched._error = apsw.IOError("broken")
    watched._due = True
    before = busy.ledger._writer._db
    busy.busy(2)
    assert busy.ledger._writer._db is not before


def test_what_was_copied_is_copied_again(office, alice):
    """When a sync has failed the log is copied from its beginning, for none of it may have been kept."""
    bodies = [os.urandom(10_000) + b"\r\n" for _ in range(6)]
    for body in bodies[:3]:
        office.deliver(body, alice, postmark=b"")
    reader = apsw.Connection(str(office.path))
    reader.execute("BEGIN; SELECT * FROM letter").fetchall()
    for body in bodies[3:]:
        office.deliver(body, alice, postmark=b"")
    office.ledger._writer.checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
    pages, copied = log_pages(office)
    assert 0 < copied < pages
    office.store._engine.copy_log_anew()
    assert log_pages(office) == (pages, 0)
    assert office.letters(alice) == bodies
    office.ledger._writer.distrust(apsw.IOError("a sync has failed"))
    reader.close()
    office.deliver(b"", alice, postmark=b"")
    assert log_pages(office)[0] < pages  # all was copied, and it has begun anew
    assert office.letters(alice) == [*bodies, b""]


def test_a_checkpoint_is_waited_for(office, alice):
    """That is not done while a checkpoint counts what it has copied, and none begins meanwhile."""
    office.deliver(b"", alice)
    recopying = office.store._engine._recopying
    recopying.demand()
    other = os.open(office.path.with_name("mail.db-shm"), os.O_RDWR)  # closed with the process
    fcntl.fcntl(other, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, 0, CHECKPOINTS, 1, 0))
    with pytest.raises(apsw.BusyError):
        office.ledger._writer.checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
    waiting = threading.Thread(target=recopying.demand)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    fcntl.fcntl(other, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_UNLCK, 0, CHECKPOINTS, 1, 0))
    waiting.join(30)
    assert not waiting.is_alive()
    assert office.ledger._writer.checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)[1] > 0
