"""What all sources have in common: line ends, the date of arrival, reading files."""

from __future__ import annotations

import os
import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailpost.carrying.source import arrival, crlf, read_file

TEXT = st.text(alphabet="\r\nab", max_size=30).map(str.encode)


@given(TEXT, st.lists(st.integers(0, 30)))
@example(b"a\r\nb\r\r\n\n\rc\n", [1, 2, 7])
def test_line_ends(text, cuts):
    """Each bare LF becomes CRLF, and nothing else changes, wherever the octets were cut."""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert b"".join(crlf(pieces)) == re.sub(rb"(?<!\r)\n", b"\r\n", text)


@given(TEXT)
def test_line_ends_of_the_wire(text):
    """What has CRLF already stays as it is."""
    once = b"".join(crlf([text]))
    assert b"".join(crlf([once])) == once


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        (
            (
                b"Return-Path: <>\r\nReceived: from a\r\n\tby b with ESMTP id c;\r\n"
                b" Thu, 1 Jan 1970 02:00:05 +0200\r\n"
                b"Received: x; Fri, 2 Jan 1970 00:00:00 +0000\r\n\r\n"
            ),
            5,
        ),
        (b"received: by b; 2 Jan 1970 00:00:01 GMT (comment)\n\nbody", 86_401),
        (b"Subject: none\r\n\r\nReceived: by b; Thu, 1 Jan 1970 00:00:05 +0000\r\n", None),
        (b"Received: by b; yesterday\r\n\r\n", None),
        (b"Received: by b; Thu, 99 Jan 99999999999 00:00:05 +0000\r\n\r\n", None),
        (b"Received: from", None),
        (b"", None),
    ],
)
def test_when_a_letter_arrived(head, seconds):
    """The topmost Received field tells, if it can be understood; a body tells nothing."""
    assert arrival(head) == seconds


@given(st.binary(max_size=60))
def test_any_head(head):
    """No header is an error."""
    arrival(b"Received: ;" + head)


def test_a_link_is_no_letter(tmp_path):
    """Neither a link nor a pipe is read, nor waited for."""
    (tmp_path / "letter").write_bytes(b"x")
    (tmp_path / "link").symlink_to("letter")
    os.mkfifo(tmp_path / "pipe")
    assert b"".join(read_file(tmp_path / "letter")) == b"x"
    for name in ("link", "pipe", "none", "."):
        with pytest.raises(OSError, match=r".*"):
            list(read_file(tmp_path / name))
