"""TOP, of a letter that is whole and of one that comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.dots import stuff
from mailpost.wire.top import LinesOfTop, top

from .cutting import cuts, mail_octets, pieces


@given(mail_octets(), st.integers(0, 6), cuts())
def test_pieces_are_the_whole(lines: bytes, count: int, at: list[int]) -> None:
    """However a letter is cut, the same octets go out, and not one more is asked for."""
    letter = lines + b"\r\n"
    taking = LinesOfTop(count)
    sent = b""
    for piece in pieces(letter, at):
        sent += taking.feed(piece)
    assert taking.feed(b"") == b""
    assert sent + taking.end() == stuff(top(letter, count)) + b".\r\n"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10**10])
def test_lines(count: int) -> None:
    """The header, the blank line, so many lines, each of them whole."""
    header, body = b"A: 1\r\nB: 2\r\n\r\n", [b"one\r\n", b"\r\n", b"three\r\n"]
    assert top(header + b"".join(body), count) == header + b"".join(body[:count])


def test_odd_letters() -> None:
    """No body, no header, a header without an end."""
    assert top(b"A: 1\r\n\r\n", 5) == b"A: 1\r\n\r\n"
    assert top(b"\r\nbody\r\nmore\r\n", 1) == b"\r\nbody\r\n"
    assert top(b"A: 1\r\n", 0) == b"A: 1\r\n"


def test_enough_is_enough() -> None:
    """As soon as the last line asked for is there, nothing more is wanted."""
    taking = LinesOfTop(1)
    assert taking.feed(b"A: 1\r\n\r\none\r\ntwo\r\n") == b"A: 1\r\n\r\none\r\n"
    assert taking.enough
    assert taking.feed(b"three\r\n") == b""
