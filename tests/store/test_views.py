"""A maildrop is a log, a view is a cursor."""

import pytest

from mailpost.outcome import TemporaryFailure
from mailpost.store.views import look

from .conftest import now


def cursor(office, account):
    """A view's floor and exceptions."""
    (floor,) = office.rows("SELECT floor FROM view WHERE view = ?", account.view)[0]
    numbers = office.rows("SELECT number FROM exception WHERE view = ?", account.view)
    return floor, sorted(number for (number,) in numbers)


@pytest.fixture
def ten(office, alice):
    """An account with ten letters."""
    for n in range(10):
        office.deliver(b"%d\r\n" % n, alice)
    return alice


@pytest.mark.parametrize(
    ("gone", "floor", "exceptions"),
    [
        (range(10), 10, []),
        ([0], 1, []),
        ([0, 1, 2], 3, []),
        ([2, 1, 0, 1], 3, []),
        ([9], 0, [10]),
        ([0, 4, 9], 1, [5, 10]),
    ],
)
def test_letting_go(office, ten, gone, floor, exceptions):
    """The floor rises to just below the lowest letter that is left; the rest is listed."""
    office.let_go(ten, *gone)
    assert cursor(office, ten) == (floor, exceptions)
    left = [b"%d" % n for n in range(10) if n not in gone]
    assert [letter.split(b"\r\n")[-2] for letter in office.letters(ten)] == left


def test_floor_passes_exceptions(office, ten):
    """What is listed is forgotten once the floor has passed it."""
    office.let_go(ten, 4, 8)
    office.let_go(ten, 0, 1, 2, 3)
    assert cursor(office, ten) == (5, [9])
    office.let_go(ten, 0, 1, 2)
    assert cursor(office, ten) == (9, [])
    assert [letter[-3:] for letter in office.letters(ten)] == [b"9\r\n"]


def test_fetch_all_delete_all_is_one_integer(office, ten):
    """The common case writes one row, and letters that came meanwhile are still there."""
    snapshot = office.open(ten)
    office.deliver(b"late\r\n", ten)
    going = snapshot.let_go(range(10))
    office.turn()
    now(going)
    snapshot.close()
    assert cursor(office, ten) == (10, [])
    assert len(office.letters(ten)) == 1


def test_nothing_to_let_go(office, ten):
    """Letting nothing go writes nothing."""
    snapshot = office.open(ten)
    office.turn()  # it is noted that the view has been opened
    assert snapshot.let_go([]).called
    assert office.ledger.turn() == 0


def test_what_is_not_there_cannot_be_let_go(office, ten):
    """An index beyond the snapshot is a fault: nothing is let go."""
    snapshot = office.open(ten)
    going = snapshot.let_go([0, 10])
    office.turn()
    with pytest.raises(TemporaryFailure):
        now(going)
    assert cursor(office, ten) == (0, [])


def test_sessions_of_one_turn(office, alice, bob):
    """Many sessions that end together are one commit."""
    office.deliver(b"1\r\n", alice, bob)
    office.deliver(b"2\r\n", alice, bob)
    snapshots = [office.open(alice), office.open(bob)]
    office.turn()  # it is noted that the views have been opened
    commits = []
    office.ledger._writer._db.set_commit_hook(lambda: bool(commits.append(1)))
    going = [snapshots[0].let_go([0, 1]), snapshots[1].let_go([0])]
    assert office.ledger.turn() == 2
    assert [now(each) for each in going] == [None, None]
    assert len(commits) == 1
    assert cursor(office, alice) == (2, [])
    assert cursor(office, bob) == (1, [])


def test_without_quit_nothing_is_let_go(office, ten):
    """A session that just closes has deleted nothing (RFC 1939 §6)."""
    snapshot = office.open(ten)
    snapshot.close()
    assert len(office.letters(ten)) == 10


def test_numbers_are_never_used_again(office, ten):
    """A letter that comes after all have been let go has a new number."""
    office.let_go(ten, *range(10))
    office.deliver(b"new\r\n", ten)
    assert look(office.store._finder, ten.view).numbers == range(11, 12)


def test_two_views_of_one_maildrop(office, ten):
    """Each view has a cursor of its own."""
    writer = office.ledger._writer._db
    second = writer.execute(
        "INSERT INTO view (maildrop, floor) VALUES (?, 5) RETURNING view", (ten.maildrop,)
    ).get
    office.let_go(ten, *range(10))
    assert list(look(office.store._finder, second).numbers) == [6, 7, 8, 9, 10]
    assert look(office.store._finder, ten.view).numbers == look(office.store._finder, 99).numbers
