"""Bans outlive the office, and the office sees what the command line does to them."""

from __future__ import annotations

from ipaddress import ip_network

import apsw
import pytest

from mailpost.bans import Ban, Bans
from mailpost.guard import Guard, GuardRules
from mailpost.outcome import TemporaryFailure
from mailpost.store import NoSuchBan, bans

from .conftest import Office


@pytest.fixture
def shell(office):
    """The command line's store, in another process as it were."""
    other = Office(office.path)
    yield other
    other.store.close()


class Guarded:
    """The office's guard; three guesses get a ban of an hour."""

    def __init__(self, office):
        self.office = office
        self.changes = 0
        self.start()

    def start(self):
        store = self.office.store
        rules = GuardRules(guesses=3, allow=(ip_network("203.0.113.0/24"),))
        self.guard = Guard(self.office.clock, rules, store.bans.keep)
        store.bans.fill(self.guard.bans, self.changed)
        store._changes.start()

    def changed(self):
        self.changes += 1

    def restart(self):
        self.office.restart()
        self.start()

    def guesses(self, peer):
        for number in range(3):
            self.guard.wrong(peer, "alice", b"%d" % number)


@pytest.fixture
def guarded(office):
    return Guarded(office)


def by_hand(office, network, until=None, reason=""):
    made = office.clock.seconds()
    office.store.bans.add(Ban(ip_network(network), until, made, reason, by_hand=True))


def networks(office):
    return [str(one.network) for one in office.store.bans.in_force()]


def test_a_ban_outlives_a_restart(office, guarded):
    """It is in force at once, in the store soon, and for its time, not a second more."""
    guarded.guesses("192.0.2.7")
    guarded.guesses("2001:db8::1")
    assert guarded.guard.banned("192.0.2.7")
    office.turn()
    guarded.restart()
    assert guarded.guard.banned("192.0.2.7")
    assert guarded.guard.banned("2001:db8::2")
    assert not guarded.guard.banned("192.0.2.8")
    assert [(one.reason, one.guesses, one.by_hand) for one in guarded.guard.bans] == [
        ("wrong logins", 3, False)
    ] * 2
    office.clock.advance(3599)
    assert guarded.guard.banned("192.0.2.7")
    office.clock.advance(1)
    assert not guarded.guard.banned("192.0.2.7")
    assert networks(office) == []


def test_the_command_line_bans_and_lifts(office, guarded, shell):
    """Within a second, and as often as it likes; what the guard has banned as well."""
    guarded.guesses("192.0.2.7")
    office.turn()
    by_hand(shell, "198.51.100.0/24")
    assert not guarded.guard.banned("198.51.100.9")
    office.clock.advance(0.5)
    assert guarded.guard.banned("198.51.100.9")
    shell.store.bans.remove(ip_network("198.51.100.0/24"))
    shell.store.bans.remove(ip_network("192.0.2.7"))
    office.clock.advance(0.5)
    assert not guarded.guard.banned("198.51.100.9")
    assert not guarded.guard.banned("192.0.2.7")
    assert guarded.changes == 2
    office.clock.pump([0.5] * 4)
    assert guarded.changes == 2  # what nobody has changed is not read again


def test_lifted_is_lifted(office, guarded, shell):
    """Who was let in again stays so after a restart, and may guess from the start."""
    guarded.guesses("192.0.2.7")
    office.turn()
    shell.store.bans.remove(ip_network("192.0.2.7"))
    office.clock.advance(0.5)
    assert guarded.guard.wrong("192.0.2.7", "alice", b"a slip") == 0
    guarded.restart()
    assert not guarded.guard.banned("192.0.2.7")


def test_what_is_not_written_yet_stays_in_force(office, guarded, shell):
    """A change by hand that comes before the guard's ban is in the store does not undo it."""
    guarded.guesses("192.0.2.7")
    by_hand(shell, "198.51.100.0/24")
    office.clock.advance(0.5)
    assert guarded.guard.banned("192.0.2.7")
    office.turn()
    assert networks(office) == ["192.0.2.7/32", "198.51.100.0/24"]


def test_the_allowed_are_not_banned(guarded, office, shell):
    """Nor is this machine, whatever network around them is."""
    by_hand(shell, "0.0.0.0/0")
    office.clock.advance(0.5)
    assert guarded.guard.banned("8.8.8.8")
    for peer in ("127.0.0.1", "203.0.113.9", "", "::1", "2001:db8::1"):
        assert not guarded.guard.banned(peer)


