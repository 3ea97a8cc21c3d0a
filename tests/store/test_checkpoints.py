"""The write-ahead log is copied without making anybody wait."""

import os

import apsw
import pytest

from mailpost.store import checkpoints
from mailpost.store.checkpoints import LOOK
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
