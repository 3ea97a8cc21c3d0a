"""Who somebody asks to be, and who they become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.cred.error import UnauthorizedLogin

from mailpost.accounts.avatars import Asked, asked_for, avatar
from mailpost.store import Device, Rights

from .book import Book

DOMAINS = {"example.org"}


@pytest.fixture
def book():
    book = Book(alice="hash")
    book.devices["alice"] = [
        Device(number, name, 10 + number, b"", None, Rights.BOTH)
        for number, name in enumerate(("phone", "desk"), 1)
    ]
    return book


@pytest.mark.parametrize(
    ("login", "asked"),
    [
        (b"alice", Asked("alice", "", False)),
        (b"Alice@Example.org", Asked("alice", "", False)),
        (b"alice#phone", Asked("alice", "phone", False)),
        (b"alice#Phone", Asked("alice", "phone", False)),
        (b"alice@example.org#phone", Asked("alice", "phone", False)),
        (b"alice#phone@example.org", Asked("alice", "phone", False)),
        (b"recent:alice", Asked("alice", "", True)),
        (b"Recent:alice@example.org", Asked("alice", "", True)),
        (b"recent:alice#phone", Asked("alice", "phone", True)),
    ],
)
def test_who_is_asked_for(login, asked):
    """An account, a device of it, or what came of late; in any case, with the domain or without."""
    assert asked_for(login, DOMAINS) == asked


@pytest.mark.parametrize(
    "login",
    [
        b"",
        b"#",
        b"alice#",
        b"#phone",
        b"recent:",
        b"recent:recent:alice",
        b"alice@example.net",
        b"alice#phone@example.net",
        b"alice@example.org#phone@example.org",
        b"alice#ph\xc3\xb6ne",
        b"alice\xff",
        b"alice+phone",
    ],
)
def test_nobody_is_asked_for(login):
    """What can be nobody is told apart before anybody is looked up."""
    assert asked_for(login, DOMAINS) is None


def test_another_separator():
    """Where ``#`` cannot be typed, another stands for it, and it for nothing."""
    assert asked_for(b"alice/phone", DOMAINS, "/") == Asked("alice", "phone", False)
    assert asked_for(b"alice#phone", DOMAINS, "/") is None


@given(st.binary(max_size=40) | st.from_regex(rb"(recent:)?alice[#@:a-z.]{0,12}"))
def test_any_octets_may_be_typed(login):
    """Nothing raises, and whoever is asked for has a name that can be one."""
    asked = asked_for(login, DOMAINS)
    assert asked is None or asked.name.isascii()


@pytest.mark.parametrize(
    ("login", "own", "becomes"),
    [
        (b"alice", None, "alice"),
        (b"alice", "phone", "alice#phone"),
        (b"alice#phone", None, "alice#phone"),
        (b"alice#phone", "phone", "alice#phone"),
        (b"recent:alice", None, "recent:alice"),
        (b"recent:alice", "phone", "recent:alice#phone"),
        (b"recent:alice#phone", None, "recent:alice#phone"),
    ],
)
def test_who_they_become(book, login, own, becomes):
    """With the main password whoever they ask for; with a device's password that device."""
    asked = asked_for(login, DOMAINS)
    known = avatar(asked, book, book.find("alice"), own)
    assert known == becomes.encode()
    # The realm need not look again; what it would read out of the id is the same.
    assert known.account == book.find("alice")
    assert known.asked == asked_for(known, DOMAINS) == asked._replace(device=own or asked.device)


@pytest.mark.parametrize(("login", "own"), [(b"alice#cabin", None), (b"alice#desk", "phone")])
def test_who_they_cannot_become(book, login, own):
    """No login makes a device, and a device's password is good for no other."""
    with pytest.raises(UnauthorizedLogin):
        avatar(asked_for(login, DOMAINS), book, book.find("alice"), own)
