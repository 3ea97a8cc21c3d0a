"""The sweeper takes away what every view has let go of, and gives the disk back."""

import os

import pytest

from mailpost.store import sweeper
from mailpost.store.delivery import ROW
from mailpost.store.locks import LockFile
from mailpost.store.sweeper import AGAIN, LATER, PAUSE, SLICE, SOON

from .conftest import Office, now


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """An office whose sweeper is at work, and keeps no pages."""
    monkeypatch.setattr(sweeper, "KEEP_PAGES", 0)
    monkeypatch.setattr(sweeper, "KEEP_SHARE", 0)
    office = Office(tmp_path / "mail.db")
    office.store.sweeper.start()
    sweep(office)
    yield office
    office.store.close()


def sweep(office):
    """Let the sweeper do all it wants to."""
    office.clock.advance(SOON)
    while office.turn() or office.ledger._waiting:
        pass
    for _ in range(2000):
        office.clock.advance(PAUSE)
        if not office.ledger.turn() and office.store.sweeper._sweeping is None:
            return


def counts(office):
    tables = ("entry", "letter", "body", "exception")
    return [office.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


def parcel_files(office):
    return sorted(path.name for path in office.path.with_name("mail.db.parcels").iterdir())


def test_letters_are_taken_away(swept):
    """What a session let go of is gone from the disk soon after, what it left is there."""
    alice = swept.accounts.add("alice", None)
    for n in range(5):
        swept.deliver(b"%d\r\n" % n, alice)
    swept.let_go(alice, 0, 1, 3)
    assert counts(swept) == [5, 5, 5, 1]
    sweep(swept)
    assert counts(swept) == [2, 2, 2, 0]
    assert [letter[-3:] for letter in swept.letters(alice)] == [b"2\r\n", b"4\r\n"]
    assert swept.rows("SELECT letters, octets FROM maildrop WHERE letters > 0") == [(2, 40)]


def test_a_letter_lives_as_long_as_a_copy(swept):
    """A letter for two is kept until both have let go of it, its parcel too."""
    alice, bob = (swept.accounts.add(name, None) for name in ("alice", "bob"))
    swept.deliver(b"x" * (ROW + 1), alice, bob)
    swept.deliver(b"x\r\n", alice, alice, bob)
    swept.let_go(alice, 0, 1, 2)
    sweep(swept)
    assert counts(swept) == [2, 2, 1, 0]
    assert len(parcel_files(swept)) == 1
    assert len(swept.letters(bob)) == 2
    swept.let_go(bob, 0, 1)
    sweep(swept)
    assert counts(swept) == [0, 0, 0, 0]
    assert parcel_files(swept) == []


def test_a_letter_stays_while_a_view_has_it(swept):
    """A letter leaves the maildrop only when every view has let go of it."""
    alice = swept.accounts.add("alice", None)
    for n in range(4):
        swept.deliver(b"%d\r\n" % n, alice)
    writer = swept.ledger._writer._db
    second = writer.execute(
        "INSERT INTO view (maildrop, floor) VALUES (?, 0) RETURNING view", (alice.maildrop,)
    ).get
    swept.let_go(alice, 0, 2, 3)
    sweep(swept)
    assert counts(swept)[0] == 4
    writer.execute("INSERT INTO exception VALUES (?, 3)", (second,))
    writer.execute("UPDATE view SET floor = 1 WHERE view = ?", (second,))
    swept.store.sweeper.let_go(alice.maildrop)
    sweep(swept)
    assert [number for (number,) in swept.rows("SELECT number FROM entry")] == [2, 4]
    assert swept.rows("SELECT view, number FROM exception") == [(alice.view, 4)]


def test_small_slices(swept, monkeypatch):
    """Many letters are taken away slice by slice, so that no letter waits long behind them."""
    alice = swept.accounts.add("alice", None)
    letters = 2 * SLICE + 10
    for _ in range(letters):
        swept.commit(b"x\r\n", alice)
    swept.turn()
    swept.let_go(alice, *range(letters))
    left = [letters]
    swept.clock.advance(SOON)
    while left[-1]:
        swept.turn()
        left.append(counts(swept)[0])
        swept.clock.advance(PAUSE)
    assert left == [letters, SLICE + 10, 10, 0]


def test_disk_is_given_back(swept):
    """When nearly all letters are gone, so is nearly all of the file."""
    alice = swept.accounts.add("alice", None)
    for _ in range(100):
        swept.deliver(os.urandom(ROW), alice)
    sweep(swept)
    full = swept.path.stat().st_size + swept.path.with_name("mail.db-wal").stat().st_size
    assert full > 100 * ROW
    swept.let_go(alice, *range(100))
    sweep(swept)
    assert swept.path.stat().st_size < 300_000
    assert swept.path.with_name("mail.db-wal").stat().st_size == 0


def test_some_pages_are_kept(tmp_path, monkeypatch):
    """Pages that the next letters will fill are kept, unless the disk is short."""
    monkeypatch.setattr(sweeper, "KEEP_PAGES", 200)
    office = Office(tmp_path / "mail.db")
    alice = office.accounts.add("alice", None)
    for _ in range(40):
        office.deliver(os.urandom(ROW), alice)
    office.let_go(alice, *range(40))
    office.store.sweeper.start()
    sweep(office)
    assert office.rows("PRAGMA freelist_count") == [(200,)]
    office.store.space.reserve = 1 << 62
    office.clock.advance(AGAIN)
    sweep(office)
    assert office.rows("PRAGMA freelist_count") == [(0,)]
    office.store.close()


def test_litter_of_others_is_found(tmp_path):
    """What a crash, another process or a removed account left is found at the start."""
    office = Office(tmp_path / "mail.db")
    alice, bob, carol = (office.accounts.add(name, None) for name in ("alice", "bob", "carol"))
    office.deliver(b"x\r\n", alice, bob, carol)
    office.deliver(b"x\r\n", carol)
    office.let_go(alice, 0)
    office.let_go(carol, 1)
    office.accounts.remove("bob")
    office.restart()
    office.store.sweeper.start()
    sweep(office)
    assert office.rows("SELECT maildrop, number FROM entry") == [(carol.maildrop, 1)]
    assert counts(office) == [1, 1, 1, 0]
    assert office.rows("SELECT count(*) FROM maildrop WHERE maildrop = ?", bob.maildrop) == [(0,)]
    office.store.close()


def test_litter_is_looked_for_again(swept):
    """An account that is removed while the office is open is swept within the hour."""
    bob = swept.accounts.add("bob", None)
    swept.deliver(b"x\r\n", bob)
    swept.accounts.remove("bob")
    swept.clock.advance(AGAIN)
    sweep(swept)
    assert counts(swept) == [0, 0, 0, 0]


def test_orphans(office, alice):
    """Parcels that nobody names go if their process is dead, never those of a live one."""
    office.deliver(b"x" * (ROW + 1), alice)
    folder = office.path.with_name("mail.db.parcels")
    (named,) = folder.iterdir()
    other = LockFile(office.path.with_name("mail.db.locks"))
    for name in ("deadbeef-1", "deadbeef-2.tmp", f"{other.token}-1", f"{other.token}-2.tmp"):
        (folder / name).write_bytes(b"")
    office.restart()
    assert sorted(office.store.sweeper.remove_orphans()) == ["deadbeef-1", "deadbeef-2.tmp"]
    assert len(parcel_files(office)) == 3
    other.close()
    office.store.sweeper.remove_orphans()
    assert parcel_files(office) == [named.name]
    assert len(office.letters(alice)) == 1


def test_sweeper_tries_again(swept, monkeypatch):
    """Where sweeping fails it is tried again later; nothing is lost by it."""
    alice = swept.accounts.add("alice", None)
    swept.deliver(b"x\r\n", alice)
    swept.let_go(alice, 0)
    monkeypatch.setattr(swept.ledger, "_limit", 0)
    swept.clock.advance(SOON)
    monkeypatch.undo()
    assert counts(swept)[0] == 1
    swept.clock.advance(LATER)
    sweep(swept)
    assert counts(swept) == [0, 0, 0, 0]


def test_stopped_sweeper_leaves_no_call(swept):
    """A closed store has nothing left to do."""
    alice = swept.accounts.add("alice", None)
    swept.deliver(b"x\r\n", alice)
    swept.let_go(alice, 0)
    swept.store.close()
    assert swept.clock.getDelayedCalls() == []
    assert now(swept.store.accounts._locks.close()) is None


def test_search_goes_on_while_sweeping(swept):
    """A search that falls due while there is sweeping to do is left out, and the next is made."""
    bob = swept.accounts.add("bob", None)
    swept.deliver(b"x\r\n", bob)
    swept.let_go(bob, 0)
    swept.clock.advance(SOON)
    assert swept.store.sweeper._sweeping is not None
    swept.clock.advance(AGAIN)
    sweep(swept)
    swept.deliver(b"x\r\n", bob)
    swept.accounts.remove("bob")
    swept.clock.advance(AGAIN)
    sweep(swept)
    assert counts(swept) == [0, 0, 0, 0]


def test_a_search_among_exceptions_grows_with_one_view_s(swept):
    """Ten devices that have let go of nearly all keep the ledger as briefly as one: others wait for it."""
    alice = swept.accounts.add("alice", None)
    views = [alice.view]
    for n in range(10):
        device = swept.store.devices.add(alice, f"device{n}", digest=b"")
        views.append(device.view)
    swept.open(alice).close()
    swept.turn()
    numbers = range(2, 1100)
    db = swept.ledger._writer._db
    with db:  # every letter is still shown in one view of the eleven
        db.executemany(
            "INSERT INTO entry (maildrop, number, letter, octets, arrived, postmark)"
            " VALUES (?, ?, ?, 1, 1, x'')",
            [(alice.maildrop, number, number) for number in (1, *numbers)],
        )
        db.executemany(
            "INSERT INTO exception VALUES (?, ?)",
            [(v, n) for at, v in enumerate(views) for n in numbers if (n + at) % 11],
        )
    looks = []
    db.set_progress_handler(lambda: bool(looks.append(0)), 1000)  # steps of SQLite's machine
    swept.store.sweeper.let_go(alice.maildrop)
    sweep(swept)
    assert counts(swept)[0] == len(numbers) + 1
    assert 0 < len(looks) < 400
