"""Devices: logins beside the main password, each with a view of its own."""

import pytest

from mailpost.outcome import TemporaryFailure
from mailpost.store import Device, DuplicateName, NoSuchName, Rights

from .conftest import Office

DAY = 86_400


def add(office, account, name="phone", **options):
    return office.store.devices.add(account, name, digest=name.encode(), **options)


def shown(office, account, device=None):
    """The bodies that a view shows."""
    view = device and device.view
    snapshot = office.store.maildrop(account, view).open()
    try:
        return [
            office.fetch(snapshot, index).split(b"\r\n")[-2].decode()
            for index in range(len(snapshot.sizes))
        ]
    finally:
        snapshot.close()


def test_devices_of_an_account(office, alice, bob):
    """They are found as they were added, by the office as by anybody else."""
    phone = add(office, alice, scram="keys")
    laptop = add(office, alice, "laptop", rights=Rights.SUBMIT)
    assert phone == Device(phone.number, "phone", phone.view, b"phone", "keys", Rights.BOTH)
    other = Office(office.path)
    assert other.accounts.devices_of(alice) == [phone, laptop]
    assert other.accounts.devices_of(bob) == []
    other.store.close()
    assert len({alice.view, phone.view, laptop.view}) == 3


def test_no_device_s_secrets_in_a_log(office, alice):
    """What is kept of the password is not shown with the device."""
    assert "keys" not in repr(add(office, alice, scram="keys"))
    assert "b'phone'" not in repr(add(office, alice, "x"))


def test_a_name_is_given_once(office, alice, bob):
    """Within an account; another account may have the same."""
    add(office, alice)
    with pytest.raises(DuplicateName, match="alice has a device phone already"):
        add(office, alice)
    add(office, bob)
    assert office.rows("SELECT count(*) FROM view") == [(5,)]


def test_no_device_of_nobody(office, alice):
    """An account that has been removed meanwhile gets no device."""
    office.accounts.remove("alice")
    with pytest.raises(NoSuchName, match="no account alice"):
        add(office, alice)
    assert office.rows("SELECT count(*) FROM device") == [(0,)]


def test_where_a_view_begins(office, alice):
    """Everything that is still there, what has come since a day, or what is yet to come."""
    for body in (b"old\r\n", b"older than a day\r\n", b"new\r\n"):
        office.deliver(body, alice)
        office.clock.advance(DAY)
    since = int(office.clock.seconds()) - DAY
    office.deliver(b"newest\r\n", alice)
    everything = add(office, alice, "everything")
    lately = add(office, alice, "lately", since=since)
    coming = add(office, alice, "coming", since=None)
    office.deliver(b"late\r\n", alice)
    assert shown(office, alice, everything) == ["old", "older than a day", "new", "newest", "late"]
    assert shown(office, alice, lately) == ["new", "newest", "late"]
    assert shown(office, alice, coming) == ["late"]


def test_a_view_of_an_empty_maildrop(office, alice):
    """A device may come before any letter."""
    phones = [add(office, alice, str(since), since=since) for since in (None, 0, 10**12)]
    office.deliver(b"first\r\n", alice)
    assert [shown(office, alice, phone) for phone in phones] == [["first"]] * 3


def test_removed(office, alice):
    """A device that is gone leaves neither a view nor what that listed."""
    phone = add(office, alice)
    laptop = add(office, alice, "laptop")
    office.deliver(b"1\r\n", alice)
    office.deliver(b"2\r\n", alice)
    snapshot = office.store.maildrop(alice, phone.view).open()
    snapshot.let_go([1])
    office.turn()
    snapshot.close()
    office.store.devices.remove(alice, "phone")
    assert office.accounts.devices_of(alice) == [laptop]
    assert office.rows("SELECT count(*) FROM view WHERE view = ?", phone.view) == [(0,)]
    assert office.rows("SELECT count(*) FROM exception") == [(0,)]
    with pytest.raises(NoSuchName, match="alice has no device phone"):
        office.store.devices.remove(alice, "phone")


def test_removed_with_the_account(office, alice):
    """An account's devices go with it."""
    add(office, alice)
    office.accounts.remove("alice")
    assert office.rows("SELECT count(*) FROM device") == [(0,)]
    assert office.rows("SELECT view FROM view WHERE view > 1") == []


def test_seen(office, alice):
    """A login is noted, once a minute at most, without anybody waiting."""
    phone = add(office, alice)
    when = office.clock.seconds()
    for seconds in (0, 30, 59):
        office.accounts.seen(phone.number, when + seconds)
    assert office.ledger.turn() == 1
    assert office.rows("SELECT seen FROM device") == [(int(when),)]
    office.accounts.seen(phone.number, when + 60)
    office.turn()
    assert office.rows("SELECT seen FROM device") == [(int(when) + 60,)]


def test_seen_later_by_another_process(office, alice):
    """What another process has noted later stays."""
    phone = add(office, alice)
    other = Office(office.path)
    other.accounts.seen(phone.number, 2000)
    other.turn()
    other.store.close()
    office.accounts.seen(phone.number, 1000)
    office.turn()
    assert office.rows("SELECT seen FROM device") == [(2000,)]


def test_seen_when_the_store_is_closed(office, alice):
    """It is not worth an error."""
    phone = add(office, alice)
    office.store.close()
    office.accounts.seen(phone.number, 1000)


def test_devices_that_cannot_be_read(office, alice):
    """Where they cannot be read nobody is unknown: it is a temporary failure."""
    office.store.close()
    with pytest.raises(TemporaryFailure):
        office.accounts.devices_of(alice)
