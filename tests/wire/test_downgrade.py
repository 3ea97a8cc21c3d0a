"""Headers with UTF-8, said in US-ASCII (RFC 6857)."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import downgrade
from mailpost.wire.downgrade import LONGEST, Downgrader, downgraded

NAMES = (
    "From",
    "To",
    "Subject",
    "Received",
    "Message-ID",
    "Content-Type",
    "X-Other",
    "Return-Path",
)
VALUES = st.text(st.sampled_from('aé=?"(<>@,:;\\) \u20ac\U0001f600\u00a0'), max_size=60)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)


def letter(fields, body=b"\r\n\xc3\xa9 body\r\n"):
    """A letter with these fields."""
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in fields) + body


def parsed(text):
    """As Python's email package sees the downgraded letter."""
    plain = downgraded(text.encode() + b"\r\n")
    assert plain.isascii()
    assert max(map(len, plain.split(b"\r\n"))) <= 78
    return message_from_bytes(plain, policy=SMTP)


@given(HEADERS, st.lists(st.integers(1, 40), max_size=30))
def test_cutting_never_matters(fields, cuts):
    """However it is cut, the same comes out: a header in US-ASCII, and the body as it came."""
    whole = letter([("Date", "now"), *fields])
    downgrader = Downgrader()
    out, start = b"", 0
    for cut in cuts:
        out += downgrader.feed(whole[start : start + cut])
        start += cut
    out += downgrader.feed(whole[start:]) + downgrader.end()
    assert out == downgraded(whole)
    assert out.partition(b"\r\n\r\n")[0].isascii()
    assert out.endswith(b"\r\n\r\n\xc3\xa9 body\r\n")
    assert downgrader.changed == (out != whole)


@given(st.binary())
def test_nothing_is_raised(octets):
    """Whatever comes, something is given; US-ASCII comes out as it went in."""
    plain = downgraded(octets)
    assert plain == octets or not octets.isascii()


def test_subject():
    """Words are encoded and others left; a long one is folded."""
    subject = "Grüße aus Köln " + "and so on " * 12 + "\u20ac" * 60 + " end"
    message = parsed(f"Subject: {subject}\r\nX-Plain:  as  it came\r\n")
    assert message["subject"] == subject
    assert message["x-plain"] == "as  it came"


@pytest.mark.parametrize(
    ("value", "shown", "plain"),
    [
        ('Jörg <j@x.example>, "Möller, K" <k@x.example>', ["Jörg", "Möller, K"], 2),
        ("j@x.example (Jörg), a@x.example", None, 2),
        ("j@exämple.net", None, 1),
        ("Freunde ö: Jörg <j@x.example>, b@x.example;", ["Jörg", ""], 2),
    ],
)
def test_names(value, shown, plain):
    """Names are encoded; addresses that US-ASCII can say are kept."""
    addresses = parsed(f"To: {value}\r\n")["to"].addresses
    assert len(addresses) == plain
    assert all(str(address.addr_spec).isascii() for address in addresses)
    if shown is not None:
        assert [address.display_name for address in addresses] == shown


def test_an_address_becomes_an_empty_group():
    """An address with UTF-8 can be read, and not be answered (RFC 6857 §3)."""
    message = parsed("From: Jörg <jörg@example.net>, Bob <bob@example.net>\r\nTo: ö@x.example\r\n")
    sender, bob = message["from"].groups
    assert (sender.display_name, sender.addresses) == ("Jörg <jörg@example.net>", ())
    assert bob.addresses[0].addr_spec == "bob@example.net"
    assert message["to"].groups[0].display_name == "ö@x.example"


def test_parameters():
    """Names of files are encoded as RFC 2231 has it."""
    message = parsed('Content-Disposition: attachment; size=3; filename="Grüße; \\"x\\".txt"\r\n')
    assert message.get_filename() == 'Grüße; "x".txt'
    assert message.get_content_disposition() == "attachment"


def test_for_programs():
    """What no program could use is kept for a person, under another name; so is the postmark."""
    plain = downgraded(
        "Return-Path: <jörg@x>\r\nReceived: from a (ö b) by c\r\n with UTF8SMTP id 1\r\n"
        " for <ö@x>; now\r\nMessage-ID: <ö@x>\r\n".encode()
    )
    assert plain == (
        b"Downgraded-Return-Path: =?UTF-8?B?PGrDtnJnQHg+?=\r\n"
        b"Received: from a (=?UTF-8?B?w7Y=?= b) by c\r\n with UTF8SMTP id 1; now\r\n"
        b"Downgraded-Message-ID: =?UTF-8?B?PMO2QHg+?=\r\n"
    )


@pytest.mark.parametrize(
    "field", [b"Subject: \xe9\r\n", b"no field \xc3\xa9\r\n", b"\xc3\xa9: x\r\n"]
)
def test_what_was_broken_before(field):
    """Octets that are no UTF-8, and lines that are no field, go by as they came."""
    assert downgraded(field + b"\r\nx") == field + b"\r\nx"


@pytest.mark.parametrize("piece", [1000, 10**6])
def test_a_field_without_end(piece):
    """It is never held whole, and its UTF-8 is shown as question marks; the next is rewritten."""
    long = b"X: " + b"\xc3\xa9\r\n " * LONGEST + b"\r\n"
    whole = long + "Subject: é\r\n\r\né".encode()
    downgrader = Downgrader()
    out = b""
    for start in range(0, len(whole), piece):
        out += downgrader.feed(whole[start : start + piece])
        assert len(downgrader._buffer) <= LONGEST
    out += downgrader.end()
    said = long.replace(b"\xc3\xa9", b"??")
    assert out == said + "Subject: =?UTF-8?B?w6k=?=\r\n\r\né".encode()


def test_the_work_grows_with_the_letter(monkeypatch):
    """Each octet of the header is rewritten once, in however many lines and pieces it comes."""
    seen = []
    monkeypatch.setattr(downgrade, "rewritten", lambda field: seen.append(len(field)) or field)
    header = "X: é\r\n".encode() * 20_000
    downgrader = Downgrader()
    for start in range(0, len(header), 7):
        downgrader.feed(header[start : start + 7])
    downgrader.end()
    assert sum(seen) == len(header)
