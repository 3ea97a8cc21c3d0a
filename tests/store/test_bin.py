"""What is deleted waits in the bin, and can come back."""

import pytest

from mailpost.outcome import LetterGone, TemporaryFailure
from mailpost.store import NoSuchName, sweeper
from mailpost.store.bin import SLICE
from mailpost.store.delivery import ROW
from mailpost.store.lapsing import DAY
from mailpost.store.space import FRESH
from mailpost.store.sweeper import LATER

from .conftest import Office, now
from .test_lapsing import add, collect, jump, letters, pass_days
from .test_sweeper import counts, parcel_files, sweep

BIN = 7 * DAY


@pytest.fixture
def office(tmp_path, monkeypatch):
    """An office whose sweeper is at work, and whose clock is believed."""
    monkeypatch.setattr(sweeper, "AGAIN", DAY // 2)
    office = Office(tmp_path / "mail.db", bin_keeps=BIN)
    office.store.sweeper.start()
    sweep(office)
    pass_days(office, 4)
    yield office
    office.store.close()


@pytest.fixture
def five(office, alice):
    """An account with five letters; the third is a parcel."""
    for n in range(5):
        office.deliver(b"%d\r\n" % n if n != 2 else b"x" * ROW + b"\r\n2\r\n", alice)
    return alice


def binned(office):
    return [number for (number,) in office.rows("SELECT number FROM bin ORDER BY number")]


def uidls(office, account):
    snapshot = office.open(account)
    found = [snapshot.uidl(n) for n in range(len(snapshot.sizes))]
    snapshot.close()
    return found


def test_deleted_letters_come_back(office, five):
    """Under new unique-ids, octet for octet, in their order, once; and they count again."""
    before = office.letters(five), uidls(office, five)
    counted = office.rows("SELECT letters, octets FROM maildrop WHERE maildrop = ?", five.maildrop)
    collect(office, five)
    assert (letters(office), binned(office)) == ([], [1, 2, 3, 4, 5])
    assert office.rows(
        "SELECT letters, octets FROM maildrop WHERE maildrop = ?", five.maildrop
    ) == [(0, 0)]
    assert len(parcel_files(office)) == 1
    assert office.store.bin.undelete(five) == 5
    assert (letters(office), binned(office)) == ([6, 7, 8, 9, 10], [])
    assert office.letters(five) == before[0]
    assert not set(uidls(office, five)) & set(before[1])
    assert (
        office.rows("SELECT letters, octets FROM maildrop WHERE maildrop = ?", five.maildrop)
        == counted
    )
    assert office.store.bin.undelete(five) == 0
    office.deliver(b"new\r\n", five)
    assert letters(office)[-1] == 11


def test_every_device_fetches_what_is_back(office, five):
    """Whoever has let go of it sees it anew; also one that had lapsed, or began later."""
    phone = add(office, five, "phone")
    collect(office, five)
    collect(office, five, phone)
    assert binned(office) == [1, 2, 3, 4, 5]
    late = add(office, five, "late", since=None)
    office.store.bin.undelete(five)
    for device in (None, phone, late):
        assert collect(office, five, device) == [b"0", b"1", b"2", b"3", b"4"]


def test_since(office, five):
    """Only what was deleted from a moment on."""
    collect(office, five, gone=[0, 1])
    office.clock.advance(DAY)
    since = int(office.clock.seconds())
    collect(office, five, gone=[1])
    assert [one.number for one in office.store.bin.of(five, since)] == [4]
    assert [one.number for one in office.store.bin.of(five)] == [1, 2, 4]
    assert office.store.bin.undelete(five, since) == 1
    assert (letters(office), binned(office)) == ([3, 5, 6], [1, 2])


def test_the_bin_is_emptied_in_time(office, five):
    """What has lain there for seven days is gone for good, its parcel too."""
    collect(office, five)
    pass_days(office, 6)
    assert len(binned(office)) == 5
    pass_days(office, 2)
    assert counts(office)[:3] == [0, 0, 0]
    assert parcel_files(office) == []
    assert office.store.bin.undelete(five) == 0


def test_a_letter_in_two_bins(office, alice, bob):
    """It lives as long as anybody has it, in a maildrop or in the bin."""
    office.deliver(b"x" * (ROW + 1), alice, bob)
    collect(office, alice)
    office.store.bin.undelete(alice)
    collect(office, alice)
    pass_days(office, 8)
    assert (binned(office), letters(office)) == ([], [1])
    assert len(parcel_files(office)) == 1
    collect(office, bob)
    office.store.bin.undelete(bob)
    assert len(office.letters(bob)) == 1
    collect(office, bob)
    pass_days(office, 8)
    assert counts(office)[:2] == [0, 0]
    assert parcel_files(office) == []


@pytest.mark.parametrize("seconds", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps_empties_nothing(office, five, seconds):
    """For three days after it nothing is taken out by its age."""
    collect(office, five)
    jump(office, seconds)
    pass_days(office, 2)
    assert len(binned(office)) == 5
    assert office.store.bin.undelete(five) == 5


def test_an_office_that_is_closed_at_weekends(office, five):
    """It has the days between to empty its bin."""
    collect(office, five)
    for _ in range(2):
        office.store.close()
        jump(office, 2 * DAY)
        office.open_store()
        office.store.sweeper.start()
        sweep(office)
        assert len(binned(office)) == 5
        pass_days(office, 4)
    assert binned(office) == []


def test_an_account_that_is_removed_leaves_nothing(office, five, bob):
    """Its letters go at once, and do not wait in the bin; nor do those that waited there already."""
    collect(office, five, gone=[0, 1])
    office.deliver(b"bob's\r\n", bob)
    collect(office, bob)
    office.accounts.remove("alice")
    with pytest.raises(NoSuchName):
        office.store.bin.undelete(five)
    office.store.sweeper.search()
    sweep(office)
    assert office.rows("SELECT maildrop FROM bin") == [(bob.maildrop,)]
    assert counts(office)[:3] == [0, 1, 1]
    assert parcel_files(office) == []
    assert office.rows("SELECT count(*) FROM maildrop WHERE maildrop = ?", five.maildrop) == [(0,)]


def test_no_bin(tmp_path, five, office):
    """With 0 days there is none, and what an earlier setting left there goes."""
    collect(office, five, gone=[0])
    office.settings["bin_keeps"] = 0
    office.restart()
    office.store.sweeper.start()
    sweep(office)
    assert binned(office) == []
    collect(office, five)
    assert counts(office)[:3] == [0, 0, 0]


def test_a_short_disk_empties_the_bin(office, five, monkeypatch, log):
    """The oldest first, as far as need be, so that letters come in again; it is told once."""
    monkeypatch.setattr(sweeper, "SLICE", 2)
    collect(office, five)
    space, delivery = office.store.space, office.store.delivery
    free = [0, space.reserve * 3 // 2, 1 << 40]  # after two slices there is room
    monkeypatch.setattr(space, "free", lambda: free[len(free) - 1 - len(binned(office)) // 2])
    office.clock.advance(FRESH)
    assert not delivery.has_room()
    assert not delivery.has_room()
    sweep(office)
    assert binned(office) == [5]
    assert delivery.has_room()
    assert office.store.sweeper._sweeping is None
    told = "the disk is short: 4 letters were taken out of the bin early"
    assert log.lines("the disk is short") == [told]


def test_room_is_made_in_time(office, five, monkeypatch):
    """It begins before the reserve is touched, so that nobody need be put off."""
    collect(office, five)
    reserve = office.store.space.reserve
    monkeypatch.setattr(office.store.space, "free", lambda: reserve * 9 // 8)
    office.clock.advance(FRESH)
    assert office.store.delivery.has_room()
    sweep(office)
    assert binned(office) == []


def test_an_empty_bin_is_not_emptied_again_and_again(office, five, monkeypatch):
    """Whoever asks while the disk is short costs no write each time."""
    collect(office, five)
    monkeypatch.setattr(office.store.space, "free", lambda: 0)
    office.clock.advance(FRESH)
    assert not office.store.delivery.has_room()
    sweep(office)
    assert binned(office) == []
    for _ in range(3):
        assert not office.store.delivery.has_room()
        assert office.store.sweeper._sweeping is None
    office.clock.advance(LATER)
    assert not office.store.delivery.has_room()
    assert office.store.sweeper._sweeping is not None
    sweep(office)


def test_what_comes_into_an_empty_bin_makes_room_at_once(office, five, monkeypatch):
    """That there was nothing in it a moment ago puts nobody off."""
    monkeypatch.setattr(office.store.space, "free", lambda: 0)
    office.clock.advance(FRESH)
    assert not office.store.delivery.has_room()
    sweep(office)
    collect(office, five)
    assert binned(office) != []
    assert not office.store.delivery.has_room()
    sweep(office)
    assert binned(office) == []


def test_room_is_made_after_a_sweep(office, five, monkeypatch):
    """Where the sweeper is at work already it comes to it then."""
    collect(office, five, gone=[0, 1, 2])
    monkeypatch.setattr(office.store.space, "free", lambda: 0)
    office.clock.advance(FRESH)
    office.store.sweeper.search()
    assert office.store.sweeper._sweeping is not None
    assert not office.store.delivery.has_room()
    sweep(office)
    assert binned(office) == []


def test_a_session_fetches_what_has_gone_meanwhile(office, five):
    """What it has listed it can have, out of the bin; and it is told what it cannot."""
    phone = add(office, five, "phone", since=0)
    snapshot = now(office.store.maildrop(five, phone.view).open())
    office.turn()
    bodies = [office.fetch(snapshot, n) for n in range(5)]
    office.ledger._writer._db.execute("UPDATE view SET floor = 5")
    office.store.sweeper.let_go(five.maildrop)
    sweep(office)
    assert letters(office) == []
    assert [office.fetch(snapshot, n) for n in (2, 0, 1, 4, 3)] == [
        bodies[n] for n in (2, 0, 1, 4, 3)
    ]
    office.ledger._writer._db.execute("DELETE FROM bin WHERE number > 2")
    assert office.fetch(snapshot, 1) == bodies[1]
    for index in (2, 3):
        with pytest.raises(LetterGone):
            office.fetch(snapshot, index)
    going = snapshot.let_go([1, 3])
    office.turn()
    now(going)
    snapshot.close()
    assert office.rows("SELECT count(*) FROM exception") == [(0,)]


def test_many_come_back_in_slices(office, alice):
    """Each is a transaction; the rest waits for the next."""
    count = 2 * SLICE + 3
    for n in range(count):
        office.commit(b"%d\r\n" % n, alice)
    office.turn()
    collect(office, alice)
    while letters(office):
        sweep(office)
    assert office.store.bin.undelete(alice) == count
    assert [letter.split(b"\r\n")[-2] for letter in office.letters(alice)] == [
        b"%d" % n for n in range(count)
    ]


def test_a_slice_that_fails_is_in_the_bin_still(office, five, monkeypatch):
    """Whatever happens within a slice, a letter is in one of the two places."""
    collect(office, five)
    office.ledger._writer._db.execute(
        "CREATE TEMP TRIGGER fails BEFORE DELETE ON main.bin BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(Exception, match="no"):
        office.store.bin.undelete(five)
    assert (letters(office), binned(office)) == ([], [1, 2, 3, 4, 5])


def test_the_head_of_a_letter(office, five):
    """What people know it by, out of a row or of a parcel."""
    found = office.rows("SELECT letter FROM entry ORDER BY number")
    assert [office.store.head(letter)[:3] for (letter,) in found] == [
        b"0\r\n",
        b"1\r\n",
        b"xxx",
        b"3\r\n",
        b"4\r\n",
    ]
    assert len(office.store.head(found[2][0])) == 16 * 1024
    assert office.store.head(99) == b""


def test_what_was_taken_out_early_is_told_even_if_it_ends_badly(office, five, monkeypatch, log):
    """The owner learns what can no longer come back, also where the disk was too full to go on."""
    monkeypatch.setattr(sweeper, "SLICE", 2)
    collect(office, five)
    monkeypatch.setattr(office.store.space, "free", lambda: 0)

    async def full():
        raise TemporaryFailure("the disk is full")

    monkeypatch.setattr(office.store.sweeper, "_give_back", full)
    office.clock.advance(FRESH)
    assert not office.store.delivery.has_room()
    sweep(office)
    assert binned(office) == [3, 4, 5]
    told = "the disk is short: 2 letters were taken out of the bin early"
    assert log.lines("the disk is short") == [told]
