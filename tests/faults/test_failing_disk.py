"""A sync fails, and what was to be synced is lost for good, as on Linux: under two workers of one store.

The error is told once to each that has the file open, and a sync that is tried again succeeds. Whoever
believed it would promise what is on no disk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw
import pytest

from tests.faults.crowd import audit
from tests.faults.failing_disk import FailingDisk, failing_disk
from tests.faults.letters import body_of
from tests.faults.strikes import workers_of
from tests.faults.test_several_workers import Pair
from tests.river.conftest import not_here
from tests.river.office import attempts
from tests.river.small_disk import NotMounted
from tests.river.test_workers import alive
from tests.store.conftest import Office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = 4096
MANY = 256 * PAGE


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FailingDisk]:
    try:
        with failing_disk(tmp_path) as disk:
            yield disk
    except NotMounted as error:
        not_here(f"only root can mount a disk: {error}")


@pytest.fixture
def pair(disk: FailingDisk) -> Iterator[Pair]:
    log = disk.place.with_name("office.log")
    settings = '\ndisk_reserve = "16 MiB"'
    keeping = "\n[keeping]\nbin = 0"
    with Pair(disk.place / "office", log, office=settings, limits=keeping) as pair:
        yield pair


def syncs(file: int) -> bool:
    """Whether a sync succeeds."""
    try:
        os.fdatasync(file)
    except OSError:
        return False
    return True


def test_the_disk_forgets(disk: FailingDisk) -> None:
    """The test's own footing: who has the file open is told once, and what was written is gone."""
    first, second = (os.open(disk.place / "file", os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        os.pwrite(first, b"a" * PAGE, 0)
        assert syncs(first)
        with disk.failing():
            os.pwrite(first, b"b" * MANY, PAGE)
            assert not syncs(first)
            assert not syncs(second)
            assert syncs(first)  # nothing is dirty any more
            assert syncs(second)
            os.pwrite(first, b"c" * PAGE, 0)
            assert syncs(first)  # in its old place
        assert os.pread(first, 1, PAGE) == b"b"
        disk.forget()
        assert os.pread(first, 1, PAGE) == b"\0"
        assert os.pread(first, 1, 0) == b"c"
        os.pwrite(first, b"d" * MANY, PAGE + MANY)
        assert syncs(first)
    finally:
        os.close(first)
        os.close(second)
    disk.mount_again()
    assert (disk.place / "file").read_bytes()[-1:] == b"d"


@pytest.mark.parametrize("forgotten", ["at once", "later"])
def test_pages_that_were_copied_are_lost(disk: FailingDisk, forgotten: str) -> None:
    """A part of the log was copied, not synced, and lost: when the store is trusted again it is whole.

    SQLite counts such a part as copied before any sync, and does not copy it again. And what is lost, but
    still looks right in memory, ext4 does not keep when it is written again.
    """
    office = Office(disk.place / "mail.db")
    try:
        alice = office.accounts.add("alice")
        bodies = [body_of(f"letter-{number}", 20_000) for number in range(20)]
        for body in bodies[:12]:
            office.deliver(body, alice, postmark=b"")
        reader = apsw.Connection(str(office.path))
        reader.execute("BEGIN; SELECT count(*) FROM letter").fetchall()
        for body in bodies[12:]:
            office.deliver(body, alice, postmark=b"")
        bulk = office.store._engine.reader()
        pages, copied = bulk.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        assert 0 < copied < pages
        bulk.close()
        with disk.failing():
            assert not disk.write_back(office.path)
            if forgotten == "at once":
                disk.forget()
        reader.close()
        office.ledger._checkpoints._due = True
        office.deliver(b"\r\n", alice)  # and its sync of the database tells of it
        for _ in attempts():
            (outcome,) = office.deliver(b"\r\n", alice)
            if outcome.reply.code == 250:
                break
        disk.forget()
        assert office.rows("PRAGMA integrity_check") == [("ok",)]
        assert office.letters(alice)[: len(bodies)] == bodies
        office.restart()
        assert office.letters(alice)[: len(bodies)] == bodies
    finally:
        office.store.close()


def kill(pair: Pair) -> None:
    """SIGKILL to the first process, and wait until nobody of the office is left."""
    workers = workers_of(pair.office)
    pair.crowd.closed.set()
    pair.office.kill()
    for _ in attempts():
        if not any(map(alive, workers)):
            break
    pair.crowd.stop()
    pair.history.crashed()


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_syncs_fail_under_two_workers(pair: Pair, disk: FailingDisk, rounds: int) -> None:
    """What had a 250 is on the disk, whichever worker's sync failed; both go on when the disk does."""
    workers = workers_of(pair.office)
    for _ in range(rounds):
        pair.more(kept=20)
        with disk.failing():
            pair.more(sent=20, put_off=5)
            disk.forget()
            pair.more(sent=10)
        pair.both_serve()
        disk.forget()
        pair.still()
        assert workers_of(pair.office) == workers
        pair.more(kept=10)
        kill(pair)
        disk.mount_again()
        pair.office.start()
        audit(pair.history, pair.office.pop3)
        pair.crowd.closed.clear()
        pair.crowd.start()
        workers = workers_of(pair.office)
    assert pair.office.log.count("a write to the store failed") >= 2 * rounds
