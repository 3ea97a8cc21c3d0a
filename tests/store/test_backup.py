"""Backups: written while the office works, verified, restored."""

from __future__ import annotations

import errno
import json
import os
import re

import apsw
import pytest

from mailpost.outcome import TemporaryFailure
from mailpost.store import backup
from mailpost.store.delivery import ROW
from mailpost.store.errors import NoSuchName, UnusableStore
from mailpost.store.locks import BACKUP, LockFile
from mailpost.store.restore import octets_of, restore, restore_letters
from mailpost.store.sweeper import LATER, PAUSE, SOON
from mailpost.store.verify import verify

from .conftest import Office

LARGE = b"x" * ROW + b"\r\n"


def nothing(done, of):
    pass


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backup"


@pytest.fixture
def make_restored(tmp_path, folder):
    """An office made of what is in the folder."""
    made = []

    def make(name="restored.db"):
        restore(folder, tmp_path / name)
        made.append(Office(tmp_path / name, create=False))
        return made[-1]

    yield make
    for office in made:
        office.store.close()


def told(office, account):
    snapshot = office.open(account)
    try:
        return [
            (snapshot.uidl(index), office.fetch(snapshot, index))
            for index in range(len(snapshot.sizes))
        ]
    finally:
        snapshot.close()


def sweep(office):
    """Let the sweeper do what it has to."""
    office.clock.advance(SOON)
    for _ in range(30):
        office.turn()
        office.clock.advance(PAUSE)


def parcels(place):
    return sorted(path.name for path in place.iterdir())


def test_the_whole_way(office, alice, bob, folder, make_restored):
    """Letters, accounts and unique-ids come back; what comes then has a unique-id that nothing had."""
    office.deliver(b"1\r\n", alice, bob)
    office.deliver(LARGE, alice)
    office.deliver(b"3\r\n", alice)
    office.let_go(alice, 2)
    steps = []
    manifest = office.store.back_up(folder, lambda *step: steps.append(step))
    assert (manifest.letters, manifest.parcels, manifest.accounts) == (3, 1, 3)
    assert steps[-1][0] == steps[-1][1]
    assert verify(folder).faults == []
    office.deliver(b"after\r\n", alice)
    before = told(office, alice)

    restored = make_restored()
    found = restored.accounts.find("alice")
    assert told(restored, found) == before[:2]
    restored.deliver(b"new\r\n", found)
    assert told(restored, found)[2][0] not in {uidl for uidl, _ in before}
    assert told(restored, restored.accounts.find("bob")) == told(office, bob)
    modes = {path.stat().st_mode & 0o077 for path in folder.rglob("*")}
    modes |= {path.stat().st_mode & 0o077 for path in restored.path.parent.glob("restored.db*")}
    assert modes == {0}


def test_it_is_of_one_moment(office, alice, folder, make_restored, monkeypatch):
    """What comes while the database is copied is not in it, and does not have it begun anew."""
    for n in range(40):
        office.deliver(b"%d\r\n" % n + b"x" * 4000 + b"\r\n", alice)
    monkeypatch.setattr(backup, "PAGES", 10)
    steps = []

    def meanwhile(done, of):
        steps.append(done)
        office.deliver(b"late\r\n" * 500, alice)

    office.store.back_up(folder, meanwhile)
    assert steps == sorted(steps)
    assert len(steps) > 3
    restored = make_restored()
    assert len(restored.letters(restored.accounts.find("alice"))) == 40
    assert len(office.letters(alice)) == 40 + len(steps)


def test_a_parcel_that_is_let_go_of_meanwhile(office, alice, folder, make_restored):
    """It stays until it is copied; then the sweeper takes it."""
    office.store.sweeper.start()
    office.deliver(LARGE, alice)
    place = office.path.with_name("mail.db.parcels")
    swept = []

    def meanwhile(done, of):
        if not swept:
            swept.append(True)
            office.let_go(alice, 0)
            sweep(office)
            assert office.rows("SELECT count(*) FROM letter") == [(0,)]
            assert len(parcels(place)) == 1

    office.store.back_up(folder, meanwhile)
    assert swept
    assert verify(folder).faults == []
    office.clock.advance(LATER)
    sweep(office)
    assert parcels(place) == []
    restored = make_restored()
    assert restored.letters(restored.accounts.find("alice"))[0].endswith(LARGE)


def test_parcels_that_a_crash_has_left(office, folder, monkeypatch):
    """They are not removed either while another process writes a backup."""
    stray = office.path.with_name("mail.db.parcels") / "123-1"
    stray.write_bytes(b"x")
    other = LockFile(office.path.with_name("mail.db.locks"))
    assert other.take(BACKUP)
    office.store.sweeper.remove_orphans()
    assert stray.exists()
    monkeypatch.setattr(backup, "TRIES", 1)
    with pytest.raises(TemporaryFailure, match="another backup"):
        office.store.back_up(folder, nothing)
    other.close()
    office.store.sweeper.remove_orphans()
    assert not stray.exists()


