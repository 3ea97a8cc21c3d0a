"""Headers with UTF-8, said in US-ASCII (RFC 6857)."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import downgrade
from mailpost.wire.downgrade import LONGEST, MOST, Downgrader, downgraded

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
    assert (sender.display_name.split(), sender.addresses) == (["Jörg", "jörg@example.net"], ())
    assert bob.addresses[0].addr_spec == "bob@example.net"
    assert message["to"].groups[0].display_name == "ö@x.example"


def test_parameters():
    """Names of files are encoded as RFC 2231 has it."""
    message = parsed('Content-Disposition: attachment; size=3; filename="Grüße; \\"x\\".txt"\r\n')
    assert message.get_filename() == 'Grüße; "x".txt'
    assert message.get_content_disposition() == "attachment"


def test_the_postmark():
    """Return-Path and Delivered-To are addresses, Received loses a clause (RFC 6857 §3.2.1, §3.2.4)."""
    plain = downgraded(
        "Return-Path: <jörg@x>\r\nDelivered-To: ö@x\r\nReceived: from a (ö b) by c\r\n"
        " with UTF8SMTP id 1\r\n for <ö@x>; now\r\n".encode()
    )
    assert plain == (
        b"Return-Path: =?UTF-8?B?asO2cmdAeA==?= :;\r\nDelivered-To: =?UTF-8?B?w7ZAeA==?= :;\r\n"
        b"Received: from a (=?UTF-8?B?w7YgYg==?=) by c\r\n with UTF8SMTP id 1; now\r\n"
    )


@pytest.mark.parametrize(
    ("field", "plain"),
    [
        # §3.1.7: the name stands for itself, and the list becomes its second part.
        ("To: friends: a@x, ö@x;", "To: friends =?UTF-8?B?YUB4LCDDtkB4?= :;"),
        (
            "To: frö: a@x, Ö <b@ö.de>; (c)",
            "To: =?UTF-8?B?ZnLDtg==?=: a@x, =?UTF-8?B?w5Y=?= <b@xn--nda.de>; (c)",
        ),
        ("To: frö: ö@x;", "To: =?UTF-8?B?ZnLDtiA=?= =?UTF-8?B?w7ZAeA==?= :;"),
        # §3.1.8: the address alone becomes the name of an empty group, a comment stays behind it.
        ("Cc: Fred <ö@x> (c), b@x", "Cc: Fred =?UTF-8?B?w7ZAeA==?= :; (c), b@x"),
        ("Cc: Ö <ö@x>", "Cc: =?UTF-8?B?w5Yg?= =?UTF-8?B?w7ZAeA==?= :;"),
        # Comments in comments, and specials in them.
        ("Cc: b@x (B (Ö, <c>))", "Cc: b@x (=?UTF-8?B?QiAow5YsIDxjPik=?=)"),
        ('Cc: "a, Ö" <b@x> (ö)', "Cc: =?UTF-8?B?YSwgw5Y=?= <b@x> (=?UTF-8?B?w7Y=?=)"),
        ("Cc: a@[IPv6:::1], Ö <b@[1.2.3.4]>", "Cc: a@[IPv6:::1], =?UTF-8?B?w5Y=?= <b@[1.2.3.4]>"),
        ("Cc: Ö <@a,@c:b@x>, d@x", "Cc: =?UTF-8?B?w5Y=?= <@a,@c:b@x>, d@x"),
        ("Cc: Ö", "Cc: =?UTF-8?B?w5Y=?= :;"),
        ("Cc: ö@x, <b@x", "Cc: =?UTF-8?B?w7ZAeA==?= :;, <b@x"),
        ("Cc: > ö <b@x", "Cc: =?UTF-8?B?PiDDtiA8YkB4?= :;"),
        ("Cc: ö > b@x <", "Cc: =?UTF-8?B?w7YgPiBiQHggPA==?= :;"),
        ("Cc: g: <b;ö@x>;", "Cc: g =?UTF-8?B?PGI7w7ZAeD4=?= :;"),
        ("Cc: ö <b@x", "Cc: =?UTF-8?B?w7YgPGJAeA==?= :;"),
        ('Cc: "ö', "Cc: =?UTF-8?B?IsO2?= :;"),
        ("Cc: (ö", "Cc: =?UTF-8?B?KMO2?= :;"),
        # §3.1.6: A-labels of IDNA2008, in which ß is no ss.
        ("Cc: b@straße.de", "Cc: b@xn--strae-oqa.de"),
        ("Cc: b@EXÄMPLE.de", "Cc: b@xn--exmple-cua.de"),
        ("Cc: b@a;ö, c@ö ö", "Cc: =?UTF-8?B?YkBhO8O2?= :;, =?UTF-8?B?Y0DDtiDDtg==?= :;"),
        ("Cc: b@%s" % ("ö" * 64), None),
        ("Cc: b@%s.de" % ("ö\u200d" * 31), None),
        # §3.2.2, §3.2.3, §3.1.10.
        (
            "Date: Mon, 1 Jan 2024 00:00:00 +0000 (Köln)",
            "Date: Mon, 1 Jan 2024 00:00:00 +0000 (=?UTF-8?B?S8O2bG4=?=)",
        ),
        ("MIME-Version: 1.0 ö", "MIME-Version: 1.0 =?UTF-8?B?w7Y=?="),
        ("Message-ID: <a@x> (ö)", "Message-ID: <a@x> (=?UTF-8?B?w7Y=?=)"),
        ("Message-Id: <ö@x>", "Downgraded-Message-Id: =?UTF-8?B?PMO2QHg+?="),
        ("References: <a@x> <ö@x>", "Downgraded-References: <a@x> =?UTF-8?B?PMO2QHg+?="),
        # §3.2.4.
        ("Received: from ö.de by a id ö; now", "Received: from xn--nda.de by a; now"),
        ("Received: by a for <b@ö.de>; now", "Received: by a for <b@xn--nda.de>; now"),
        ("Received: by a for ö@x id 5", "Received: by a id 5"),
        ("Received: by a for <for@ö x>", "Received: by a"),
        ("Received: by a for b (ö)", "Received: by a for b (=?UTF-8?B?w7Y=?=)"),
        ("Received: by ö;x for ö", "Received: by xn--nda;x"),
        # §3.2.5.
        (
            "Content-Type: a/b (ö;x); n=ö",
            "Content-Type: a/b (=?UTF-8?B?w7Y7eA==?=); n*=UTF-8''%C3%B6",
        ),
        ('Content-Type: a/b; n=(c) "ö (x)"', "Content-Type: a/b; n*=UTF-8''%C3%B6%20%28x%29"),
        ('Content-Type: a/ö; ö=c; "ö', 'Content-Type: a/?; ?=c; "?'),
        ('Content-Type: a; n*1="ö"; n*0="b"; m*0=x', "Content-Type: a; n*=UTF-8''b%C3%B6; m*0=x"),
        # §3.2.7.
        ('Keywords: a b, "c, ö" d,ö', "Keywords: a b, =?UTF-8?B?Yywgw7YgZA==?=, =?UTF-8?B?w7Y=?="),
        # §3.2.8, RFC 2047 §6.2: what stood between two words is seen as before.
        ("X: =?UTF-8?Q?a?= ö =?UTF-8?Q?b?=", "X: =?UTF-8?Q?a?= =?UTF-8?B?IMO2IA==?= =?UTF-8?Q?b?="),
        # §3.1.9.
        (
            "Original-Recipient: utf-8;jö+\\x{2014}@x (ö)",
            "Original-Recipient: utf-8; j\\x{F6}+\\x{2014}@x (=?UTF-8?B?w7Y=?=)",
        ),
        (
            "Final-Recipient: rfc822; ö@x",
            "Downgraded-Final-Recipient: rfc822; =?UTF-8?B?w7ZAeA==?=",
        ),
        ("Final-Recipient: ö", "Downgraded-Final-Recipient: =?UTF-8?B?w7Y=?="),
    ],
)
def test_by_the_letter(field, plain):
    """What RFC 6857 §3 makes of each field; an address that is no address becomes an empty group."""
    said = downgraded(field.encode() + b"\r\n")
    assert said.endswith(b"\r\n")
    if plain is None:
        assert said.isascii()
        assert said.endswith(b" :;\r\n")
    else:
        assert said[:-2].replace(b"\r\n", b"") == plain.encode()


@pytest.mark.parametrize("name", ["äöü" * 20 + ".pdf", "b" * 70 + "ö", "\U0001f600" * 40])
@pytest.mark.parametrize("field", ["Content-Disposition: attachment", "Content-Type: text/plain"])
def test_long_parameters(name, field):
    """A name that one line cannot hold comes in sections (RFC 2231 §3), and is read as it was."""
    key = "filename" if "Disposition" in field else "name"
    message = parsed(f'{field}; {key}="{name}"; x=y\r\n')
    assert message.get_filename() == name


@given(st.sampled_from(NAMES), VALUES)
def test_lines_with_encoded_words_are_short(name, value):
    """A line with an encoded word has 76 characters at most (RFC 2047 §2)."""
    for line in downgraded(f"{name}: {value}\r\n".encode()).split(b"\r\n"):
        assert len(line) <= 76 or b"=?" not in line


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


@pytest.mark.parametrize("number", ["", "*0"])
def test_a_parameter_with_an_endless_name(number):
    """It is no parameter: its name would be said with each section of its value, 1000 times here."""
    field = f'Content-Type: a/b; {"n" * 30_000}{number}="{"ö" * 10_000}"\r\n'.encode()
    said = downgraded(field).replace(b"\r\n ", b" ")
    assert said == field.decode().encode("ascii", "replace")


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""])
def test_the_end_of_a_field(end):
    """The line end stays as it is, such as none of our own letters has, too."""
    assert downgraded("X: ö".encode() + end) == b"X: =?UTF-8?B?w7Y=?=" + end


def test_more_than_is_rewritten():
    """Beyond half a MiB of fields that are rewritten, UTF-8 is shown as question marks."""
    field = "X: é\r\n".encode()
    times = MOST // len(field)
    plain = downgraded(field * (times + 2))
    assert plain == b"X: =?UTF-8?B?w6k=?=\r\n" * times + b"X: ??\r\n" * 2


@pytest.mark.parametrize(
    "octets", ["ö,", "(", '"', ";", "a=ö;", "ö@ö.", "<", "ö:", " for ö", "\\", "[", "n*0=ö;"]
)
@pytest.mark.parametrize("name", ["To", "Received", "Content-Type", "Date", "Keywords", "X"])
def test_nothing_is_quadratic(name, octets):
    """Eight times the octets take some eight times as long, whatever is repeated in a field."""
    took = []
    for size in (1000, 8000):
        field = f"{name}: {octets * (size // len(octets))}ö\r\n".encode()
        began = time.process_time()
        assert downgraded(field).isascii()
        took.append(time.process_time() - began)
    assert took[1] < 40 * took[0] + 0.1
