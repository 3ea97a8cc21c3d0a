"""Addresses as they are typed, compared and kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.envelope import Address
from mailpost.sorting import addresses
from mailpost.store import BadAddress


@pytest.mark.parametrize(
    ("typed", "local", "domain"),
    [
        ("info@example.org", "info", "example.org"),
        ("Info@Example.ORG", "info", "example.org"),
        ("info", "info", ""),
        ('"john smith"', "john smith", ""),
        ('"John Smith"@example.org', "john smith", "example.org"),
        ("B\u00dcRO@b\u00fccher.example", "b\u00fcro", "xn--bcher-kva.example"),
        ("list+owner", "list+owner", ""),
    ],
)
def test_an_address(typed, local, domain):
    """One form for each; it survives being kept."""
    address = addresses.address(typed)
    assert address == Address(local, domain)
    assert addresses.alias_address(typed) == address
    assert addresses.read(addresses.written(address)) == address
    assert addresses.address(str(address)) == address


def test_whatever_nobody_has():
    """An alias may be a whole domain's rest; a target may not."""
    rest = addresses.alias_address("@Example.org")
    assert rest == Address("", "example.org")
    assert addresses.shown("example.org", "") == "@example.org"
    with pytest.raises(BadAddress):
        addresses.address("@example.org")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "is no address, and no name"),
        ("a b", "is no address, and no name"),
        ("a..b@example.org", "is no address"),
        ("a@b@example.org", "is no address"),
        ("a@exa mple.org", "is no domain name"),
        ("a@", "is no domain name"),
        ("@", "is no domain name"),
        ("*@example.org", "whatever nobody has there is @example.org"),
        ('"a@b"@example.org', "cannot be the name of anybody here"),
        ('"a@b"', "cannot be the name of anybody here"),
        ("a\x1b[2J", "is no address"),
        ("x" * 65, "is no address"),
        ("a> SIZE=1 <b@example.org", "is no address"),
    ],
)
def test_no_address(typed, why):
    """What is wrong is told, and safe to print."""
    with pytest.raises(BadAddress) as told:
        addresses.alias_address(typed)
    assert why in str(told.value)
    assert str(told.value).isprintable()


def test_a_name_that_is_too_long():
    """64 octets, as everywhere (RFC 5321 §4.5.3.1.1)."""
    assert addresses.name("x" * 64).local == "x" * 64
    with pytest.raises(BadAddress, match="longer than 64"):
        addresses.name("\u00fc" * 33)


@given(st.text(max_size=40))
def test_folding(local):
    """A folded name stays as it is, and nothing beyond US-ASCII becomes a name within it."""
    folded = addresses.folded(local)
    assert addresses.folded(folded) == folded
    if not local.isascii():
        assert folded == "" or not folded.isascii()
    else:
        assert addresses.folded(local.upper()) == folded
