"""The account book."""

import pytest

from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store import DuplicateName, NoSuchName

from .conftest import Office


def test_names_are_lower_case(office):
    """Alice and alice are one."""
    account = office.accounts.add("Alice", "hash")
    assert account.name == "alice"
    assert office.accounts.find("ALICE") == account
    assert office.accounts.find("bob") is None


def test_duplicate_name(office, alice):
    """A name is given once; the refused account leaves nothing behind."""
    with pytest.raises(DuplicateName, match="alice already"):
        office.accounts.add("ALICE", "other")
    assert office.accounts.find("alice") == alice
    assert office.rows("SELECT count(*) FROM maildrop") == [(2,)]


def test_password(office, alice):
    """A changed password is found at once, whoever changed it."""
    other = Office(office.path)
    other.accounts.set_password("Alice", "new")
    assert office.accounts.find("alice").password == "new"
    other.accounts.set_password("alice", None)
    assert office.accounts.find("alice").password is None
    other.store.close()


def test_what_a_login_needs(office):
    """SCRAM's keys and the secret that can be read back are kept with the password, and shown in no log."""
    account = office.accounts.add("alice", "hash", "keys of it", "readable")
    assert (account.scram, account.secret) == ("keys of it", "readable")
    assert office.accounts.find("alice") == account
    assert office.accounts.all()[0].account == account
    assert "keys of it" not in repr(account)
    assert "readable" not in repr(account)


def test_another_password_leaves_nothing_of_the_old_one(office):
    """Keys that were made of it, and the secret, go with it, unless new ones are given."""
    office.accounts.add("alice", "hash", "keys", "secret")
    office.accounts.set_password("alice", "new")
    found = office.accounts.find("alice")
    assert (found.password, found.scram, found.secret) == ("new", None, None)
    office.accounts.set_password("alice", "newer", "newer keys", "newer secret")
    found = office.accounts.find("alice")
    assert (found.password, found.scram, found.secret) == ("newer", "newer keys", "newer secret")


@pytest.mark.parametrize("change", ["remove", "set_password"])
def test_unknown_name(office, change):
    """Who is not there cannot be changed."""
    args = ("x",) if change == "set_password" else ()
    with pytest.raises(NoSuchName, match="no account nobody"):
        getattr(office.accounts, change)("nobody", *args)


def test_listing(office, alice, bob):
    """The list tells what waits for each: what its view shows."""
    office.deliver(b"12345\r\n", alice, bob, postmark=b"")
    office.deliver(b"123\r\n", alice, postmark=b"")
    office.deliver(b"1\r\n", alice, postmark=b"")
    office.let_go(alice, 1)
    listed = {each.account.name: (each.letters, each.octets) for each in office.accounts.all()}
    assert listed == {"alice": (2, 10), "bob": (1, 7), "postmaster": (0, 0)}


def test_removed_account_is_gone_with_its_letters(office, alice):
    """A new account of the same name begins empty, and never repeats a unique-id."""
    office.deliver(b"secret\r\n", alice)
    snapshot = office.open(alice)
    uidl = snapshot.uidl(0)
    snapshot.close()
    office.accounts.remove("alice")
    assert office.accounts.find("alice") is None
    again = office.accounts.add("alice", "hash")
    assert again.maildrop != alice.maildrop
    assert office.letters(again) == []
    office.deliver(b"new\r\n", again)
    assert office.open(again).uidl(0) != uidl


def test_account_in_use_is_not_removed(office, alice):
    """While a session has the maildrop open its account stays."""
    snapshot = office.open(alice)
    with pytest.raises(MaildropInUse):
        office.accounts.remove("alice")
    assert office.accounts.find("alice") == alice
    snapshot.close()
    office.accounts.remove("alice")


def test_book_that_cannot_be_read(office):
    """Where the book cannot be read nobody is unknown: it is a temporary failure."""
    office.store.close()
    with pytest.raises(TemporaryFailure):
        office.accounts.find("alice")
