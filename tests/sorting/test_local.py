"""Sorting: whose an address is, and what nobody's gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from mailpost.envelope import Destination
from mailpost.interfaces import ISorter
from mailpost.outcome import Refused, TryLater
from mailpost.sorting.local import LocalSorter
from mailpost.wire import reply
from mailpost.wire.path import Address, PathError, parse_rcpt

from .book import ALICE, BOB, POSTMASTER, Book, config, sort


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def sorter(book):
    return LocalSorter(book, config())


def test_interface(sorter):
    """It is a sorter."""
    verifyObject(ISorter, sorter)


@pytest.mark.parametrize(
    ("path", "maildrop", "known_as"),
    [
        ("alice@example.org", ALICE, "alice@example.org"),
        ("ALICE@Example.ORG", ALICE, "alice@example.org"),
        ('"alice"@example.org', ALICE, "alice@example.org"),
        ("@relay.example:alice@example.org", ALICE, "alice@example.org"),
        ("alice@xn--bcher-kva.example", ALICE, "alice@xn--bcher-kva.example"),
        ("B.o-b_2@example.org", BOB, "b.o-b_2@example.org"),
    ],
)
def test_an_account(sorter, path, maildrop, known_as):
    """An address in a domain of the office is the account of its local part, in any case."""
    assert sort(sorter, path) == Destination(maildrop, known_as)


@pytest.mark.parametrize(
    "domain",
    [
        "b\u00fccher.example",
        "B\u00dcCHER.example",
        "bu\u0308cher.example",
        "b\u00fccher\u3002example",
    ],
)
def test_a_domain_in_its_own_letters(sorter, domain):
    """A U-label is the A-label it stands for (RFC 6531, RFC 5890)."""
    found = sorter.sort(Address("alice", domain.lower()))
    assert found == Destination(ALICE, "alice@xn--bcher-kva.example")


@pytest.mark.parametrize(
    "path",
    [
        "postmaster",
        "PostMaster",
        "postmaster@example.org",
        "POSTMASTER@EXAMPLE.ORG",
        '"Postmaster"@xn--bcher-kva.example',
        "postmaster@mx.example.org",
        "postmaster@[127.0.0.1]",
        "postmaster@[192.0.2.25]",
        "postmaster@[IPv6:2001:DB8:0::25]",
        "postmaster@[IPv6:::1]",
    ],
)
def test_postmaster(book, path):
    """Postmaster is reached in every way that RFC 5321 §4.5.1 asks for."""
    assert sort(LocalSorter(book, config()), path).maildrop == POSTMASTER
    assert sort(LocalSorter(book, config(postmaster="Alice")), path).maildrop == ALICE


def test_postmasters_address(sorter):
    """What a copy to postmaster is marked with is an address, whole."""
    assert sort(sorter, "postmaster").delivered_to == "postmaster@example.org"
    assert sort(sorter, "Postmaster@[127.0.0.1]").delivered_to == "postmaster@example.org"
    assert sort(sorter, "postmaster").always
    assert not sort(sorter, "alice@example.org").always
    at_second = sort(sorter, "postmaster@xn--bcher-kva.example")
    assert at_second.delivered_to == "postmaster@xn--bcher-kva.example"


def test_postmaster_is_never_refused(book):
    """Where the one named does not exist the account postmaster stands in; without both, try later."""
    sorter = LocalSorter(book, config(postmaster="gone"))
    assert sort(sorter, "postmaster").maildrop == POSTMASTER
    del book.accounts["postmaster"]
    assert sort(sorter, "postmaster").reply == reply.LOCAL_ERROR


@pytest.mark.parametrize(
    "path",
    [
        "carol@example.org",
        "alic@example.org",
        "alice.@example.org".replace(".@", "@x."),
        "else%example.com@example.org",
        "alice%example.org@example.org",
        "else.example!alice@example.org",
        '"alice@example.org"@example.org',
        '"else@example.com"@example.org',
        '"alice "@example.org',
        '"../alice"@example.org',
    ],
)
def test_nobodys(sorter, path):
    """Any other local part is nobody's, and none is read as a route to elsewhere."""
    told = sort(sorter, path)
    expected = reply.NO_SUCH_USER if path.endswith("@example.org") else reply.NOT_OUR_DOMAIN
    assert isinstance(told, Refused)
    assert told.reply == expected


@pytest.mark.parametrize(
    "path",
    [
        "alice@example.com",
        "alice@sub.example.org",
        "alice@example.org.example.com",
        "alice@mx.example.org",
        "alice@[127.0.0.1]",
        "alice@[192.0.2.25]",
        "postmaster@[192.0.2.26]",
        "postmaster@example.com",
        "alice@localhost",
    ],
)
def test_not_ours(sorter, path):
    """Every other domain is refused: the office relays for nobody."""
    told = sort(sorter, path)
    assert isinstance(told, Refused)
    assert told.reply == reply.NOT_OUR_DOMAIN


@pytest.mark.parametrize("local", ["\u212aate", "\uff41lice", "al\u0456ce", "\u00fc"])
def test_look_alikes(book, local):
    """A local part that only looks like a name, or whose lower case does, is nobody's."""
    book.accounts["kate"] = 9
    sorter = LocalSorter(book, config())
    assert sorter.sort(Address(local, "example.org")).reply == reply.NO_SUCH_USER


@pytest.mark.parametrize(
    "domain", ["\u00fc", "\u00fc..example", "\u00fc-.example", "\u2488com", "\ud800.x"]
)
def test_no_domain_at_all(sorter, domain):
    """What cannot be a domain is not ours, and nothing worse."""
    assert sorter.sort(Address("alice", domain)).reply == reply.NOT_OUR_DOMAIN


def test_a_store_that_fails(book):
    """Where the account book cannot be read, nobody is refused: try later."""

    def find(domain, local):
        raise OSError("disk")

    book.find = find
    told = LocalSorter(book, config()).sort(Address("alice", "example.org"))
    assert isinstance(told, TryLater)
    assert told.reply == reply.LOCAL_ERROR
    assert "disk" in told.reason


def whose(local):
    """The name in a local part, without a detail."""
    return local.lower().partition("+")[0]


@given(st.text(max_size=70), st.text(max_size=30))
def test_any_address(local, domain):
    """Every address whatever has an answer, and only an account's own is delivered."""
    sorter = LocalSorter(Book(), config())
    told = sorter.sort(Address(local, domain))
    assert isinstance(told, Refused) or whose(local) in {"alice", "postmaster", "abuse"}


@given(st.text(alphabet='alice@%!"\\. :,[]postmaster.example.org', max_size=60))
def test_any_path(path):
    """No path that parses leads to anybody but whom it plainly names."""
    try:
        address, _ = parse_rcpt(f"TO:<{path}>")
    except PathError:
        return
    sorter = LocalSorter(Book(), config())
    if isinstance(sorter.sort(address), Destination):
        assert whose(address.local) in {"alice", "postmaster"}


def test_one_look(book):
    """An account by its very name, and an address of another domain, cost one look into the store."""
    for path in ("alice@example.org", "alice@example.com", "B.o-b_2@xn--bcher-kva.example"):
        book.looks = 0
        sort(LocalSorter(book, config()), path)
        assert book.looks == 1
