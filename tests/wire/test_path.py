"""The arguments of MAIL and RCPT."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.path import Address, PathError, parse_mail, parse_rcpt
from mailpost.wire.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
ATOM = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=12)
LOCAL = st.lists(ATOM, min_size=1, max_size=4).map(".".join) | st.text(
    PRINTABLE, min_size=1, max_size=25
)
LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?", fullmatch=True)
LITERAL = st.ip_addresses(v=4).map(lambda ip: f"[{ip}]") | st.ip_addresses(v=6).map(
    lambda ip: f"[ipv6:{ip}]"
)
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join) | LITERAL
ADDRESSES = st.builds(Address, LOCAL, DOMAIN)
TOKENS = (
    """FROM: TO: < > @ : , " \\ . a example [ ] IPv6: SIZE= 1 :: % - <postmaster> = \xe9 \u212a"""
)
NEARLY = st.lists(
    st.sampled_from([*TOKENS.split(), " ", "\t", "\x1f"]) | st.characters(), max_size=20
).map("".join)


@given(ADDRESSES)
def test_an_address_is_read_back(address: Address) -> None:
    """However an address must be written, it is read as what it was."""
    try:
        read, parameters = parse_mail(f"FROM:<{address}>")
    except PathError:
        assert len(str(address)) > 64  # the quotes and backslashes made it too long
        return
    assert read == address
    assert parameters == {}
    assert parse_rcpt(f"to:<{address}>") == (address, {})


@given(NEARLY)
@example("FROM:<a@[IPv6:fe80::1%>,<b@example]>")
@example("FROM:<a@b> SIZE=²")
def test_nothing_else_is_raised(argument: str) -> None:
    """Whatever the argument: an address, or a PathError with a 5yz; and what was read is written alike."""
    for parse, verb in ((parse_mail, "FROM:"), (parse_rcpt, "TO:")):
        for text in (argument, verb + argument, f"{verb}<{argument}>", f"{verb}<a@b>{argument}"):
            read = result(parse, text)
            if isinstance(read, Reply):
                assert 500 <= read.code < 600
            elif read is not None and read.domain:
                assert str(read).isascii()
                assert not {*"\r\n\0"} & {*str(read)}
                assert result(parse_rcpt, f"TO:<{read}>") == read


def result(parse: Callable[..., Any], text: str) -> Address | Reply | None:
    """The address that was read, or the reply to what is none."""
    try:
        return parse(text)[0]
    except PathError as error:
        return error.reply


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ('"bob"@example.org', "bob@example.org"),
        (r'"b\ob"@example.org', "bob@example.org"),
        ('"two words"@example.org', '"two words"@example.org'),
        (r'"a\"b\\c"@example.org', r'"a\"b\\c"@example.org'),
        ('".dots..any."@example.org', '".dots..any."@example.org'),
        ("Bob@EXAMPLE.Org", "Bob@example.org"),
        ("bob@sub_domain.example", "bob@sub_domain.example"),
        ("@a.example,@b.example:bob@example.org", "bob@example.org"),
        ("bob@[192.0.2.1]", "bob@[192.0.2.1]"),
        ("bob@[IPv6:2001:DB8:0:0::1]", "bob@[ipv6:2001:db8::1]"),
    ],
)
def test_canonical_form(path: str, address: str) -> None:
    """Addresses that are the same are equal, and are written in one way."""
    assert str(parse_rcpt(f"TO:<{path}>")[0]) == address


