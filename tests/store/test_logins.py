"""Logins end when their device or account is taken away, by whichever process."""

import apsw
import pytest

from .conftest import Office


class Session:
    """Somebody who may log in."""

    account = None
    device = None

    def __init__(self, error=None):
        self.ended = 0
        self.error = error

    def revoked(self):
        self.ended += 1
        if self.error:
            raise self.error


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    office.store._changes.start()
    office.there = []
    office.store.logins.there = lambda: office.there
    yield office
    office.store.close()


@pytest.fixture
def shell(office):
    """The command line's store, in another process as it were."""
    other = Office(office.path)
    yield other
    other.store.close()


def enter(office, session, account, device=None):
    """Somebody comes, and logs in."""
    office.there.append(session)
    office.store.logins.enter(session, account, device)


def add(shell, account, name):
    return shell.store.devices.add(account, name, digest=b"")


def test_a_removed_device_s_sessions_end_within_a_second(office, shell):
    """Those of the device, all of them, and nobody else's."""
    alice = office.accounts.add("alice")
    phone, desk = add(shell, alice, "phone"), add(shell, alice, "desk")
    phones = [Session(), Session()]
    others = [Session(), Session()]
    for session in phones:
        enter(office, session, alice.number, phone.number)
    enter(office, others[0], alice.number, desk.number)
    enter(office, others[1], alice.number)
    office.clock.pump([0.5] * 4)
    assert [session.ended for session in phones + others] == [0] * 4
    shell.store.devices.remove(alice, "phone")
    office.clock.pump([0.5, 0.5])
    assert [session.ended for session in phones + others] == [1, 1, 0, 0]
    office.clock.pump([0.5] * 4)
    assert [session.ended for session in phones + others] == [1, 1, 0, 0]


def test_a_removed_account_s_sessions_end(office, shell):
    """Its devices' as well."""
    alice, bob = office.accounts.add("alice"), office.accounts.add("bob")
    phone = add(shell, alice, "phone")
    sessions = [Session(), Session(), Session()]
    enter(office, sessions[0], alice.number)
    enter(office, sessions[1], alice.number, phone.number)
    enter(office, sessions[2], bob.number)
    shell.accounts.remove("alice")
    office.clock.advance(0.5)
    assert [session.ended for session in sessions] == [1, 1, 0]


def test_one_that_cannot_be_ended_keeps_no_other_from_it(office, shell, log):
    """It is logged, and the others end."""
    alice = office.accounts.add("alice")
    phone = add(shell, alice, "phone")
    sessions = [Session(ZeroDivisionError()), Session(ZeroDivisionError())]
    for session in sessions:
        enter(office, session, alice.number, phone.number)
    shell.store.devices.remove(alice, "phone")
    office.clock.advance(0.5)
    assert [session.ended for session in sessions] == [1, 1]
    assert len(log.take_failures(ZeroDivisionError)) == 2


def test_a_session_that_has_ended_is_left_alone(office, shell):
    """It is there no longer, and need not say so; nor is a session concerned where nobody has logged in."""
    alice = office.accounts.add("alice")
    gone, quiet, there = Session(), Session(), Session()
    enter(office, gone, alice.number)
    enter(office, there, alice.number)
    office.there.remove(gone)
    office.there.append(quiet)
    shell.accounts.remove("alice")
    office.clock.advance(0.5)
    assert [gone.ended, quiet.ended, there.ended] == [0, 0, 1]


def test_what_a_removed_device_held_back_is_swept(office, shell):
    """The office that runs sees to it, not only its hourly search."""
    searched = []
    office.store.logins._taken_away = lambda: searched.append(1)
    alice = office.accounts.add("alice")
    add(shell, alice, "phone")
    office.clock.advance(0.5)
    assert searched == []
    shell.store.devices.remove(alice, "phone")
    office.clock.advance(0.5)
    assert searched == [1]


def test_a_store_that_cannot_be_read_just_now(office, shell, monkeypatch):
    """It is looked at again."""
    alice = office.accounts.add("alice")
    phone = add(shell, alice, "phone")
    session = Session()
    enter(office, session, alice.number, phone.number)
    shell.store.devices.remove(alice, "phone")

    def fail(*_):
        raise apsw.IOError("I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(office.store.logins, "_gone", fail)
        office.clock.advance(0.5)
    assert session.ended == 0
    office.clock.advance(0.5)
    assert session.ended == 1
