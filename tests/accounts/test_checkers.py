"""Checkers: who is let in, what is remembered, and that neither answer nor work tells who exists."""

from __future__ import annotations

import pytest
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import (
    IAnonymous,
    IUsernameHashedPassword,
    IUsernamePassword,
    UsernamePassword,
)
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import fail, maybeDeferred, succeed
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.accounts import passwords
from mailpost.accounts.checkers import AccountChecker, AnyOf
from mailpost.accounts.credentials import IPeerCredentials, Login
from mailpost.accounts.turnstile import Turnstile
from mailpost.outcome import TemporaryFailure

from .book import Book, Held, at_once

SECRET = bytes(32)


@pytest.fixture
def hashed(monkeypatch):
    """Cheap hashes, and what was checked against which."""
    checked = []

    def matches(encoded, password):
        checked.append((encoded, password))
        return encoded == f"hash of {password.decode()}"

    monkeypatch.setattr(passwords, "matches", matches)
    return checked


@pytest.fixture
def book():
    return Book(alice="hash of secret", postmaster=None)


@pytest.fixture
def checker(book, hashed):
    return AccountChecker(book, {"example.org"}, Turnstile(at_once), SECRET)


def ask(checker, *credentials):
    """What a checker says in the end."""
    said = []
    login = credentials[0] if len(credentials) == 1 else Login(*credentials)
    maybeDeferred(checker.requestAvatarId, login).addBoth(said.append)
    (answer,) = said
    return answer if isinstance(answer, (bytes, str, tuple)) else answer.value


def test_interfaces(checker):
    """All of them keep their interfaces."""
    verifyObject(ICredentialsChecker, checker)
    verifyObject(ICredentialsChecker, AnyOf([checker]))
    login = Login(b"alice", b"secret", "192.0.2.1")
    for interface in (IPeerCredentials, IUsernamePassword, IUsernameHashedPassword):
        verifyObject(interface, login)


def test_a_login_never_shows_its_password():
    """What a log may show of a login is who and whence."""
    assert repr(Login(b"alice", b"secret", "192.0.2.1")) == "<Login b'alice' from '192.0.2.1'>"


@pytest.mark.parametrize("login", [b"alice", b"ALICE", b"alice@example.org", b"Alice@Example.Org"])
def test_the_right_password(checker, login):
    """The avatar's id is the account's name, whatever spelling was typed."""
    assert ask(checker, login, b"secret") == b"alice"


def test_credentials_of_twisteds_own(checker):
    """Plain UsernamePassword credentials, without a peer, do as well."""
    assert ask(checker, UsernamePassword(b"alice", b"secret")) == b"alice"


@pytest.mark.parametrize(
    ("login", "password"),
    [
        (b"alice", b"wrong"),
        (b"alice", b""),
        (b"bob", b"secret"),
        (b"alice@elsewhere.example", b"secret"),
        (b"postmaster", b""),
        (b"postmaster", b"None"),
        (b"\xff", b"secret"),
        (b"", b""),
    ],
)
def test_anything_else(checker, hashed, login, password):
    """All else is one and the same failure, after one hashing: nothing tells who exists."""
    error = ask(checker, login, password)
    assert isinstance(error, UnauthorizedLogin)
    assert str(error) == "name or password is wrong"
    assert len(hashed) == 1


def test_unknown_users_cost_a_hash_too(checker, hashed):
    """Who does not exist, or has no password, is checked against the dummy."""
    ask(checker, b"bob", b"x")
    ask(checker, b"postmaster", b"x")
    assert [encoded for encoded, _ in hashed] == [passwords.DUMMY] * 2


def test_remembered(checker, hashed):
    """A password that was right is not hashed again; a wrong one is, each time."""
    for _ in range(3):
        assert ask(checker, b"alice", b"secret") == b"alice"
    assert len(hashed) == 1
    for _ in range(3):
        ask(checker, b"alice", b"wrong")
    assert len(hashed) == 4


def test_a_remembered_password_needs_no_deferred(checker):
    """The fast path answers at once."""
    ask(checker, b"alice", b"secret")
    assert checker.requestAvatarId(Login(b"alice", b"secret")) == b"alice"


def test_a_change_counts_at_once(checker, book):
    """With another stored hash the old password is wrong at once; without an account, too."""
    assert ask(checker, b"alice", b"secret") == b"alice"
    book.change("alice", "hash of new")
    assert isinstance(ask(checker, b"alice", b"secret"), UnauthorizedLogin)
    assert ask(checker, b"alice", b"new") == b"alice"
    del book.accounts["alice"]
    assert isinstance(ask(checker, b"alice", b"new"), UnauthorizedLogin)


@pytest.mark.parametrize("change", ["other hash", None])
def test_a_change_while_the_hash_is_computed(book, hashed, change):
    """A password that is changed, or taken away, while it is being checked is no longer right."""
    held = Held()
    checker = AccountChecker(book, {"example.org"}, Turnstile(held), SECRET)
    said = []
    checker.requestAvatarId(Login(b"alice", b"secret")).addErrback(said.append)
    book.change("alice", change)
    held.finish()
    assert said[0].check(UnauthorizedLogin)


def test_a_store_that_fails_is_no_wrong_password(checker, book):
    """Where the account book cannot be read, the failure is the book's own."""
    book.broken = TemporaryFailure("disk")
    assert isinstance(ask(checker, b"alice", b"secret"), TemporaryFailure)


def test_peers_take_turns(book, hashed):
    """A thousand guesses from one address do not keep another waiting."""
    held = Held()
    checker = AccountChecker(book, {"example.org"}, Turnstile(held, lanes=1, room=100), SECRET)
    done = []
    for _ in range(50):
        guess = checker.requestAvatarId(Login(b"alice", b"guess", "198.51.100.1"))
        guess.addErrback(lambda _: done.append("guess"))
    checker.requestAvatarId(Login(b"alice", b"secret", "192.0.2.1")).addCallback(done.append)
    for _ in range(3):
        held.finish()
    assert b"alice" in done


@implementer(ICredentialsChecker)
class Says:
    """Says what it is told to."""

    def __init__(self, answer, interface=IUsernamePassword):
        self.answer = answer
        self.credentialInterfaces = (interface,)

    def requestAvatarId(self, credentials):
        return self.answer()


def no():
    return fail(UnauthorizedLogin())


def raises():
    raise OSError("its database is away")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([no, lambda: succeed(b"bob")], b"bob"),
        ([lambda: b"ann", raises], b"ann"),
        ([raises, lambda: b"bob"], b"bob"),
        ([no, no], UnauthorizedLogin),
        ([no, raises, no], OSError),
        ([], UnauthorizedLogin),
    ],
)
def test_any_of(answers, expected):
    """One yes is enough; all must say no; who could not tell makes it a failure for now."""
    said = ask(AnyOf([Says(answer) for answer in answers]), b"x", b"y")
    assert said == expected or isinstance(said, expected)


def test_any_of_passes_by_who_asks_for_something_else():
    """A checker of other credentials is not asked."""
    checker = AnyOf([Says(raises, IAnonymous), Says(lambda: b"bob")])
    assert checker.credentialInterfaces == (IAnonymous, IUsernamePassword)
    assert ask(checker, b"x", b"y") == b"bob"
