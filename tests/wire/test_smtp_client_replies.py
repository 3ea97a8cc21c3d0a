"""A server's replies as its client reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.framing import InputBuffer
from mailpost.wire.reply import Reply
from mailpost.wire.smtp_client_replies import (
    MAX_REPLY_LINE,
    MAX_REPLY_LINES,
    ProtocolError,
    ReplyReader,
)
from tests.wire.cutting import cuts, pieces


def read(octets: bytes, at=()):
    """All replies in these octets, cut at these places."""
    source, reader, replies = InputBuffer(), ReplyReader(), []
    for piece in pieces(octets, list(at)):
        source.feed(piece)
        while (reply := reader.take(source)) is not None:
            replies.append(reply)
    return replies


@given(cuts())
def test_any_chunking_gives_the_same_replies(at):
    octets = (
        b"220 a.example\r\n250-a.example\r\n250-SIZE 10\r\n250 DSN\r\n"
        b"550-5.1.1 no\r\n550 5.1.1 one\r\n354\r\n"
    )
    assert read(octets, at) == [
        Reply(220, "", "a.example"),
        Reply(250, "", "a.example", "SIZE 10", "DSN"),
        Reply(550, "5.1.1", "no", "one"),
        Reply(354, "", ""),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"99 x\r\n",
        b"650 x\r\n",
        b"2500 x\r\n",
        b"250_x\r\n",
        b"\r\n",
        b"250-a\r\n550 b\r\n",
        b"250-a\r\ngarbage\r\n",
        b"250 a\n",
        b"250 a\rb\r\n",
        b"250 " + b"x" * MAX_REPLY_LINE,
        b"250-x\r\n" * (MAX_REPLY_LINES + 1),
        (b"250-" + b"x" * 12_000 + b"\r\n") * 3,
    ],
)
def test_what_is_no_reply_is_an_error(octets):
    with pytest.raises(ProtocolError):
        read(octets)


def test_text_that_cannot_be_shown_is_escaped():
    assert read(b"250 a\0b\xff\x1b[1m\r\n") == [Reply(250, "", r"a\x00b\xff\x1b[1m")]


def test_an_enhanced_code_of_another_class_is_text():
    assert read(b"250 5.1.1 odd\r\n") == [Reply(250, "", "5.1.1 odd")]


@given(st.binary(max_size=80))
def test_nothing_else_is_ever_raised(octets):
    try:
        replies = read(octets + b"\r\n")
    except ProtocolError:
        return
    assert all(200 <= reply.code < 600 for reply in replies)
