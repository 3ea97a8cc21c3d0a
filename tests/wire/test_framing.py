"""Lines out of octets: CRLF and nothing else, and never endless."""

from __future__ import annotations

from hypothesis import given

from mailpost.wire.framing import Defect, InputBuffer

from .cutting import cuts, mail_octets, pieces

LIMIT = 16


def lines(octets: bytes, at: list[int]) -> list[bytes | Defect]:
    """All lines; after a line that is too long there are none."""
    buffer = InputBuffer()
    found: list[bytes | Defect] = []
    for piece in pieces(octets, at):
        buffer.feed(piece)
        while (line := buffer.take_line(LIMIT)) is not None:
            found.append(line)
            if line is Defect.TOO_LONG:
                return found
        assert len(buffer) < LIMIT
    return found


@given(mail_octets(), cuts())
def test_cutting_changes_nothing(octets: bytes, at: list[int]) -> None:
    """The same lines and the same defects, however the octets come."""
    assert lines(octets, at) == lines(octets, [])


@given(mail_octets())
def test_a_line_has_no_line_end_in_it(octets: bytes) -> None:
    """No line contains CR or LF, and every line stood between two CRLFs."""
    for line in lines(octets, []):
        if isinstance(line, bytes):
            assert not {*b"\r\n"} & {*line}
            assert b"\r\n" + line + b"\r\n" in b"\r\n" + octets


def test_the_limit_counts_the_crlf() -> None:
    """A line may have just so many octets, its CRLF counted; one more is too many."""
    assert lines(b"x" * 14 + b"\r\n", []) == [b"x" * 14]
    assert lines(b"x" * 15 + b"\r\n", []) == [Defect.TOO_LONG]
    assert lines(b"x" * 16, []) == [Defect.TOO_LONG]
    assert lines(b"x" * 15, []) == []


def test_bare_line_ends() -> None:
    """A bare LF is told at once, and nothing to the next CRLF is a line; a bare CR spoils its line."""
    bare = Defect.BARE_NEWLINE
    assert lines(b"a\n", []) == [bare]
    assert lines(b"a\nb\r\nc\r\n", []) == [bare, b"c"]
    assert lines(b"a\nb\nc\r\nd\r\n", []) == [bare, bare, b"d"]
    assert lines(b"a\rb\r\nc\r\n", []) == [bare, b"c"]
    assert lines(b"\r\r\n\r\n", []) == [bare, b""]
    assert lines(b"\n\r\n\r\n", []) == [bare, b""]


def test_taking_all_and_putting_back() -> None:
    """What was taken too much goes before what came meanwhile."""
    buffer = InputBuffer()
    buffer.feed(b"one\r\ntwo")
    assert buffer.take_line(LIMIT) == b"one"
    assert buffer.take_all() == b"two"
    assert len(buffer) == 0
    buffer.feed(b"four\r\n")
    buffer.put_back(b"three\r\n")
    assert len(buffer) == 13
    assert buffer.take_line(LIMIT) == b"three"
    buffer.put_back(b"more\r\n")
    assert buffer.take_line(LIMIT) == b"more"
    assert buffer.take_line(LIMIT) == b"four"
    assert buffer.take_line(LIMIT) is None
    buffer.feed(b"gone\n")
    assert buffer.take_line(LIMIT) is Defect.BARE_NEWLINE
    buffer.clear()
    buffer.feed(b"new\r\n")
    assert buffer.take_line(LIMIT) == b"new"
