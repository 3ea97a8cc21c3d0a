"""Headers within a letter: which are found, and what is left as it is (RFC 6857 §4, RFC 2046)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.downgrade import Downgrader, downgraded
from mailpost.wire.mime import MAX_DEPTH, MAX_HEADERS, may_have_more

FIELD = "Content-Description: ö\r\n".encode()
PLAIN = b"Content-Description: =?UTF-8?B?w7Y=?=\r\n"
TEXT = "text ö\r\n".encode()
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n"
MESSAGE = b"Content-Type: message/rfc822\r\n"


def is_said(letter: bytes, *, times: int = 1, left: int = 0) -> None:
    """The field is said in US-ASCII so often, and elsewhere nothing is another than it was."""
    plain = downgraded(letter)
    assert plain.count(PLAIN) == times
    assert plain.count(FIELD) == left
    assert plain.replace(PLAIN, FIELD) == letter


@pytest.mark.parametrize(
    "letter",
    [
        MIXED + b"\r\n--b\r\n" + FIELD + b"\r\n" + TEXT + b"--b--\r\n" + TEXT,
        MIXED + b"\r\npreamble\r\n--b \t\r\nX: y\r\n z\r\n" + FIELD + b"\r\n--b--\r\n",
        b'content-TYPE :MULTIPART/x (c; boundary=a);x=y; BOUNDARY = "b"\r\n\r\n--b\r\n' + FIELD,
        b"Content-Type: multipart/a;\r\n boundary=b\r\n\r\n--b\r\n" + FIELD + b"--b\r\n\r\n",
        b'Content-Type: multipart/a; boundary="b c=?:"\r\n\r\n--b c=?:\r\n' + FIELD + b"\r\n",
        MIXED + b"Content-Transfer-Encoding: 8BIT\r\n\r\n--b\r\n" + FIELD + b"\r\n",
        MESSAGE + b"\r\nSubject: x\r\n" + FIELD + b"\r\n" + TEXT,
        b"Content-Type: message/global\r\n\r\n" + FIELD + b"\r\n" + TEXT,
        MESSAGE + b"\r\n" + MIXED + b"\r\n--b\r\n" + FIELD + b"\r\n",
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" + FIELD + b"\r\n" + TEXT,
        MIXED + b"\r\n--b\r\n\r\nbody\r\n--bb\r\n--b\r\n" + FIELD + b"\r\n",
        MIXED + b"\r\n" + b"--" + b"c" * 300 + b"\r\n--b" + b"\r\n" + FIELD + b"\r\n",
        # An inner multipart that is not closed ends with the outer one's next boundary.
        MIXED + b"\r\n--b\r\n" + MIXED.replace(b"=b", b"=c") + b"\r\n--c\r\n\r\n--b\r\n" + FIELD,
        # And one that is closed gives way to it at once.
        MIXED + b"\r\n--b\r\n" + MIXED.replace(b"=b", b"=c") + b"\r\n--c--\r\n--b\r\n" + FIELD,
        # A header that has no end, a part without a body, a letter cut off.
        MIXED + b"\r\n--b\r\nX: y\r\n--b\r\n" + FIELD + b"--b--\r\n" + TEXT,
        MIXED + b"\r\n--b\r\n\r\n--b\r\n" + FIELD + b"\r\n--b--",
        MIXED + b"\r\n--b\r\n" + FIELD,
    ],
)
def test_found(letter: bytes) -> None:
    """A part's header is rewritten, and nothing else."""
    is_said(letter)


