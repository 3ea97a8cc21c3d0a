"""What fuzzing looks at, in the time that a run of the tests has: kept inputs, and some new ones."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .corpus import load
from .targets import CHOICES, TARGETS, WAIT, headers, letter, parsers, pop3, scram, smtp

_PLAIN = base64.b64encode(b"\0alice\0s3cr3t")
_TOKEN = base64.b64encode(b"n,a=alice,\1auth=Bearer s3cr3t\1\1")
_FIRST64 = base64.b64encode(b"n,,n=alice,r=abc") + b"\r\n"
_ENDS = [b"\r\n", b"\n", b"\r", b".", b"..", b"\r\n.\r\n", b"\n.\n", b"\0", b"\xff", b" ", WAIT]
_SMTP = [
    *(b"AUTH OAUTHBEARER " + _TOKEN + b"\r\n", b"AQ==\r\n", b"AUTH XOAUTH2\r\n"),
    b"AUTH SCRAM-SHA-256 " + _FIRST64,
    *(b"EHLO x\r\n", b"LHLO x\r\n", b"MAIL FROM:<c@x>\r\n", b"MAIL FROM:<> SIZE=9\r\n"),
    *(b"RCPT TO:<a@x>\r\n", b"DATA\r\n", b"letter\r\n.\r\n", b"BDAT 6\r\nletter", b"RSET\r\n"),
    *(b"BDAT 6 LAST\r\nletter", b"BDAT 7 LATS\r\nQUIT\r\n.", b"BDAT x\r\n", b"STARTTLS\r\n" + WAIT),
    *(
        b"AUTH PLAIN\r\n" + _PLAIN + b"\r\n",
        b"AUTH PLAIN " + _PLAIN + b"\r\n",
        b"*\r\n",
        b"NOOP\r\n",
    ),
    *(
        b"AUTH LOGIN\r\n",
        b"YWxpY2U=\r\n",
        b"HELP\r\n",
        b"QUIT\r\n",
        b"z" * 301,
        b"Received: x\r\n" * 101,
    ),
    b"EHLO x\r\nMAIL FROM:<c@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
]
_POP3 = [
    *(b"AUTH OAUTHBEARER " + _TOKEN + b"\r\n", b"AQ==\r\n", b"AUTH SCRAM-SHA-256 " + _FIRST64),
    *(b"USER alice\r\n", b"PASS s3cr3t\r\n", b"STAT\r\n", b"LIST\r\n", b"UIDL\r\n", b"RETR 1\r\n"),
    *(b"RETR 3\r\n", b"TOP 1 1\r\n", b"TOP 3 0\r\n", b"DELE 1\r\n", b"DELE 2\r\n", b"RSET\r\n"),
    *(b"CAPA\r\n", b"QUIT\r\n", b"NOOP\r\n", b"AUTH\r\n", b"AUTH PLAIN " + _PLAIN + b"\r\n"),
    *(b"AUTH PLAIN\r\n" + _PLAIN + b"\r\n", b"*\r\n", b"STLS\r\n" + WAIT, b"UTF8\r\n", b"LANG\r\n"),
    b"USER alice\r\nPASS s3cr3t\r\n",
]
_LETTER = [b"a", b"line\r\n", b"\r\n.", b"\r\n..", b"z" * 150, b"z" * 301 + b"\nz\r\n.\r\n"]
_PARSED = [
    *(
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY ",
        b"TCP6 ::1 ::1 1 2",
    ),
    *(
        b"\r\n\r\n\0\r\nQUIT\n",
        b"\x21\x11\0\x0c",
        b"\x20\0\0\0",
        b"<a@x>",
        b'<"a b"@x>',
        b"<@x:a@x>",
    ),
    *(b"<a@[192.0.2.1]>", b"<a@[IPv6:::1]>", b" SIZE=1", b"<>", b"<", b">", b"@", b"\\", b'"'),
]

_FIRST = [
    *(
        b"n,,n=alice,r=abc",
        b"y,,n=alice,r=abc",
        b"p=tls-exporter,,n=alice,r=abc",
        b"n,a=alice,n=alice,r=abc",
    ),
    *(
        b"p=tls-unique,,n=a=2Cb,r=abc,x=y",
        b"n,,m=x,n=alice,r=abc",
        b"n,,n=alice,r=",
        b"n,,n=,r=abc",
    ),
    *(b"p=tls-server-end-point,,n=alice,r=abc", b"n,a=bob,n=alice,r=abc", b"!*", b"!=", b""),
]
_FINAL = [
    *(b"c=<C>,r=<N>,p=<P>", b"c=<C>,r=<N>,x=y,p=<P>", b"c=<C>,r=abc,p=<P>", b"c=biws,r=<N>,p=<P>"),
    *(
        b"c=<C>,r=<N>,p=AAAA",
        b"c=<C>,r=<N>",
        b"c=<C>,r=<N>,p=<P>=",
        b"r=<N>,c=<C>,p=<P>",
        b"!*",
        b"",
    ),
]
_LAST = [b"", b"x", b"!*", b"!"]

_HEADERS = [
    *(
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"\r\n",
    ),
    *(
        b"--b\r\n",
        b"--b--\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"From: ",
        b"To: ",
        b"X: ",
    ),
    *(b"Received: from ", b" for <", b" id ", b"Date: ", b"Message-ID: <", b"Keywords: ", b"\r\n "),
    *(
        b"Content-Disposition: a; filename=",
        b"; n*0=",
        b"Final-Recipient: utf-8; ",
        b"\xc3\xb6",
        b"@",
        b">",
    ),
    *(b'"', b"(", b")", b",", b":", b";", b"=?utf-8?q?x?=", b"ab", b"x" * 70),
]

choices = st.binary(min_size=CHOICES, max_size=CHOICES)


def inputs(words: list[bytes]) -> st.SearchStrategy[bytes]:
    """Choices, then mostly words that mean something."""
    said = st.lists(
        st.sampled_from(words) | st.sampled_from(_ENDS) | st.binary(max_size=4), max_size=30
    )
    return st.builds(lambda chosen, parts: chosen + b"".join(parts), choices, said)


@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs(target: str) -> None:
    """Every input that was kept, whether it once found a defect or reached a corner of the code."""
    kept = load(target)
    assert len(kept) > 10
    for one in kept:
        TARGETS[target](one)


@settings(max_examples=400, deadline=None)
@given(inputs(_SMTP))
def test_smtp_sessions(data: bytes) -> None:
    """SMTP and LMTP: no exception, one reply for each command, the same however it is cut."""
    smtp(data)


@settings(max_examples=400, deadline=None)
@given(inputs(_POP3))
def test_pop3_sessions(data: bytes) -> None:
    """The same for POP3."""
    pop3(data)


@settings(max_examples=250, deadline=None)
@given(
    choices,
    st.sampled_from(_FIRST) | st.binary(max_size=20),
    st.sampled_from(_FINAL) | st.binary(max_size=20),
    st.lists(st.sampled_from(_LAST), max_size=2),
)
def test_scram_exchanges(chosen: bytes, first: bytes, final: bytes, rest: list[bytes]) -> None:
    """SCRAM: who proves to know the password is let in, and nobody else."""
    scram(chosen + b"\n".join([first, final, *rest]))


@settings(max_examples=300, deadline=None)
@given(inputs(_LETTER).map(lambda data: data + b"\r\n.\r\n"))
def test_letters(data: bytes) -> None:
    """What goes in by DATA is what a simple decoder makes of it, and comes out the same."""
    letter(data)


@settings(max_examples=300, deadline=None)
@given(inputs(_HEADERS))
def test_headers(data: bytes) -> None:
    """A letter for clients without UTF8 is the same however it is cut, and not much larger."""
    headers(data)


@settings(max_examples=300, deadline=None)
@given(inputs(_PARSED))
def test_parsers(data: bytes) -> None:
    """PROXY headers and paths: told as soon as they can be, and read back as they are written."""
    parsers(data)
