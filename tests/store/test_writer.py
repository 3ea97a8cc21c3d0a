"""Disks that fail: nothing is promised that is not on the disk, and trust has to be earned anew."""

import apsw
import pytest

from mailpost.outcome import Delivered, TemporaryFailure, TryLater
from mailpost.store import writer
from mailpost.store.checkpoints import LOOK
from mailpost.store.delivery import ROW
from mailpost.wire import reply

from .conftest import Office, now


class FaultyFile(apsw.VFSFile):
    """A file whose writes and syncs fail on demand."""

    def __init__(self, disk, name, flags):
        self.disk = disk
        self.kind = "wal" if flags[0] & apsw.SQLITE_OPEN_WAL else "db"
        super().__init__(disk.base, name, flags)

    def xWrite(self, data, offset):
        self.disk.step(self.kind, "write")
        super().xWrite(data, offset)

    def xSync(self, flags):
        self.disk.step(self.kind, "sync")
        super().xSync(flags)

    def xTruncate(self, size):
        self.disk.step(self.kind, "truncate")
        super().xTruncate(size)


class FaultyDisk(apsw.VFS):
    """SQLite's way to the disk. ``fail`` takes what happens, and answers what to raise."""

    def __init__(self, base):
        self.base = base
        self.fail = None
        self.steps = 0
        super().__init__("faulty", base)

    def xOpen(self, name, flags):
        return FaultyFile(self, name, flags)

    def step(self, kind, what):
        self.steps += 1
        error = self.fail and self.fail(self.steps, kind, what)
        if error:
            raise error


@pytest.fixture
def disk():
    before = apsw.vfs_names()[0]
    disk = FaultyDisk(before)
    apsw.set_default_vfs("faulty")
    yield disk
    disk.fail = None
    apsw.set_default_vfs(before)
    disk.unregister()


@pytest.fixture
def office(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "AGAIN", 0.0)
    office = Office(tmp_path / "mail.db")
    yield office
    disk.fail = None
    office.store.close()


def codes(outcomes):
    return [outcome.reply.code for outcome in outcomes]


@pytest.mark.parametrize("what", ["write", "sync"])
def test_failed_write_or_sync(office, alice, disk, what):
    """A letter whose write or sync failed is not promised; what was promised before is there."""
    assert codes(office.deliver(b"first\r\n", alice)) == [250]
    disk.fail = lambda _, kind, done: kind == "wal" and done == what and apsw.IOError("broken")
    (outcome,) = office.deliver(b"second\r\n", alice)
    assert isinstance(outcome, TryLater)
    assert outcome.reply == reply.STORE_FAILED
    disk.fail = None
    assert codes(office.deliver(b"third\r\n", alice)) == [250]
    bodies = [letter.partition(b"\r\n")[2] for letter in office.letters(alice)]
    assert bodies in ([b"first\r\n", b"third\r\n"], [b"first\r\n", b"second\r\n", b"third\r\n"])


def test_parcel_in_doubt_is_kept(office, alice, disk):
    """A letter whose commit is in doubt might be found after a crash: then its parcel is there."""
    disk.fail = lambda _, kind, what: kind == "wal" and what == "sync" and apsw.IOError("broken")
    assert codes(office.deliver(b"x" * (ROW + 1), alice)) == [451]
    disk.fail = None
    folder = office.path.with_name("mail.db.parcels")
    assert len(list(folder.iterdir())) == 1
    letters = len(office.letters(alice))
    office.restart()
    office.store.sweeper.remove_orphans()
    assert len(list(folder.iterdir())) == len(office.letters(alice)) == letters


def test_nothing_is_promised_until_a_checkpoint_succeeds(office, alice, disk):
    """A disk that takes the log again but not the database is not trusted yet."""
    disk.fail = lambda _, kind, what: what == "sync" and apsw.IOError("broken")
    assert codes(office.deliver(b"first\r\n", alice)) == [451]
    disk.fail = lambda _, kind, what: kind == "db" and what == "sync" and apsw.IOError("broken")
    assert codes(office.deliver(b"second\r\n", alice)) == [451]
    disk.fail = None
    assert codes(office.deliver(b"third\r\n", alice)) == [250]