@pytest.mark.parametrize(
    "letter",
    [
        b"\r\n--b\r\n" + FIELD,
        b"Content-Type: text/plain; boundary=b\r\n\r\n--b\r\n" + FIELD,
        b"Content-Type: multipart/mixed\r\n\r\n--\r\n" + FIELD,
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n" + FIELD,
        MIXED + b"Content-Transfer-Encoding: base64\r\n\r\n--b\r\n" + FIELD,
        MIXED
        + b"\r\n"
        + FIELD
        + b"\r\n-b\r\n"
        + FIELD
        + b"\r\n--bb\r\n"
        + FIELD
        + b"x--b\r\n"
        + FIELD,
        MIXED + b"\r\n--b--\r\n--b\r\n" + FIELD,
        MIXED + b"\r\n--b\r\n\r\n" + FIELD + b"--b--\r\n" + FIELD,
        MESSAGE + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + FIELD,
        b"Content-Type: message/partial\r\n\r\n" + FIELD,
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"b" * 71, b"b" * 71)
        + FIELD,
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + FIELD + b"\r\n--b--\r\n",
        b"X: \xff\r\n\r\n" + FIELD,
    ],
)
def test_not_found(letter: bytes) -> None:
    """What is no part, or broken, or encoded, or signed, goes by octet for octet."""
    assert downgraded(letter) == letter


def test_beside_what_is_signed() -> None:
    """Nothing within multipart/signed is another (RFC 1847 §2.1); what stands beside it is."""
    signed = b"Content-Type: multipart/signed; boundary=s\r\n"
    within = b"--s\r\n" + FIELD + b"\r\n--s\r\n\r\n--s--\r\n"
    letter = (
        MIXED + b"\r\n--b\r\n" + signed + FIELD + b"\r\n" + within + b"--b\r\n" + FIELD + b"\r\n"
    )
    plain = downgraded(letter)
    assert plain == (
        MIXED + b"\r\n--b\r\n" + signed + PLAIN + b"\r\n" + within + b"--b\r\n" + PLAIN + b"\r\n"
    )


