"""Letters that go by themselves."""

import apsw
import pytest

from mailpost.retention import NEVER, Retention
from mailpost.store import sweeper
from mailpost.store.changes import INTERVAL
from mailpost.store.delivery import ROW
from mailpost.store.expiring import Expire, Expiry, portion
from mailpost.store.keeping import SLICE
from mailpost.store.lapsing import DAY

from .conftest import Office, now
from .test_bin import binned
from .test_lapsing import add, collect, jump, letters, pass_days
from .test_sweeper import parcel_files, sweep

TEN = Retention(10)
COLLECTED = Retention(10, collected=True)


def opened(path, retention, **settings):
    office = Office(path, bin_keeps=7 * DAY, retention=retention, **settings)
    office.store.sweeper.start()
    office.store._changes.start()
    sweep(office)
    pass_days(office, 4)
    return office


@pytest.fixture
def office(tmp_path, monkeypatch):
    """An office that keeps letters for ten days, looks twice a day, and believes its clock."""
    monkeypatch.setattr(sweeper, "AGAIN", DAY // 2)
    office = opened(tmp_path / "mail.db", TEN)
    yield office
    office.store.close()


@pytest.fixture
def patient(tmp_path, monkeypatch):
    """The same, but ten days after they were collected by all."""
    monkeypatch.setattr(sweeper, "AGAIN", DAY // 2)
    office = opened(tmp_path / "mail.db", COLLECTED)
    yield office
    office.store.close()


def fetch(office, account, device=None, given=None):
    """A session that fetches letters, and leaves them."""
    snapshot = now(office.store.maildrop(account, device and device.view).open())
    office.turn()
    marks = range(len(snapshot.sizes)) if given is None else given
    snapshot.given(bytearray(n in marks for n in range(len(snapshot.sizes))))
    snapshot.close()
    office.turn()


def set_retention(office, account, retention):
    office.store.keeping.set_retention(account, retention)
    office.clock.advance(INTERVAL)


# After their arrival ------------------------------------------------------------------------------


def test_so_many_days_after_they_came(office, alice, log):
    """Each by its own age; they wait in the bin, and come back from there for as long again."""
    office.deliver(b"1\r\n", alice)
    pass_days(office, 3)
    office.deliver(b"2\r\n", alice)
    pass_days(office, 6)
    assert letters(office) == [1, 2]
    pass_days(office, 2)
    assert (letters(office), binned(office)) == ([2], [1])
    assert log.lines("1 letters of maildrop") == [
        f"1 letters of maildrop {alice.maildrop} were kept for long enough: 10d"
    ]
    assert office.store.bin.undelete(alice) == 1
    pass_days(office, 9)
    assert letters(office) == [3]
    pass_days(office, 2)
    assert letters(office) == []


def test_whoever_has_them(office, alice):
    """Every device loses them, also one that has lapsed or never came."""
    phone, desk = add(office, alice, "phone"), add(office, alice, "desk")
    office.deliver(b"1\r\n", alice)
    collect(office, alice, phone, gone=[])
    pass_days(office, 11)
    for device in (None, phone, desk):
        assert collect(office, alice, device) == []
    assert office.rows("SELECT count(*) FROM fetched") == [(0,)]
    office.deliver(b"2\r\n", alice)
    assert collect(office, alice, desk, gone=[]) == [b"2"]


def test_exceptions_go_with_them(office, alice):
    """Nothing lists what is gone, and what stays is shown as before."""
    for n in range(4):
        office.deliver(b"%d\r\n" % n, alice)
        pass_days(office, 1)
    phone = add(office, alice, "phone")
    collect(office, alice, gone=[])
    collect(office, alice, phone, gone=[1, 3])
    pass_days(office, 7)
    assert letters(office) == [3, 4]
    assert office.rows("SELECT view, number FROM exception") == [(phone.view, 4)]
    assert collect(office, alice, phone, gone=[]) == [b"2"]


def test_a_retention_of_its_own(office, alice, bob):
    """Never, or other days, or again the office's."""
    carol = office.accounts.add("carol")
    for account in (alice, bob, carol):
        office.deliver(b"1\r\n", account)
    set_retention(office, alice, NEVER)
    set_retention(office, bob, Retention(2))
    pass_days(office, 3)
    assert office.rows("SELECT maildrop FROM entry") == [(alice.maildrop,), (carol.maildrop,)]
    pass_days(office, 9)
    assert office.rows("SELECT maildrop FROM entry") == [(alice.maildrop,)]
    rules = {one.account: one.retention for one in office.store.keeping.all()}
    assert rules == {"alice": NEVER, "bob": Retention(2), "carol": None, "postmaster": None}
    set_retention(office, alice, None)
    pass_days(office, 1)
    assert letters(office) == []


@pytest.mark.parametrize("seconds", [400 * DAY, -400 * DAY, 2 * DAY])
def test_a_clock_that_jumps_removes_nothing(office, alice, seconds):
    """For three days; by then somebody has looked at the clock."""
    office.deliver(b"1\r\n", alice)
    pass_days(office, 9)
    jump(office, seconds)
    pass_days(office, 2)
    assert letters(office) == [1]
    if seconds > 0:
        pass_days(office, 2)
        assert letters(office) == []


def test_without_a_bin(tmp_path, monkeypatch):
    """They are gone at once, their parcels too."""
    monkeypatch.setattr(sweeper, "AGAIN", DAY // 2)
    office = opened(tmp_path / "mail.db", TEN)
    office.settings["bin_keeps"] = 0
    office.restart()
    office.store.sweeper.start()
    sweep(office)
    alice = office.accounts.add("alice")
    office.deliver(b"x" * (ROW + 1), alice)
    pass_days(office, 11)
    assert (letters(office), binned(office), parcel_files(office)) == ([], [], [])
    office.store.close()


def test_in_slices(office, alice):
    """However many there are."""
    count = 2 * SLICE + 5
    for _ in range(count):
        office.commit(b"x\r\n", alice)
    office.turn()
    pass_days(office, 11)
    assert (letters(office), len(binned(office))) == ([], count)


def test_a_session_that_has_it_listed(office, alice):
    """It fetches what has gone meanwhile, and letting go of it is no mistake."""
    office.deliver(b"1\r\n", alice)
    pass_days(office, 9)
    office.deliver(b"2\r\n", alice)
    snapshot = office.open(alice)
    office.turn()
    pass_days(office, 2)
    assert letters(office) == [2]
    assert [office.fetch(snapshot, n)[-3:] for n in (0, 1)] == [b"1\r\n", b"2\r\n"]
    going = snapshot.let_go([0])
    office.turn()
    now(going)
    snapshot.close()
    assert collect(office, alice, gone=[]) == [b"2"]


# After they were collected ------------------------------------------------------------------------


def test_so_many_days_after_all_have_collected_them(patient, alice):
    """The last device counts; a letter that one of them has not fetched stays."""
    phone = add(patient, alice, "phone")
    patient.deliver(b"1\r\n", alice)
    patient.deliver(b"2\r\n", alice)
    fetch(patient, alice)
    pass_days(patient, 20)
    assert letters(patient) == [1, 2]
    fetch(patient, alice, phone, given=[0])
    pass_days(patient, 9)
    fetch(patient, alice)
    fetch(patient, alice, phone, given=[0])  # again: the first time counts
    assert letters(patient) == [1, 2]
    pass_days(patient, 2)
    assert letters(patient) == [2]


def test_letting_go_is_collecting(patient, alice):
    """Who deletes it has had it, from then on."""
    phone = add(patient, alice, "phone")
    patient.deliver(b"1\r\n", alice)
    fetch(patient, alice)
    pass_days(patient, 8)
    collect(patient, alice, phone)
    pass_days(patient, 9)
    assert letters(patient) == [1]
    pass_days(patient, 2)
    assert letters(patient) == []


def test_a_device_that_has_lapsed_is_not_waited_for(patient, alice):
    """Nor is the main password, if it was never used."""
    patient.store.sweeper._lapse = 15 * DAY
    phone, _ = add(patient, alice, "phone"), add(patient, alice, "desk")
    patient.deliver(b"1\r\n", alice)
    for _ in range(3):
        fetch(patient, alice, phone)
        pass_days(patient, 4)
    assert letters(patient) == [1]
    for _ in range(2):
        fetch(patient, alice, phone)
        pass_days(patient, 4)
    assert letters(patient) == []


def test_a_device_that_came_later_is_not_waited_for(patient, alice):
    """It begins above."""
    patient.deliver(b"1\r\n", alice)
    fetch(patient, alice)
    add(patient, alice, "phone", since=None)
    pass_days(patient, 11)
    assert letters(patient) == []


def test_what_has_changed_meanwhile_stays(patient, alice):
    """Between the look and the transaction a device came that has not collected it."""
    patient.deliver(b"1\r\n", alice)
    fetch(patient, alice)
    patient.clock.advance(11 * DAY)
    when = int(patient.clock.seconds())
    found, above = portion(patient.store._finder, alice.maildrop, COLLECTED, when, 0)
    assert [one.number for one in found] == [1]
    assert portion(patient.store._finder, alice.maildrop, COLLECTED, when, above) == ([], None)
    phone = add(patient, alice, "phone")
    expire = Expire(alice.maildrop, COLLECTED, when, found, when)
    assert patient.ledger.run(expire).letters == 0
    patient.store.devices.remove(alice, phone.name)
    assert patient.ledger.run(expire).letters == 1
    assert patient.ledger.run(expire).letters == 0


def test_what_nobody_collects_stays(patient, alice):
    """Without a login nothing was collected."""
    patient.deliver(b"1\r\n", alice)
    pass_days(patient, 100)
    assert letters(patient) == [1]


# By command ---------------------------------------------------------------------------------------


def test_by_command(office, alice):
    """What another policy would remove is told, and then done; the office's clock need not be believed."""
    office.deliver(b"1\r\n", alice)
    pass_days(office, 2)
    office.deliver(b"2\r\n", alice)
    (found,) = office.store.keeping.overdue(alice, Retention(1))
    assert (found.number, office.store.head(found.letter)) == (1, b"1\r\n")
    assert office.store.keeping.overdue(alice, NEVER) == []
    assert office.store.keeping.overdue(alice, Retention(1, collected=True)) == []
    assert office.store.keeping.expire(alice, Retention(1)) == 1
    assert office.store.keeping.expire(alice, Retention(1)) == 0
    assert (letters(office), binned(office)) == ([2], [1])


# What is announced --------------------------------------------------------------------------------


def test_what_is_announced(office, alice, bob):
    """Before login the least of all, after it the maildrop's own."""
    expiry = office.store.expiry
    assert (expiry.announced(), expiry.of(alice.maildrop)) == ("10", 10)
    set_retention(office, alice, Retention(3, collected=True))
    assert expiry.announced() == "3 USER"
    assert (expiry.of(alice.maildrop), expiry.of(bob.maildrop)) == (3, 10)
    assert office.open(alice).days == 3
    set_retention(office, bob, NEVER)
    assert (expiry.announced(), expiry.of(bob.maildrop)) == ("3 USER", 0)
    set_retention(office, alice, Retention(10))
    set_retention(office, bob, None)
    assert expiry.announced() == "10"


def test_what_is_announced_where_nothing_expires(tmp_path):
    """NEVER; and with one exception, the exception."""
    office = Office(tmp_path / "mail.db")
    office.store._changes.start()
    alice, bob = office.accounts.add("alice"), office.accounts.add("bob")
    assert (office.store.expiry.announced(), office.open(alice).days) == ("NEVER", 0)
    set_retention(office, bob, Retention(5))
    assert office.store.expiry.announced() == "5 USER"
    assert [office.store.expiry.of(one.maildrop) for one in (alice, bob)] == [0, 5]
    office.store.close()


def test_what_is_announced_where_the_store_cannot_be_read():
    """The least: it is true of everybody."""
    expiry = Expiry.__new__(Expiry)
    expiry._db, expiry._default, expiry.least, expiry.varies = (
        apsw.Connection(":memory:"),
        NEVER,
        7,
        True,
    )
    assert expiry.of(1) == 7
