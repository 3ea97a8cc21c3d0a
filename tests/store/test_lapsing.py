"""Which views live, and so hold letters."""

import pytest

from mailpost.store import Rights, sweeper
from mailpost.store.lapsing import DAY, LAPSE, WEEK

from .conftest import Office, now
from .test_sweeper import sweep


@pytest.fixture
def office(tmp_path, monkeypatch):
    """An office whose sweeper is at work, and looks around twice a day."""
    monkeypatch.setattr(sweeper, "AGAIN", DAY // 2)
    office = Office(tmp_path / "mail.db")
    office.store.sweeper.start()
    sweep(office)
    yield office
    office.store.close()


@pytest.fixture
def alice(office):
    return office.accounts.add("alice", None)


def add(office, account, name, **options):
    return office.store.devices.add(account, name, digest=b"", **options)


def collect(office, account, device=None, *, gone=None):
    """Open a view, let go of the letters of these indexes, or of all; the bodies that it showed."""
    snapshot = now(office.store.maildrop(account, device and device.view).open())
    office.turn()
    bodies = [office.fetch(snapshot, n).split(b"\r\n")[-2] for n in range(len(snapshot.sizes))]
    going = snapshot.let_go(range(len(bodies)) if gone is None else gone)
    office.turn()
    now(going)
    snapshot.close()
    sweep(office)
    return bodies


def pass_days(office, days):
    """Let an office run."""
    for _ in range(2 * days):
        office.clock.advance(DAY // 2)
        office.turn()
        sweep(office)


def jump(office, seconds):
    """Set the clock, without its calls."""
    office.clock.rightNow += seconds


def letters(office):
    return [number for (number,) in office.rows("SELECT number FROM entry ORDER BY number")]


def lapsed(office):
    return {one.device.name: one.lapsed for one in office.store.devices.all()}


def test_a_letter_stays_until_every_device_has_let_go_of_it(office, alice):
    """The phone's DELE is the phone's alone."""
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    for n in range(4):
        office.deliver(b"%d\r\n" % n, alice)
    assert collect(office, alice, phone) == [b"0", b"1", b"2", b"3"]
    assert letters(office) == [1, 2, 3, 4]
    assert collect(office, alice, desk, gone=[0, 2]) == [b"0", b"1", b"2", b"3"]
    assert letters(office) == [2, 4]
    assert collect(office, alice, desk) == [b"1", b"3"]
    assert letters(office) == []
    assert office.rows("SELECT letters, octets FROM maildrop WHERE maildrop = ?", 2) == [(0, 0)]


def test_the_main_password_holds_nothing_before_it_has_been_used(office, alice):
    """It counts from the first time it is used to collect."""
    phone = add(office, alice, "phone")
    office.deliver(b"1\r\n", alice)
    collect(office, alice, phone)
    assert letters(office) == []
    office.deliver(b"2\r\n", alice)
    assert collect(office, alice, gone=[]) == [b"2"]
    collect(office, alice, phone)
    assert letters(office) == [2]
    assert collect(office, alice) == [b"2"]
    assert letters(office) == []


def test_an_account_that_nobody_collects_from_keeps_its_letters(office, alice):
    """Without a view that lives, all of them hold."""
    office.deliver(b"1\r\n", alice)
    add(office, alice, "sender", rights=Rights.SUBMIT, since=None)
    sweep(office)
    pass_days(office, 1)
    assert letters(office) == [1]


def test_a_device_that_only_submits_holds_nothing(office, alice):
    """Nobody could ever collect through it."""
    add(office, alice, "sender", rights=Rights.SUBMIT)
    office.deliver(b"1\r\n", alice)
    collect(office, alice)
    assert letters(office) == []
    assert lapsed(office) == {"sender": False}


def test_a_removed_device_holds_nothing_back(office, alice):
    """Its letters go as soon as it is noticed."""
    phone, _ = add(office, alice, "phone"), add(office, alice, "desk")
    office.deliver(b"1\r\n", alice)
    collect(office, alice, phone)
    office.store.devices.remove(alice, "desk")
    office.store.sweeper.search()
    sweep(office)
    assert letters(office) == []


def test_a_device_that_is_away_for_long_lapses(office, alice, monkeypatch):
    """It holds nothing any more, and goes on from what is still there when it returns."""
    office.store.sweeper._lapse = 10 * DAY
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    for n in range(4):
        office.deliver(b"%d\r\n" % n, alice)
    collect(office, alice, desk, gone=[1])
    pass_days(office, 9)
    collect(office, alice, phone, gone=[0, 1])
    pass_days(office, 3)
    assert lapsed(office) == {"phone": False, "desk": True}
    assert letters(office) == [3, 4]
    assert office.rows("SELECT count(*) FROM exception") == [(0,)]
    assert collect(office, alice, desk, gone=[]) == [b"2", b"3"]
    assert lapsed(office) == {"phone": False, "desk": False}
    collect(office, alice, phone)
    assert letters(office) == [3, 4]


def test_a_device_in_use_does_not_lapse(office, alice):
    """Each opening counts, however little is done."""
    office.store.sweeper._lapse = 10 * DAY
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    for _ in range(5):
        pass_days(office, 4)
        collect(office, alice, phone, gone=[])
        collect(office, alice, desk, gone=[])
    assert lapsed(office) == {"phone": False, "desk": False}


@pytest.mark.parametrize("first", ["main password", "desk"])
def test_a_new_device_makes_no_other_lapse_at_once(office, alice, first):
    """Who was the only one, and away for long, keeps the letters that nobody else has seen."""
    office.store.sweeper._lapse = 10 * DAY
    desk = None if first == "main password" else add(office, alice, "desk")
    collect(office, alice, desk)
    office.deliver(b"1\r\n", alice)
    pass_days(office, 30)
    phone = add(office, alice, "phone", since=None)
    pass_days(office, 9)
    assert letters(office) == [1]
    collect(office, alice, phone)
    pass_days(office, 2)
    assert letters(office) == []


def test_the_only_view_never_lapses(office, alice):
    """Whoever was on a long journey finds all letters."""
    office.store.sweeper._lapse = 10 * DAY
    add(office, alice, "phone")
    office.deliver(b"1\r\n", alice)
    pass_days(office, 30)
    assert letters(office) == [1]
    assert lapsed(office) == {"phone": False}


def test_views_that_are_all_unused_do_not_lapse(office, alice):
    """One that lives and is in use must stay."""
    office.store.sweeper._lapse = 10 * DAY
    phone, _ = add(office, alice, "phone"), add(office, alice, "desk")
    office.deliver(b"1\r\n", alice)
    collect(office, alice, phone)
    pass_days(office, 30)
    assert letters(office) == [1]


def test_the_main_view_lapses_too(office, alice):
    """A main password that is used no more, since devices took its place, holds nothing back for ever."""
    office.store.sweeper._lapse = 10 * DAY
    collect(office, alice)
    phone = add(office, alice, "phone")
    office.deliver(b"1\r\n", alice)
    for _ in range(4):
        pass_days(office, 4)
        collect(office, alice, phone)
    assert letters(office) == []


def test_an_old_store_s_view_begins_to_be_counted(office, alice):
    """Where it is not known when a view was last opened it has all the time from now on."""
    office.store.sweeper._lapse = 10 * DAY
    office.ledger._writer._db.execute("UPDATE view SET living = 1, opened = NULL")
    phone = add(office, alice, "phone")
    office.deliver(b"1\r\n", alice)
    pass_days(office, 9)
    collect(office, alice, phone)
    assert letters(office) == [1]
    pass_days(office, 3)
    assert letters(office) == []


@pytest.mark.parametrize("seconds", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps_makes_nothing_lapse(office, alice, seconds):
    """For a week nothing lapses, so what is in use meanwhile is seen in time."""
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    pass_days(office, 8)
    office.deliver(b"1\r\n", alice)
    collect(office, alice, phone)
    jump(office, seconds)
    pass_days(office, 5)
    assert letters(office) == [1]
    collect(office, alice, desk, gone=[])
    pass_days(office, 5)
    assert letters(office) == [1]
    assert (
        lapsed(office) == {"phone": False, "desk": False}
        if seconds < 0
        else {
            "phone": True,
            "desk": False,
        }
    )


def test_an_office_that_was_closed_lets_nothing_lapse_at_once(office, alice):
    """Nobody could have collected: a week is given to come back."""
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    office.deliver(b"1\r\n", alice)
    office.store.close()
    jump(office, LAPSE + DAY)
    office.open_store()
    office.store.sweeper.start()
    sweep(office)
    collect(office, alice, phone)
    pass_days(office, 6)
    assert letters(office) == [1]
    assert WEEK == 7 * DAY
    pass_days(office, 2)
    assert letters(office) == []
    assert collect(office, alice, desk) == []
    assert lapsed(office) == {"phone": False, "desk": False}


def test_opened_is_written_once_a_day(office, alice):
    """A client that looks for mail each minute costs no write each time."""
    office.store.sweeper.stop()
    for wait, writes in ((0, 1), (60, 0), (DAY - 61, 0), (62, 1)):
        office.clock.advance(wait)
        snapshot = office.open(alice)
        assert office.ledger.turn() == writes
        snapshot.close()


def test_opening_needs_no_room_to_write(office, alice, monkeypatch):
    """Where it cannot be noted the maildrop is open all the same."""
    office.deliver(b"1\r\n", alice)
    monkeypatch.setattr(office.ledger, "_limit", 0)
    snapshot = office.open(alice)
    assert len(snapshot.sizes) == 1
    snapshot.close()


def test_quitting_after_the_device_was_removed(office, alice):
    """What a removed view lists is nothing to keep."""
    phone = add(office, alice, "phone")
    office.deliver(b"1\r\n", alice)
    office.deliver(b"2\r\n", alice)
    snapshot = office.store.maildrop(alice, phone.view).open()
    office.store.devices.remove(alice, "phone")
    going = snapshot.let_go([1])
    office.turn()
    now(going)
    snapshot.close()
    assert office.rows("SELECT count(*) FROM exception") == [(0,)]


# Of late ------------------------------------------------------------------------------------------


def test_lately(office, alice):
    """The last 30 days, whoever has collected them; nothing is locked, nothing let go of."""
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    office.deliver(b"old\r\n", alice)
    office.clock.advance(31 * DAY)
    office.deliver(b"new\r\n", alice)
    office.deliver(b"newer\r\n", alice)
    snapshot = now(office.store.maildrop(alice, phone.view).open())
    uidls = [snapshot.uidl(n) for n in range(3)]
    snapshot.close()
    collect(office, alice, phone)
    opened = [now(office.store.lately(alice).open()) for _ in range(2)]
    for lately in opened:
        assert [office.fetch(lately, n)[-6:] for n in (0, 1)] == [b"\nnew\r\n", b"ewer\r\n"]
        assert [lately.uidl(n) for n in (0, 1)] == uidls[1:]
        assert now(lately.let_go([0, 1])) is None
    sweep(office)
    assert letters(office) == [1, 2, 3]
    assert collect(office, alice, desk, gone=[]) == [b"old", b"new", b"newer"]
    for lately in opened:
        lately.close()


def test_lately_keeps_foreign_unique_ids(office, alice):
    """A letter brought from elsewhere has its own there too."""
    office.deliver(b"1\r\n", alice)
    office.ledger._writer._db.execute("UPDATE entry SET uidl = 'from-elsewhere'")
    assert now(office.store.lately(alice).open()).uidl(0) == b"from-elsewhere"
