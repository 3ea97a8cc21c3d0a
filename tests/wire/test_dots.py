"""Dot-stuffing, whatever the letter and wherever it is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.dots import Stuffer, Unstuffer, stuff

from .cutting import cuts, mail_octets, pieces

NOT_THE_END = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\0\n",
    b"\r\n \r\n. \r\n",
    b"\r\n..\r\n",
]


def unstuff(octets: bytes, at: list[int]) -> tuple[bytes, bytes | None]:
    """The letter and what came after it."""
    unstuffer = Unstuffer()
    letter = b""
    todo = pieces(octets, at)
    while todo and unstuffer.rest is None:
        letter += unstuffer.feed(todo.pop(0))
    rest = unstuffer.rest
    return letter, None if rest is None else rest + b"".join(todo)


@given(mail_octets(), cuts(), st.binary(max_size=20))
def test_unstuff_undoes_stuff(lines: bytes, at: list[int], after: bytes) -> None:
    """What was stuffed comes out as it was; what follows the end is left alone."""
    letter = lines + b"\r\n" if lines else b""
    sent = stuff(letter) + b".\r\n"
    assert unstuff(sent + after, at) == (letter, after)


@given(mail_octets())
def test_every_line_that_begins_with_a_dot_has_one_more(letter: bytes) -> None:
    """Line by line, as RFC 5321 §4.5.2 says it; wherever the first and the last dot stand."""
    lines = letter.split(b"\r\n")
    expected = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    assert stuff(letter) == expected


@pytest.mark.parametrize("letter", [b"\r\n.", b"a\r\n.", b".\r\n.", b"a.b\r\n.c\r\nd", b".a\r\nb."])
def test_the_only_dot_may_be_the_last_octet(letter: bytes) -> None:
    """The search ends with the last dot, and the dot is in it."""
    assert stuff(letter) == (b"\r\n" + letter).replace(b"\r\n.", b"\r\n..")[2:]


@given(mail_octets(), cuts())
def test_stuffer_is_stuff(letter: bytes, at: list[int]) -> None:
    """A letter that is stuffed in pieces is what it is when stuffed whole, and ends rightly."""
    stuffer = Stuffer()
    sent = b"".join(map(stuffer.feed, pieces(letter, at)))
    assert sent == stuff(letter)
    ends = not letter or letter.endswith(b"\r\n")
    assert stuffer.end() == (b".\r\n" if ends else b"\r\n.\r\n")


@given(mail_octets(), cuts())
def test_cutting_changes_nothing(octets: bytes, at: list[int]) -> None:
    """Any octets at all give the same letter and the same rest, however they are cut."""
    octets += b"\r\n.\r\nrest"
    assert unstuff(octets, at) == unstuff(octets, [])


@given(mail_octets(), cuts())
def test_no_line_end_is_split(octets: bytes, at: list[int]) -> None:
    """A piece never ends within a CRLF, so that whoever looks at pieces need not think of it."""
    unstuffer = Unstuffer()
    given_out = [unstuffer.feed(piece) for piece in pieces(octets, at)]
    for one, next_one in itertools.pairwise(given_out):
        assert not (one.endswith(b"\r") and next_one.startswith(b"\n"))


@pytest.mark.parametrize("ending", NOT_THE_END)
def test_never_two_letters_from_one(ending: bytes) -> None:
    """Nothing but CRLF.CRLF ends a letter, also octet by octet."""
    octets = b"one" + ending + b"MAIL FROM:<evil@example.net>"
    for at in ([], list(range(len(octets)))):
        _letter, rest = unstuff(octets, at)
        assert rest is None
        held, rest = unstuff(octets + b"\r\n.\r\n", at)
        assert rest == b""
        assert held.startswith(b"one")
        assert held.endswith(b"MAIL FROM:<evil@example.net>\r\n")


@pytest.mark.parametrize("offset", [4096, 8192, 16384, 65536])
def test_dots_around_the_sizes_of_buffers(offset: int) -> None:
    """A dot at any offset near the size of a buffer, with pieces of that size."""
    for shift in range(-4, 5):
        letter = b"x" * (offset + shift - 2) + b"\r\n.\r\n..\r\n"
        at = list(range(offset, 2 * offset, offset))
        stuffer = Stuffer()
        sent = b"".join(map(stuffer.feed, pieces(letter, at))) + stuffer.end()
        assert sent == stuff(letter) + b".\r\n"
        assert unstuff(sent, at) == (letter, b"")


@pytest.mark.parametrize("first", [b"", b"a.", b"."])
def test_dots_far_from_one_another(first: bytes) -> None:
    """A dot at the start of a line is found wherever another dot is that means nothing."""
    for shift in range(-4, 5):
        line = b"x" * (16 * 1024 + shift)
        letter = b"\r\n".join([first + line, b".a", line + b".", line, b".", b""])
        lines = letter.split(b"\r\n")
        stuffed = b"\r\n".join(b"." + one if one.startswith(b".") else one for one in lines)
        assert stuff(letter) == stuffed
        assert unstuff(stuffed + b".\r\n", []) == (letter, b"")


def test_the_smallest_letters() -> None:
    """Nothing, an empty line, a dot, the end in the very first octets."""
    assert stuff(b"") == b""
    assert stuff(b".") == b".."
    assert unstuff(b".\r\n", []) == (b"", b"")
    assert unstuff(b"\r\n.\r\n", [1, 2, 3, 4]) == (b"\r\n", b"")
    assert unstuff(b"..\r\n.\r\n", [1, 2, 3]) == (b".\r\n", b"")
    assert Unstuffer().feed(b"") == b""


def test_nothing_grows() -> None:
    """What is held back of a letter that does not end is never more than four octets."""
    unstuffer = Unstuffer()
    given_out, fed = 0, b"\r\n"
    for piece in [b"\r\n.\r", b"\r\n.\r", b"x" * 100, b"\r", b"\r\n.", b"."] * 50:
        given_out += len(unstuffer.feed(piece))
        fed += piece
        assert len(fed.replace(b"\r\n.", b"\r\n")) - len(b"\r\n") - given_out <= 4
    assert unstuffer.rest is None