@pytest.mark.parametrize(
    "path",
    [
        "",
        "bob",
        "@example.org",
        "bob@",
        "bob@@example.org",
        ".bob@example.org",
        "bob.@example.org",
        "b..ob@example.org",
        "bob@.example.org",
        "bob@example..org",
        "bob@example.org.",
        "bob@-example.org",
        "bob@example-.org",
        "b ob@example.org",
        'b"o"b@example.org',
        '"bob@example.org',
        '"b"ob"@example.org',
        '"bob\\"@example.org',
        '""@example.org',
        "bob@[192.0.2]",
        "bob@[192.0.2.01]",
        "bob@[IPv6:fe80::1%eth0]",
        "bob@[IPv6:fe80::1%>,<evil@example.net]",
        "bob@[tag:anything]",
        "bob@exam(comment)ple.org",
        "bob\0@example.org",
        "bob@example.org\r\nRCPT TO:<eve@example.net",
    ],
)
def test_no_address(path: str) -> None:
    """What does not fit the grammar is refused, never repaired and never cut short."""
    with pytest.raises(PathError) as caught:
        parse_rcpt(f"TO:<{path}>")
    assert caught.value.reply == reply.BAD_RECIPIENT
    if path:
        with pytest.raises(PathError) as caught:
            parse_mail(f"FROM:<{path}>")
        assert caught.value.reply == reply.BAD_SENDER


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("b\u00f6b@example.org", ("b\u00f6b", "example.org")),
        ("bo\u0308b@example.org", ("b\u00f6b", "example.org")),
        ("bob@ex\u00e4mple.org", ("bob", "ex\u00e4mple.org")),
        ("bob@example\uff0eorg", ("bob", "example\uff0eorg")),
        ('"b \u00f6"@example.org', ("b \u00f6", "example.org")),
    ],
)
def test_beyond_ascii(path: str, address: tuple[str, str]) -> None:
    """UTF-8 is read, in its composed form; it is told apart, and look-alikes stay what they are."""
    found, _ = parse_rcpt(f"TO:<{path}>")
    assert found == address
    assert not found.isascii()
    assert parse_mail(f"FROM:<{path}>")[0] == address


@pytest.mark.parametrize(
    "path",
    [
        "\u00f6" * 33 + "@example.org",
        "bob@" + "\u00e4" * 130,
        "bob@[\u0661\u0669\u0662.0.2.1]",
    ],
)
def test_no_address_beyond_ascii(path: str) -> None:
    """Lengths count octets, not characters; an address literal has the digits of US-ASCII."""
    with pytest.raises(PathError) as caught:
        parse_rcpt(f"TO:<{path}>")
    assert caught.value.reply == reply.BAD_RECIPIENT


def test_special_paths() -> None:
    """The null reverse-path and the postmaster."""
    assert parse_mail("FROM:<>") == (None, {})
    assert parse_mail("from:<> size=5 body=7BIT") == (None, {"SIZE": "5", "BODY": "7BIT"})
    assert parse_rcpt("TO:<PostMaster>") == (Address("PostMaster", ""), {})
    assert str(Address("postmaster", "")) == "postmaster"
    assert parse_rcpt("TO:<postmaster> X") == (Address("postmaster", ""), {"X": None})


@pytest.mark.parametrize(
    "hostile",
    [
        "<" + "a" * 100_000 + ">",
        "<" + "a." * 50_000 + "@",
        "<" + '"' + "\\a" * 50_000,
        "<" + "@a," * 30_000 + ":",
        "<" + "@a.b.c.d.e,@" * 10_000,
        "<a@" + "b-" * 50_000,
        "<a@" + "b." * 50_000 + "!",
        "<a@" + "-" * 100_000,
        "<a@[" + "1" * 100_000,
        "<a@[IPv6:" + ":" * 100_000 + "]>",
        "<a@b>" + " SIZE=1" * 20_000,
        "<a@b> " + "A" * 100_000 + "!",
        "<a@b>" + " " * 100_000 + "=",
    ],
    ids=range(13),
)
def test_hostile_arguments_cost_little(hostile: str) -> None:
    """100 KB of what almost fits is refused in a time that grows with its length alone."""
    began = time.process_time()
    with pytest.raises(PathError):
        parse_mail(f"FROM:{hostile}")
    with pytest.raises(PathError):
        parse_rcpt(f"TO:{hostile}")
    assert time.process_time() - began < 1