def test_names_of_files() -> None:
    """What is common in mail: an attachment whose name has UTF-8."""
    part = 'Content-Type: a/b; name="Größe.pdf"\r\nContent-Disposition: attachment; filename="Größe.pdf"\r\n'
    letter = MIXED + b"\r\n--b\r\n" + part.encode() + b"\r\n" + TEXT + b"--b--\r\n"
    assert downgraded(letter) == (
        MIXED + b"\r\n--b\r\nContent-Type: a/b; name*=UTF-8''Gr%C3%B6%C3%9Fe.pdf\r\n"
        b"Content-Disposition: attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf\r\n\r\n" + TEXT + b"--b--\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("kind", [b"message/delivery-status", b"message/global-delivery-status"])
def test_delivery_reports(kind: bytes) -> None:
    """Of a report the addresses of the recipients are rewritten, and nothing else (RFC 6857 §4.2)."""
    report = (
        "Reporting-MTA: dns; ö\r\n\r\nOriginal-Recipient: utf-8; ö@x\r\nAction: failed\r\n\r\n"
        "Final-Recipient: utf-8; ö@x\r\nDiagnostic-Code: ö\r\nX: %s\r\n" % ("ö" * 40_000)
    ).encode()
    letter = MIXED + b"\r\n--b\r\nContent-Type: " + kind + b"\r\n\r\n%b--b\r\n" + FIELD + b"\r\n"
    said = report.replace("utf-8; ö".encode(), b"utf-8; \\x{F6}")
    assert downgraded(letter % report) == letter.replace(FIELD, PLAIN) % said


def test_depth() -> None:
    """Deeper than is followed there is text; what it stands in is found again."""
    begin = b"Content-Type: multipart/a; boundary=%d\r\n" + FIELD + b"\r\n--%d\r\n"
    deep = MAX_DEPTH + 50
    letter = b"".join(begin % (n, n) for n in range(deep)) + b"--0\r\n" + FIELD + b"\r\n"
    is_said(letter, times=MAX_DEPTH + 2, left=deep - MAX_DEPTH - 1)


def test_more_parts_than_are_followed() -> None:
    """Past ten thousand headers the rest goes by as it is."""
    part = b"--b\r\n" + FIELD + b"\r\n"
    letter = MIXED + b"\r\n" + part * (MAX_HEADERS + 5)
    is_said(letter, times=MAX_HEADERS - 1, left=6)


def test_a_boundary_twice() -> None:
    """A multipart within itself is none: its boundary is the outer one's."""
    letter = (
        MIXED + b"\r\n--b\r\n" + MIXED + b"\r\n--b\r\n" + FIELD + b"\r\n--b--\r\n--b\r\n" + FIELD
    )
    is_said(letter, left=1)


WORDS = [
    MIXED,
    MIXED.replace(b"=b", b"=c"),
    b"Content-Type: multipart/digest; boundary=-\r\n",
    MESSAGE,
    b"Content-Type: message/delivery-status\r\n",
    b"Final-Recipient: utf-8; \xc3\xb6\r\n",
    FIELD,
    TEXT,
    *(
        b"\r\n",
        b"--b\r\n",
        b"--c\r\n",
        b"--b--\r\n",
        b"--c-- \r\n",
        b"---\r\n",
        b"-----\r\n",
        b"--b",
    ),
    *(b" fold\r\n", b"\r", b"\n", b"-", b"x" * 270 + b"\r\n", b"-- \r\n"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=30), st.lists(st.integers(1, 40), max_size=30))
def test_cutting_never_matters(words: list[bytes], cuts: list[int]) -> None:
    """However it is cut, the same comes out, and hardly anything is held."""
    letter = b"".join(words)
    whole = downgraded(letter)
    for sizes in (cuts, [1] * len(letter)):
        downgrader = Downgrader()
        out, start = b"", 0
        for cut in sizes:
            out += downgrader.feed(letter[start : start + cut])
            start += cut
            assert len(downgrader._buffer) <= 1500
        out += downgrader.feed(letter[start:]) + downgrader.end()
        assert out == whole
        assert downgrader.changed == (whole != letter)


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_the_quick_look(words: list[bytes]) -> None:
    """Where a part's header has more than US-ASCII, the quick look never misses it."""
    letter = b"Subject: x\r\n" + b"".join(words)
    header = letter.partition(b"\r\n\r\n")[0]
    if header.isascii() and downgraded(letter) != letter:
        assert may_have_more(header, letter)


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (b"--b\r\nContent-Type: text/plain\r\n\r\n" + TEXT * 500 + b"-- \r\n" + TEXT, False),
        (b"--b\r\nContent-Type: a\r\n\r\n" + TEXT + b"--b\r\n\r\n" + b"x" * 9000, False),
        (TEXT, False),
        (b"--b\r\nContent-Type: a\r\n\r\n" + b"x" * 9000 + b"\r\n--b\r\n" + FIELD, True),
        (b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + FIELD, True),
        (b"--b\r\n\r\n" + FIELD, True),
        ((b"--b\r\nContent-Type: a\r\n\r\n" + TEXT) * 50, False),
        ((b"--b\r\nContent-Type: a\r\n\r\n" + TEXT) * 500, True),
    ],
)
def test_what_the_quick_look_sees(body: bytes, more: bool) -> None:  # noqa: FBT001
    """UTF-8 in the text of parts is nothing to it."""
    assert may_have_more(MIXED[:-2], MIXED + b"\r\n" + body) is more


@pytest.mark.parametrize(
    "unit",
    [
        b"\r\n--", b"--b\r\n", b"--c\r\n", b"--b\r\n\r\n", b"\r\n", b"--b\r\n" + MESSAGE + b"\r\n", b"-",
        b"--b\r\n" + MIXED + b"\r\n", MESSAGE + b"\r\n", b"a: b\r\n", b"\r\n--b--", b"--b\r\nX: \xc3\xb6\r\n",
        b"Content-Type: multipart/a; boundary=c\r\n\r\n--c\r\n",
    ],
)  # fmt: skip
def test_nothing_is_quadratic(unit: bytes) -> None:
    """Eight times the octets take some eight times as long, looked at and rewritten."""
    took = []
    for size in (20_000, 160_000):
        body = MIXED + b"\r\n" + unit * (size // len(unit)) + TEXT
        began = time.process_time()
        may_have_more(MIXED, body)
        downgraded(body)
        took.append(time.process_time() - began)
    assert took[1] < 40 * took[0] + 0.1