def test_again_into_the_same_folder(office, alice, folder):
    """Parcels that are there are left as they are; what is gone goes; what was broken off is cleared away."""
    office.deliver(LARGE, alice)
    office.deliver(LARGE + b"2", alice)
    first = office.store.back_up(folder, nothing)
    names = parcels(folder / "parcels")
    office.let_go(alice, 0)
    office.store.sweeper.start()
    sweep(office)
    office.deliver(LARGE + b"3", alice)
    (folder / "mailpost-20000101T000000000000.db").write_bytes(b"broken off")
    (folder / "parcels" / "x.new").write_bytes(b"broken off")
    inodes = {path.name: path.stat().st_ctime_ns for path in (folder / "parcels").iterdir()}
    second = office.store.back_up(folder, nothing)
    assert second.database != first.database
    left = parcels(folder / "parcels")
    assert left[0] == names[1]
    assert len(left) == 2
    assert (folder / "parcels" / left[0]).stat().st_ctime_ns == inodes[left[0]]
    assert parcels(folder) == sorted([second.database, "manifest.json", "parcels"])
    assert verify(folder).faults == []


def test_a_backup_that_is_broken_off(office, alice, folder, make_restored):
    """The one before is there still, and whole."""
    office.deliver(LARGE, alice)
    office.store.back_up(folder, nothing)
    office.deliver(LARGE, alice)

    def stop(done, of):
        if done == of:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office.store.back_up(folder, stop)
    assert verify(folder).faults == []
    restored = make_restored()
    assert len(restored.letters(restored.accounts.find("alice"))) == 1


@pytest.mark.parametrize("trouble", backup.NO_LINK)
def test_on_another_disk(office, alice, folder, make_restored, monkeypatch, trouble):
    """Where a file cannot be linked it is copied, both ways."""
    office.deliver(LARGE, alice)
    link = os.link

    def refuse(source, target):
        if "parcels" in str(target):
            raise OSError(trouble, os.strerror(trouble))
        link(source, target)

    monkeypatch.setattr(os, "link", refuse)
    office.store.back_up(folder, nothing)
    (copy,) = (folder / "parcels").iterdir()
    assert copy.stat().st_nlink == 1
    assert verify(folder).faults == []
    restored = make_restored()
    assert restored.letters(restored.accounts.find("alice")) == office.letters(alice)


def test_a_disk_that_fails(office, alice, folder, monkeypatch):
    """Any other trouble is told, and nothing of it is left but the folder."""
    office.deliver(LARGE, alice)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        office.store.back_up(folder, nothing)
    assert parcels(folder) == ["parcels"]


def test_a_folder_of_something_else(office, folder):
    """It is not written to."""
    folder.mkdir()
    (folder / "notes").write_text("mine")
    with pytest.raises(UnusableStore, match="neither empty nor a backup"):
        office.store.back_up(folder, nothing)
    assert parcels(folder) == ["notes"]


def spoil_database(folder, statement):
    """Change a backup's database so that its digest does not tell."""
    manifest = json.loads((folder / "manifest.json").read_text())
    path = folder / manifest["database"]
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=DELETE").fetchall()
    db.execute(statement)
    db.close()
    manifest["digest"] = backup.digest_of(path).hex()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE body SET octets = x'310d0b'", r"letter 1 is not as it came"),
        ("DELETE FROM body", r"letter 1 is not as it came"),
        ("DELETE FROM letter WHERE parcel IS NULL", r"letter 1 of maildrop 2 is not as long"),
        ("UPDATE entry SET octets = octets + 1", r"letter 1 of maildrop 2 is not as long"),
        ("INSERT INTO letter VALUES (9, '', NULL, 0, 0, 1, NULL, x'')", r"there are 3 letters"),
        ("DROP TABLE letter", r"cannot be read: .*no such table"),
    ],
)
def test_a_database_that_is_damaged(office, alice, folder, statement, fault):
    """Each letter is looked at."""
    office.deliver(b"1\r\n", alice)
    office.deliver(LARGE, alice)
    office.store.back_up(folder, nothing)
    spoil_database(folder, statement)
    assert any(re.search(fault, line) for line in verify(folder).faults)


def test_files_that_are_damaged(office, alice, folder):
    """An octet of the database, a parcel, a file that is missing."""
    office.deliver(LARGE, alice)
    manifest = office.store.back_up(folder, nothing)
    database = folder / manifest.database
    whole = bytearray(database.read_bytes())
    whole[whole.rindex(bytes(200)) + 100] ^= 1  # in a page's unused middle
    database.write_bytes(whole)
    (name,) = parcels(folder / "parcels")
    (folder / "parcels" / name).unlink()
    (folder / "parcels" / name).write_bytes(LARGE[:-2] + b"\r\r")
    assert verify(folder).faults == [
        f"{database} is not as it was written",
        f"parcel {name} is not as it came",
    ]
    (folder / "parcels" / name).unlink()
    assert verify(folder).faults[1:] == [f"parcel {name} is missing"]
    database.unlink()
    assert verify(folder).faults == [f"{database} is missing"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no backup"),
        ("{", "is damaged"),
        ('{"format": 1}', "is damaged"),
        ('{"format": 2}', "newer mailpost"),
        ("[]", "is damaged"),
    ],
)
def test_no_backup(folder, text, said):
    """It is said what is wrong."""
    folder.mkdir()
    if text is not None:
        (folder / "manifest.json").write_text(text)
    with pytest.raises(UnusableStore, match=said):
        verify(folder)


