"""The names of accounts, and what may be typed to log in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.accounts.names import BadName, account_name, login_name

DOMAINS = {"example.org", "xn--bcher-kva.example"}


@pytest.mark.parametrize(
    ("text", "name"),
    [("alice", "alice"), ("Alice", "alice"), ("a", "a"), ("7", "7"), ("a.b-c_d", "a.b-c_d")],
)
def test_a_name(text, name):
    """A name is letters, digits, dots, _ and -, in lower case."""
    assert account_name(text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least one character"),
        ("x" * 65, "at most 64 characters, not 65"),
        ("alice@example.org", "without its domain"),
        ("../etc", 'not of "/"'),
        ("..", "two dots in a row"),
        ("a..b", "two dots in a row"),
        (".a", "begins and ends with"),
        ("a-", "begins and ends with"),
        ("a\0b", r"not of \(U\+0000, a control character\)"),
        ("a\nb", r"not of \(U\+000A"),
        ("a b", r'not of " " \(U\+0020, SPACE\)'),
        ("a+b", "PLUS SIGN"),
        ("%2e%2e", "PERCENT SIGN"),
        ("p\u0430ul", "CYRILLIC SMALL LETTER A"),
        ("a\uff0e", "FULLWIDTH FULL STOP"),
        ("\u212aate", "KELVIN SIGN"),
        ("m\u00fcller", "LATIN SMALL LETTER U WITH DIAERESIS"),
    ],
)
def test_no_name(text, reason):
    """What cannot be a name is refused with the reason; a look-alike letter is named."""
    with pytest.raises(BadName, match=reason):
        account_name(text)


@given(st.text(max_size=80))
def test_any_text(text):
    """Any text is a name or is refused; a name is its own one form, and what one logs in with."""
    try:
        name = account_name(text)
    except BadName as error:
        reason = str(error)
    else:
        reason = ""
    if reason:
        assert reason.isprintable()
        return
    assert account_name(name) == name
    assert len(name) <= 64
    assert not set(name) & set("/\\\0@%")
    assert login_name(text.encode(), DOMAINS) == name


@pytest.mark.parametrize(
    "login",
    [
        b"alice",
        b"ALICE",
        b"alice@example.org",
        b"Alice@EXAMPLE.org",
        "alice@b\u00fccher.example".encode(),
        b"alice@xn--bcher-kva.example",
    ],
)
def test_login(login):
    """One logs in with the name, or with an address at a domain of the office, in any case."""
    assert login_name(login, DOMAINS) == "alice"


@pytest.mark.parametrize(
    "login",
    [
        b"",
        b"@",
        b"alice@",
        b"@example.org",
        b"alice@example.com",
        b"alice@example.org@example.org",
        b"alice%example.org",
        b"alice/../bob",
        b"alice\0",
        b"\xff\xfe",
        b"al ice",
        b"x" * 300,
        "\u212aate".encode(),
        "\uff41lice".encode(),
    ],
)
def test_nobodys_login(login):
    """Whatever else is typed is nobody's name; it is not repaired into one."""
    assert login_name(login, DOMAINS) is None


@given(st.binary(max_size=80))
def test_any_login(login):
    """Any octets at all are somebody's name or nobody's."""
    name = login_name(login, DOMAINS)
    assert name is None or account_name(name) == name
