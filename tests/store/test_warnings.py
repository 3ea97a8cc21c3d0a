"""An owner hears in time that the maildrop is nearly full."""

import pytest

from mailpost.envelope import Copy, Envelope, Report, Traits
from mailpost.store.changes import INTERVAL
from mailpost.store.warnings import SOON, Warn, filling

from .conftest import POSTMARK, Office
from .test_sweeper import sweep

BODY = b"x" * (198 - len(POSTMARK)) + b"\r\n"  # with its postmark 200 octets
NOTICE = b"full!\r\n"


@pytest.fixture
def office(tmp_path):
    """An office in which a maildrop may hold 10,000 octets, and somebody writes the warnings."""
    office = Office(tmp_path / "mail.db", quota=10_000)
    office.told = []

    def write(filling, now):
        office.told.append((filling.name, filling.percent, filling.level))
        assert int(now) == int(office.clock.seconds())
        copies = (Copy(filling.maildrop, POSTMARK, always=True),)
        return Report(Envelope("w", None), copies, NOTICE, Traits())

    office.store.warnings.write = write
    office.store.warnings.start()
    office.store._changes.start()
    office.store.sweeper.start()
    sweep(office)
    look(office)
    yield office
    office.store.close()


def look(office):
    office.turn()
    office.clock.advance(SOON)
    office.turn()


def fill(office, account, count):
    for _ in range(count):
        office.commit(BODY, account)
    office.turn()
    look(office)


def empty(office, account, count):
    office.let_go(account, *range(count))
    sweep(office)
    look(office)


def warnings(office, account):
    return [letter for letter in office.letters(account) if letter.endswith(NOTICE)]


def test_at_80_and_at_95_once_each(office, alice, log):
    """In the maildrop itself; nothing more however much comes between."""
    fill(office, alice, 39)
    assert office.told == []
    fill(office, alice, 1)
    assert office.told == [("alice", 80, 80)]
    assert len(warnings(office, alice)) == 1
    assert log.lines("alice is told") == ["alice is told that the maildrop is 80 per cent full"]
    fill(office, alice, 5)
    assert len(office.told) == 1
    fill(office, alice, 3)
    assert office.told[1:] == [("alice", 96, 95)]
    fill(office, alice, 3)
    assert len(office.told) == len(warnings(office, alice)) == 2


def test_at_once_far_beyond(office, alice):
    """One letter, about what is."""
    fill(office, alice, 49)
    assert office.told == [("alice", 98, 95)]


def test_again_after_it_fell_well_below(office, alice):
    """A letter more and a letter less around a level are no news."""
    fill(office, alice, 41)
    assert office.told == [("alice", 82, 80)]
    empty(office, alice, 2)
    fill(office, alice, 4)
    assert len(office.told) == 1
    empty(office, alice, 20)
    fill(office, alice, 18)
    assert office.told[1:] == [("alice", 82, 80)]


def test_from_95_to_80_is_no_news(office, alice):
    """It has been told of 80; from there to 95 is."""
    fill(office, alice, 48)
    empty(office, alice, 6)
    assert office.told == [("alice", 96, 95)]
    fill(office, alice, 7)
    assert office.told[1:] == [("alice", 98, 95)]


def test_it_comes_in_though_there_is_no_room(office, alice):
    """Whoever is full to the last octet is told, too."""
    fill(office, alice, 50)
    assert office.told == [("alice", 100, 95)]
    assert len(office.letters(alice)) == 51


def test_a_quota_that_is_lowered(office, alice, bob):
    """What was enough is not any more; without one nobody is told anything."""
    fill(office, alice, 30)
    fill(office, bob, 45)
    assert office.told == [("bob", 90, 80)]
    office.store.keeping.set_quota(alice, 7000)
    office.store.keeping.set_quota(bob, 0)
    office.clock.advance(INTERVAL)
    look(office)
    assert office.told[1:] == [("alice", 85, 80)]
    office.store.keeping.set_quota(bob, None)
    office.clock.advance(INTERVAL)
    look(office)
    assert office.told[2:] == [("bob", 90, 80)]


def test_not_twice_by_two_offices(office, alice):
    """Whoever comes second finds that it was told."""
    fill(office, alice, 40)
    post = office.store.delivery.written(
        office.store.warnings.write(*office_filling(office, alice)), 0
    )
    assert not office.ledger.run(Warn(alice.maildrop, 80, post))
    assert len(warnings(office, alice)) == 1


def office_filling(office, account):
    (found,) = filling(office.store._finder, 10_000)
    assert found.maildrop == account.maildrop
    return found, office.clock.seconds()


def test_a_removed_account_is_not_told(office, alice, bob):
    """Nothing comes into a closed maildrop, and nothing fails."""
    fill(office, bob, 1)
    for _ in range(45):
        office.commit(BODY, alice)
    office.turn()
    found, now = office_filling(office, alice)
    post = office.store.delivery.written(office.store.warnings.write(found, now), 0)
    office.accounts.remove("alice")
    assert not office.ledger.run(Warn(alice.maildrop, 80, post))
    look(office)
    assert len(office.told) == 1


def test_where_it_cannot_be_written(office, alice, monkeypatch, log):
    """It is tried again with the next letter; letters are not concerned."""
    for _ in range(41):
        office.commit(BODY, alice)
    office.turn()
    monkeypatch.setattr(office.ledger, "_limit", 0)
    office.clock.advance(SOON)
    monkeypatch.undo()
    assert warnings(office, alice) == []
    assert log.lines("nobody is warned") == [
        "nobody is warned just now: too much waits to be written"
    ]
    fill(office, alice, 1)
    assert len(warnings(office, alice)) == 1


def test_an_office_without_quotas_never_looks(tmp_path):
    """There is nothing to be called later."""
    office = Office(tmp_path / "mail.db")
    alice = office.accounts.add("alice")
    office.store.warnings.start()
    office.deliver(BODY, alice)
    assert office.clock.getDelayedCalls() == []
    office.store.close()