@pytest.mark.parametrize("name", ["", "-wal", "-shm", ".parcels"])
def test_nothing_is_overwritten(office, alice, folder, tmp_path, name):
    """Not even what an old store has left beside its place."""
    office.deliver(LARGE, alice)
    office.store.back_up(folder, nothing)
    there = tmp_path / f"new.db{name}"
    if name == ".parcels":
        there.mkdir()
        (there / "old").write_bytes(b"x")
    else:
        there.write_bytes(b"x")
    with pytest.raises(UnusableStore, match="exists already: restore into an empty place"):
        restore(folder, tmp_path / "new.db")
    assert parcels(tmp_path).count(f"new.db{name}") == 1
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]


def test_a_restore_that_is_broken_off(office, alice, folder, tmp_path, make_restored):
    """No store is there then, and the same command makes it."""
    office.deliver(LARGE, alice)
    office.deliver(LARGE + b"2", alice)
    office.store.back_up(folder, nothing)

    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(folder, tmp_path / "restored.db", stop)
    assert not (tmp_path / "restored.db").exists()
    (tmp_path / "restored.db.0123.new").write_bytes(b"of one that was killed")
    restored = make_restored()
    assert len(restored.letters(restored.accounts.find("alice"))) == 2
    assert not list(tmp_path.glob("*.new"))


def test_letters_that_were_brought_are_known(office, alice, folder, make_restored):
    """A restored store still knows what was brought, and views what was let go of."""
    office.deliver(b"1\r\n", alice)
    office.deliver(b"2\r\n", alice)
    office.let_go(alice, 0)
    taken = office.store.bringing.take([b"x\r\n"], key=b"k", arrived=5, uidl="old")
    office.store.bringing.keep(alice.maildrop, [taken])
    office.store.back_up(folder, nothing)
    restored = make_restored()
    found = restored.accounts.find("alice")
    assert restored.store.bringing.known(found.maildrop) == {b"k"}
    assert [uidl for uidl, _ in told(restored, found)] == [told(office, alice)[0][0], b"old"]


def test_one_accounts_letters(office, alice, bob, folder):
    """Those that no view shows any more come back, once, as they were; the others are there."""
    for body in (b"1\r\n", b"no end", LARGE, b"4\r\n"):
        office.deliver(body, alice)
    office.deliver(b"bob's\r\n", bob)
    before = told(office, alice)
    office.store.back_up(folder, nothing)
    office.let_go(alice, 0, 1, 2)
    office.deliver(b"new\r\n", alice)
    assert octets_of(folder, "alice") == (4, sum(len(letter) for _, letter in before))
    steps = []
    back = restore_letters(folder, "alice", office.store.bringing, alice.maildrop, steps.append)
    assert (back.back, back.there, back.new_uidl, back.damaged) == (3, 1, 0, [])
    assert len(steps) == 4
    after = told(office, alice)
    assert after[0] == before[3]
    assert after[2:] == before[:3]
    again = restore_letters(folder, "alice", office.store.bringing, alice.maildrop, steps.append)
    assert (again.back, again.there) == (0, 4)
    assert len(told(office, bob)) == 1
    office.let_go(alice, 3)
    third = restore_letters(folder, "alice", office.store.bringing, alice.maildrop, steps.append)
    assert (third.back, third.there) == (1, 3)


def test_letters_that_are_damaged_in_the_backup(office, alice, folder):
    """They are left out, and named; the others come."""
    for body in (b"1\r\n", LARGE, LARGE + b"2", b"4\r\n"):
        office.deliver(body, alice)
    uidls = [uidl.decode() for uidl, _ in told(office, alice)]
    office.store.back_up(folder, nothing)
    first, second = parcels(folder / "parcels")
    (folder / "parcels" / first).unlink()
    (folder / "parcels" / second).unlink()
    (folder / "parcels" / second).write_bytes(b"other")
    spoil_database(folder, "UPDATE body SET octets = x'320d0a' WHERE letter = 1")
    office.let_go(alice, 0, 1, 2, 3)
    back = restore_letters(folder, "alice", office.store.bringing, alice.maildrop, lambda _: None)
    assert back.back == 1
    assert back.damaged == uidls[:3]


def test_an_account_that_is_new_again(office, alice, folder):
    """One that was removed and made anew gets its letters, with their unique-ids."""
    office.deliver(b"1\r\n", alice)
    before = told(office, alice)
    office.store.back_up(folder, nothing)
    office.accounts.remove("alice")
    anew = office.accounts.add("alice", None)
    restore_letters(folder, "alice", office.store.bringing, anew.maildrop, lambda _: None)
    assert told(office, anew) == before
    with pytest.raises(NoSuchName, match="no account carol in the backup"):
        octets_of(folder, "carol")
