"""What each view was given, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from mailpost.interfaces import IRemembering
from mailpost.store.fetched import RUNS, _without, runs_of

from .conftest import Office, now
from .test_sweeper import sweep

runs = st.sets(st.integers(1, 40)).map(
    lambda numbers: list(runs_of(bytes(n in numbers for n in range(42)), range(42)))
)


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    office.store.sweeper.start()
    sweep(office)
    yield office
    office.store.close()


@pytest.fixture
def ten(office, alice):
    """An account with ten letters."""
    for n in range(10):
        office.deliver(b"%d\r\n" % n, alice)
    return alice


def session(office, account, device=None, *, given=None, gone=()):
    """Open a view, give some of its letters, let go of some."""
    snapshot = now(office.store.maildrop(account, device and device.view).open())
    if given is not None:
        snapshot.given(bytearray(n in given for n in range(len(snapshot.sizes))))
    going = snapshot.let_go(gone)
    office.turn()
    now(going)
    snapshot.close()
    office.turn()


def known(office):
    return office.rows("SELECT view, first, last, at FROM fetched ORDER BY view, first")


def whens(office, account, number):
    """When each view had a letter, counted from the tests' beginning."""
    told = office.store.fetched_by(account, number)
    return [None if one.when is None else one.when - 1_800_000_000 for one in told]


def test_the_interface(office, alice):
    """A snapshot is one that is to be told."""
    assert verifyObject(IRemembering, office.open(alice))


def test_what_is_left_on_the_server_is_noted_once(office, ten):
    """The first time counts; what is fetched again is not written again."""
    begun = int(office.clock.seconds())
    session(office, ten, given=range(5))
    office.clock.advance(100)
    session(office, ten, given=range(3, 8))
    office.clock.advance(100)
    writes = office.rows("PRAGMA data_version")
    session(office, ten, given=range(8))
    assert office.rows("PRAGMA data_version") == writes
    assert known(office) == [
        (ten.view, 1, 5, begun),
        (ten.view, 6, 8, begun + 100),
    ]
    wait = begun - 1_800_000_000
    assert [whens(office, ten, n) for n in (1, 5, 6, 8, 9)] == [
        [wait],
        [wait],
        [wait + 100],
        [wait + 100],
        [None],
    ]


def test_fetch_all_delete_all_notes_nothing(office, ten):
    """The common case writes no more than it did; what is let go of is known to be."""
    snapshot = office.open(ten)
    office.turn()
    snapshot.given(bytearray(b"\1" * 10))
    going = snapshot.let_go(range(10))
    office.turn()
    now(going)
    snapshot.close()
    assert office.ledger.turn() == 0
    (main,) = office.store.fetched_by(ten, 10)
    assert (main.let_go, main.when, main.holds, main.device) == (True, None, True, None)


def test_of_what_is_let_go_of_nothing_is_noted(office, ten):
    """Where no other view holds it."""
    session(office, ten, given=range(6), gone=[1, 2, 9])
    assert [row[1:3] for row in known(office)] == [(1, 1), (4, 6)]


def test_letting_go_counts_where_others_hold_the_letter(office, ten):
    """Each device has it by itself; who has only let go of it has had it, too."""
    phone = office.store.devices.add(ten, "phone", digest=b"")
    begun = int(office.clock.seconds())
    session(office, ten, phone, given=[0, 1], gone=[1, 2])
    main, device = office.store.fetched_by(ten, 3)
    assert (main.device, main.let_go, main.when) == (None, False, None)
    assert (device.device, device.view) == ("phone", phone.view)
    assert (device.let_go, device.when, device.holds) == (True, begun, True)
    office.clock.advance(50)
    session(office, ten, given=None, gone=range(10))
    assert known(office) == [(ten.view, 1, 10, begun + 50), (phone.view, 1, 3, begun)]
    assert whens(office, ten, 4) == [begun + 50 - 1_800_000_000, None]


def test_a_device_that_came_later_never_had_what_was_there(office, ten):
    """It begins above it; no time is told."""
    office.store.devices.add(ten, "phone", digest=b"", since=None)
    _, phone = office.store.fetched_by(ten, 10)
    assert (phone.let_go, phone.when) == (True, None)


def test_what_is_noted_goes_with_its_letters(office, ten):
    """No more is kept than there are letters."""
    phone = office.store.devices.add(ten, "phone", digest=b"")
    session(office, ten, phone, given=[0, 1, 2, 5, 6, 9])
    session(office, ten, gone=[0, 1, 2, 5, 9])
    session(office, ten, phone, gone=[0, 1, 2, 5, 6, 9])
    sweep(office)
    assert office.rows("SELECT number FROM entry") == [(4,), (5,), (7,), (8,), (9,)]
    assert [(view, first, last) for view, first, last, _ in known(office)] == [(phone.view, 6, 7)]
    office.store.devices.remove(ten, "phone")
    assert known(office) == []
    session(office, ten, given=[0])
    office.accounts.remove("alice")
    assert known(office) == []


def test_a_note_that_comes_too_late(office, ten):
    """The letters have gone, or the view has: there is nothing to note."""
    phone = office.store.devices.add(ten, "phone", digest=b"")
    snapshot = now(office.store.maildrop(ten, phone.view).open())
    snapshot.given(bytearray(b"\1" * 10))
    office.store.devices.remove(ten, "phone")
    snapshot.close()
    office.turn()
    assert known(office) == []


def test_nothing_is_noted_of_what_came_of_late(office, ten):
    """Who looks through no view collects nothing."""
    snapshot = now(office.store.lately(ten).open())
    snapshot.given(bytearray(b"\1" * 10))
    snapshot.close()
    assert office.ledger.turn() == 0


def test_a_ledger_that_is_full(office, ten, monkeypatch):
    """Nothing is noted, nothing fails."""
    snapshot = office.open(ten)
    office.turn()
    monkeypatch.setattr(office.ledger, "_limit", 0)
    snapshot.given(bytearray(b"\1" * 10))
    snapshot.close()
    assert known(office) == []


def test_many_runs(office, alice):
    """Whoever fetches every other letter is written down in small portions."""
    count = 4 * RUNS + 10
    for _ in range(count):
        office.commit(b"x\r\n", alice)
    office.turn()
    session(office, alice, given=range(0, count, 2))
    assert len(known(office)) == count // 2
    session(office, alice, given=range(count))
    assert len(known(office)) == count
    assert {whens(office, alice, n)[0] for n in range(1, count)} != {None}


@given(runs, runs)
def test_what_is_not_known_yet(told, known):
    """What is to be written is what was told without what is known, in runs that do not overlap."""

    def numbers(some):
        return [number for first, last in some for number in range(first, last + 1)]

    left = list(_without(told, known))
    assert all(first <= last for first, last in left)
    assert numbers(left) == sorted(set(numbers(told)) - set(numbers(known)))
