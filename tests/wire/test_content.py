"""What is noted of a letter as it goes by."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.content import MAX_HOPS, Inspector
from mailpost.wire.dots import Unstuffer, stuff

from .cutting import cuts, mail_octets, pieces


def inspect(letter: bytes, at: list[int], max_octets: int = 1 << 20) -> Inspector:
    """Look at a letter in pieces as they come off the wire: no CRLF is split."""
    inspector, unstuffer = Inspector(max_octets), Unstuffer()
    for piece in pieces(stuff(letter) + b"\r\n.\r\n", at):
        taken = unstuffer.feed(piece)
        if taken and inspector.refusal is None:
            assert inspector.look(taken) is inspector.refusal
    return inspector


@given(mail_octets(), cuts())
def test_bare_line_ends_are_found(letter: bytes, at: list[int]) -> None:
    """A bare CR or LF is found wherever it is, and however the letter is cut; nothing else is refused."""
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", letter + b"\r\n") is not None
    refusal = inspect(letter, at).refusal
    assert refusal == (reply.BARE_NEWLINE_IN_LETTER if bare else None)


@given(st.text("a\xe9").map(lambda text: text.encode("latin-1")), cuts())
def test_size_and_8bit(letter: bytes, at: list[int]) -> None:
    """The size, and whether an octet has its eighth bit set."""
    inspector = inspect(letter, at)
    assert inspector.octets == len(letter) + 2
    assert inspector.eight_bit is not letter.isascii()


@given(st.integers(MAX_HOPS - 1, MAX_HOPS + 2), st.booleans(), cuts(), st.booleans())
def test_hops_are_counted(hops: int, first: bool, at: list[int], every: bool) -> None:  # noqa: FBT001
    """Received lines of the header are counted, in any case, however they are cut; others are not."""
    header = [b"Subject: loop", *[b"ReCeived: from a", b"X-Received: no"] * hops]
    letter = b"\r\n".join(header[1:] if first else header)
    letter += b"\r\n folded\r\n\r\n" + b"Received: in the body\r\n" * 5
    cut_at = list(range(len(letter) + 10)) if every else at
    refusal = inspect(letter, cut_at).refusal
    assert refusal == (reply.MAIL_LOOP if hops > MAX_HOPS else None)


@pytest.mark.parametrize("at", [[], [1], [2], [3], [4], list(range(3000))])
def test_a_letter_without_a_header(at: list[int]) -> None:
    """A letter that begins with the blank line has no header: its lines are not counted."""
    letter = b"\r\n" + b"Received: in the body\r\n" * (MAX_HOPS + 1)
    assert inspect(letter, at).refusal is None


@pytest.mark.parametrize("at", [[], [5], list(range(30))])
def test_too_large(at: list[int]) -> None:
    """One octet more than there may be is one too many; dots added in transport do not count."""
    assert inspect(b"." * 18, at, 20).refusal is None
    assert inspect(b"." * 19, at, 20).refusal == reply.TOO_LARGE


def test_half_a_million_header_lines() -> None:
    """A huge header costs time in proportion to its size, whole or in pieces, and no memory."""
    letter = b"X-A: b\r\n" * 500_000
    inspector = Inspector(1 << 30)
    began = time.process_time()
    for start in range(0, len(letter), 8000):
        inspector.look(letter[start : start + 8000])
    assert inspector.refusal is None
    assert time.process_time() - began < 2


def test_nothing_is_held() -> None:
    """Of a header of any size no more is held than may be the beginning of a line."""
    inspector = Inspector(1 << 30)
    piece = b"X-A: b\r\n" * 1000
    tracemalloc.start()
    try:
        inspector.look(piece)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            inspector.look(piece)
        assert tracemalloc.get_traced_memory()[0] - before < 2_000
    finally:
        tracemalloc.stop()
