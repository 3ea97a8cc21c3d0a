"""What the engines have in common."""

from __future__ import annotations

import pytest

from mailpost.wire.session import ServerSession, escaped, printable


class Bare(ServerSession):
    """A dialect of nothing."""

    max_line = 10


def test_a_dialect_says_what_it_does() -> None:
    """The common part knows no command of its own."""
    bare = Bare(1)
    bare.receive(b"NOOP\r\n")
    with pytest.raises(NotImplementedError):
        bare.next_event()
    bare.receive(b"NOOP\n")
    with pytest.raises(NotImplementedError):
        bare.next_event()


def test_printable() -> None:
    """US-ASCII without control characters, and nothing else."""
    assert printable(b"")
    assert printable(bytes(range(0x20, 0x7F)))
    for octet in (*range(0x20), *range(0x7F, 0x100)):
        assert not printable(b"a" + bytes([octet]))
    assert not printable(b"a\n")


def test_escaped() -> None:
    """Whatever is in a line, it can be shown, and tells what it was."""
    assert escaped(b"NOOP \x1b[2J\0\xff'\"") == "NOOP \\x1b[2J\\x00\\xff\\'\""
    assert escaped(bytes(range(256))).isprintable()