def test_a_ban_counts_in_every_worker(office, guarded, shell):
    """Within a second; nobody takes it for one by hand."""
    shell.clock.advance(office.clock.seconds() - shell.clock.seconds())
    other = Guarded(shell)
    guarded.guesses("192.0.2.7")
    office.turn()
    assert not other.guard.banned("192.0.2.7")
    shell.clock.advance(1)
    assert other.guard.banned("192.0.2.7")
    office.clock.advance(1)
    assert guarded.guard.banned("192.0.2.7")
    assert (guarded.changes, other.changes) == (0, 0)


def test_by_hand_comes_before_the_guard(office, guarded, shell):
    """A ban by hand takes the place of the guard's and keeps its count, and not the other way round."""
    guarded.guesses("192.0.2.7")
    office.turn()
    by_hand(shell, "192.0.2.7", reason="that one again")
    (one,) = shell.store.bans.in_force()
    assert (one.until, one.reason, one.by_hand, one.guesses) == (None, "that one again", True, 3)
    own = Ban(ip_network("192.0.2.7"), office.clock.seconds() + 9, 0, "", by_hand=False)
    shell.ledger.run(bans.Keep(own))
    assert shell.store.bans.in_force() == [one]


def test_lifting_what_is_not_there(shell):
    """It is told, also where the ban's time has passed."""
    by_hand(shell, "192.0.2.7", until=shell.clock.seconds() + 10)
    with pytest.raises(NoSuchBan):
        shell.store.bans.remove(ip_network("192.0.2.0/24"))
    shell.clock.advance(10)
    with pytest.raises(NoSuchBan):
        shell.store.bans.remove(ip_network("192.0.2.7"))


def test_who_is_over_is_swept(office, guarded):
    """Within an hour the row is gone."""
    guarded.guesses("192.0.2.7")
    office.turn()
    office.store.sweeper.start()
    for _ in range(6):
        office.clock.advance(1800)
        office.turn()
    assert office.rows("SELECT count(*) FROM ban") == [(0,)]


def test_no_more_are_kept_than_memory_takes(office, monkeypatch):
    """The oldest of the guard's go; those by hand stay."""
    monkeypatch.setattr(bans, "ROOM", 3)
    by_hand(office, "198.51.100.0/24")
    now = office.clock.seconds()
    for number in range(9):
        own = Ban(ip_network(f"192.0.2.{number}"), now + 99, now + number, "", by_hand=False)
        office.store.bans.keep(own)
    office.turn()
    kept = ["198.51.100.0/24", "192.0.2.6/32", "192.0.2.7/32", "192.0.2.8/32"]
    assert networks(office) == kept


def test_a_ban_that_cannot_be_written(office, guarded, monkeypatch, log):
    """It is in force all the same, told once, and tried again."""

    def fail(*_):
        raise apsw.FullError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(bans.Keep, "apply", fail)
        for peer in ("192.0.2.7", "192.0.2.8"):
            guarded.guesses(peer)
        office.turn()
    assert guarded.guard.banned("192.0.2.7")
    assert networks(office) == []
    assert [event["log_format"] for event in log.events].count(
        "bans could not be kept, for now: {error}"
    ) == 1
    office.clock.advance(bans.LATER)
    office.turn()
    assert networks(office) == ["192.0.2.7/32", "192.0.2.8/32"]
    assert not office.store.bans._unwritten


def test_a_ban_that_was_over_before_it_was_written(office, guarded, monkeypatch):
    """It is not tried for ever."""

    def fail(*_):
        raise TemporaryFailure("not now")

    monkeypatch.setattr(bans.Keep, "apply", fail)
    guarded.guesses("192.0.2.7")
    for _ in range(130):
        office.turn()
        office.clock.advance(bans.LATER)
    assert not office.store.bans._unwritten


def test_a_store_that_cannot_be_read_just_now(office, guarded, shell, monkeypatch):
    """What was changed by hand is looked at again."""
    by_hand(shell, "192.0.2.7")

    def fail(*_):
        raise apsw.IOError("I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(office.store.bans, "in_force", fail)
        office.clock.advance(0.5)
    assert not guarded.guard.banned("192.0.2.7")
    office.clock.advance(0.5)
    assert guarded.guard.banned("192.0.2.7")


def test_many_at_once(office):
    """A thousand bans that wait together are written together, and all of them read."""
    now = office.clock.seconds()
    for number in range(1000):
        network = ip_network(f"10.0.{number >> 8}.{number & 255}")
        office.store.bans.keep(Ban(network, now + 99, now, "", by_hand=False))
    office.turn()
    memory = Bans()
    office.store.bans.fill(memory, lambda: None)
    assert len(memory) == 1000
