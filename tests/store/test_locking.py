"""Maildrops that are locked by hand, and the overview of all of them."""

from __future__ import annotations

import pytest

from mailpost.outcome import Delivered
from mailpost.store import ListedMaildrop, ListedView, NoSuchName, Rights

from .conftest import POSTMARK, Office, now

NOW = 1_800_000_000
LETTER = b"Subject: hi\r\n\r\nhi\r\n"


class Session:
    account = None
    device = None
    told = None

    def revoked(self):
        self.told = "revoked"

    def locked(self, reason):
        self.told = reason


@pytest.fixture
def shell(office):
    """The command line beside the office, on the same store."""
    other = Office(office.path)
    yield other
    other.store.close()


def reason(office, name):
    """What a login to an account is told."""
    return office.store.accounts.find(name).locked


def test_locked_and_open_again(office, shell, alice, bob):
    """The office sees each change at once; letters come in all the while."""
    assert reason(office, "alice") is None
    shell.store.locking.lock(alice, "")
    assert reason(office, "alice") == ""
    shell.store.locking.lock(alice, "moved out")
    assert reason(office, "alice") == "moved out"
    assert reason(office, "bob") is None
    (outcome,) = office.deliver(LETTER, alice)
    assert isinstance(outcome, Delivered)
    assert shell.store.locking.unlock(alice)
    assert reason(office, "alice") is None
    assert not shell.store.locking.unlock(alice)
    assert office.letters(alice) == [POSTMARK + LETTER]


def test_who_is_logged_in_is_turned_out(office, shell, alice, bob):
    """Within a second, devices too, and nobody of another account."""
    office.store._changes.start()
    phone = shell.store.devices.add(alice, "phone", digest=b"")
    sessions = [Session(), Session(), Session()]
    office.store.logins.there = lambda: sessions
    office.store.logins.enter(sessions[0], alice.number)
    office.store.logins.enter(sessions[1], alice.number, phone.number)
    office.store.logins.enter(sessions[2], bob.number)
    shell.store.locking.lock(alice, "moved out")
    office.clock.pump([0.5, 0.5])
    assert [session.told for session in sessions] == ["moved out", "moved out", None]


def test_nobody_is_locked(office, alice):
    """An account that has been removed is not locked, and one of its name begins unlocked."""
    office.store.locking.lock(alice, "")
    office.accounts.remove("alice")
    assert office.rows("SELECT count(*) FROM locked") == [(0,)]
    with pytest.raises(NoSuchName):
        office.store.locking.lock(alice, "")


def test_the_list(office, alice, bob):
    """What is kept, whoever has collected it; the oldest, the last collection, and who is locked."""
    office.deliver(LETTER, alice, bob)
    office.clock.advance(100_000)
    office.deliver(LETTER, alice)
    office.letters(bob)
    office.turn()
    office.store.locking.lock(bob, "moved out")
    octets = len(POSTMARK + LETTER)
    assert office.store.maildrops() == [
        ListedMaildrop("alice", 2, 2 * octets, NOW, None, None, None),
        ListedMaildrop("bob", 1, octets, NOW, NOW + 100_000, NOW + 100_000, "moved out"),
        ListedMaildrop("postmaster", 0, 0, None, None, None, None),
    ]


def test_a_device_that_was_never_seen(office, alice):
    """That it was made is no collection."""
    office.store.devices.add(alice, "phone", digest=b"")
    assert office.store.maildrops()[0].collected is None
    (phone,) = office.accounts.devices_of(alice)
    office.accounts.seen(phone.number, NOW + 5)
    office.turn()
    assert office.store.maildrops()[0].collected == NOW


def test_views(office, alice):
    """Each view has a floor and what waits above it; a device that was never seen was never opened."""
    for _ in range(3):
        office.deliver(LETTER, alice)
    office.store.devices.add(alice, "phone", digest=b"", since=None)
    office.store.devices.add(alice, "scanner", digest=b"", rights=Rights.SUBMIT)
    office.let_go(alice, 0, 2)
    assert office.store.views(alice) == [
        ListedView(None, collects=True, waiting=1, floor=1, opened=NOW, living=True),
        ListedView("phone", collects=True, waiting=0, floor=3, opened=None, living=True),
        ListedView("scanner", collects=False, waiting=3, floor=0, opened=None, living=False),
    ]


def test_a_device_that_was_seen(office, alice):
    """Its opening is told."""
    office.store.devices.add(alice, "phone", digest=b"")
    (phone,) = office.accounts.devices_of(alice)
    office.accounts.seen(phone.number, NOW + 5)
    snapshot = now(office.store.maildrop(alice, phone.view).open())
    office.turn()
    snapshot.close()
    assert office.store.views(alice)[1].opened == NOW
