"""What was collected is told at a session's end, to a maildrop that keeps it in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from .office import LETTERS, LOGIN, Office, Pieces

if TYPE_CHECKING:
    from tests.memory import Peer

pytestmark = pytest.mark.usefixtures("log")


def remembering(office: Office) -> tuple[Peer, list[bytes | str]]:
    """A peer, and what its snapshot is told."""
    office.maildrop.days = 0
    peer = office.peer()
    told: list[bytes | str] = []
    snapshot = office.snapshot
    close = snapshot.close

    def closed() -> None:
        told.append("closed")
        close()

    vars(snapshot).update(given=lambda marks: told.append(bytes(marks)), close=closed)
    return peer, told


def test_at_quit_and_when_the_line_breaks() -> None:
    """RETR counts, however the session ends; TOP does not. It is told once, before the lock is freed."""
    for ending in (b"QUIT\r\n", b"DELE 3\r\nQUIT\r\n", b""):
        office = Office()
        peer, told = remembering(office)
        peer.ask(b"RETR 3\r\nTOP 2 1\r\nRETR 1\r\n" + ending)
        if not ending:
            peer.leave()
        assert told == [b"\1\0\1", "closed"]


def test_a_letter_that_was_cut_short_was_not_collected() -> None:
    """Who goes in its midst has not got it."""
    office = Office()
    peer, told = remembering(office)
    office.snapshot.answers[1] = Pieces(LETTERS[1][:5], Deferred())
    peer.ask(b"RETR 1\r\nRETR 2\r\n")
    peer.leave()
    assert told == [b"\1\0\0", "closed"]


def test_nothing_was_collected() -> None:
    """Who only looks is not told of."""
    office = Office()
    peer, told = remembering(office)
    peer.ask(b"STAT\r\nTOP 1 0\r\nDELE 2\r\nQUIT\r\n")
    assert told == ["closed"]


@pytest.mark.parametrize(
    ("announced", "days", "before", "after"),
    [
        ("NEVER", 0, b"EXPIRE NEVER", b"EXPIRE NEVER"),
        ("10 USER", 30, b"EXPIRE 10 USER", b"EXPIRE 30"),
        ("10 USER", 0, b"EXPIRE 10 USER", b"EXPIRE NEVER"),
    ],
)
def test_expire(announced: str, days: int, before: bytes, after: bytes) -> None:
    """CAPA says for how long letters are kept: whoever it is, then whose they are (RFC 2449 §6.7)."""
    office = Office()
    office.factory.expire = lambda: announced
    office.maildrop.days = days
    peer = office.peer(inside=False)
    assert before in peer.ask(b"CAPA\r\n").split(b"\r\n")
    peer.ask(LOGIN)
    assert after in peer.ask(b"CAPA\r\n").split(b"\r\n")
    assert office.snapshot.days == days