def test_distrust_is_patient(office, alice, disk, monkeypatch):
    """A store that is not trusted is not reopened for every letter."""
    disk.fail = lambda *_: apsw.IOError("broken")
    office.deliver(b"first\r\n", alice)
    office.deliver(b"second\r\n", alice)
    monkeypatch.setattr(writer, "AGAIN", 1e9)
    steps = disk.steps
    (outcome,) = office.deliver(b"third\r\n", alice)
    assert "not to be trusted" in outcome.reason
    assert disk.steps == steps


def test_letting_go_on_a_failing_disk(office, alice, disk):
    """Letters whose letting go could not be synced are still there."""
    office.deliver(b"first\r\n", alice)
    disk.fail = lambda _, kind, what: what == "write" and apsw.IOError("broken")
    with pytest.raises(TemporaryFailure):
        office.let_go(alice, 0)
    disk.fail = None
    office.restart()
    assert len(office.letters(alice)) == 1


def test_full_disk_at_every_step(office, alice, bob, disk):
    """Wherever the disk gets full, each letter is kept whole or answered 452, and 250 is kept."""
    kept = []
    for at in range(1, 16):
        start = disk.steps
        disk.fail = lambda n, *_, start=start, at=at: n >= start + at and apsw.FullError("full")
        waiting = [office.commit(b"%d %d\r\n" % (at, n), alice, bob) for n in range(3)]
        office.turn()
        for n, outcomes in enumerate(map(now, waiting)):
            if isinstance(outcomes[0], Delivered):
                kept.append(b"%d %d\r\n" % (at, n))
            else:
                assert codes(outcomes) == [452, 452]
                assert outcomes[0].reply == reply.DISK_FULL
    assert 0 < len(kept) < 45
    disk.fail = None
    office.restart()
    bodies = [letter.partition(b"\r\n")[2] for letter in office.letters(alice)]
    assert sorted(bodies) == sorted(kept)
    assert office.letters(bob) == office.letters(alice)


def test_broken_disk_at_every_step(office, alice, disk):
    """Wherever a write or a sync fails, what was promised is there, once, and nothing is torn."""
    promised, asked = [], []
    for at in range(1, 24):
        start = disk.steps
        disk.fail = lambda n, *_, start=start, at=at: n == start + at and apsw.IOError("broken")
        for n in range(4):
            body = b"%d %d\r\n" % (at, n)
            asked.append(body)
            if codes(office.deliver(body, alice)) == [250]:
                promised.append(body)
        if at % 8 == 0:
            disk.fail = None
            office.restart()
    disk.fail = None
    office.restart()
    bodies = [letter.partition(b"\r\n")[2] for letter in office.letters(alice)]
    assert len(set(bodies)) == len(bodies)
    assert set(promised) <= set(bodies) <= set(asked)
    assert len(promised) > 40


def test_failed_checkpoint_is_distrusted(office, alice, disk, monkeypatch):
    """A checkpoint that fails puts the disk in doubt too; letters in the log are not lost."""
    monkeypatch.setattr("mailpost.store.checkpoints.BULK", 1)
    disk.fail = lambda _, kind, what: kind == "db" and apsw.IOError("broken")
    answers = [codes(office.deliver(b"%d\r\n" % n, alice)) for n in range(2 * LOOK)]
    assert [250] in answers
    assert answers[-1] == [451]
    disk.fail = None
    assert codes(office.deliver(b"after\r\n", alice)) == [250]
    assert len(office.letters(alice)) == answers.count([250]) + 1


def test_somebody_else_keeps_the_store(office, alice, monkeypatch):
    """A writer who keeps the database makes letters wait, and then try later; no doubt arises."""
    other = apsw.Connection(str(office.path))
    other.execute("BEGIN IMMEDIATE")
    office.ledger._writer._db.set_busy_timeout(1)
    (outcome,) = office.deliver(b"first\r\n", alice)
    assert "somebody else" in outcome.reason
    assert office.ledger._writer._db is not None
    other.execute("ROLLBACK")
    other.close()
    assert codes(office.deliver(b"second\r\n", alice)) == [250]
