"""Collecting, with everything checked that RFC 1939 promises about it; and the postmark taken off."""

from __future__ import annotations

import re
from typing import NamedTuple

from .dialogue import POP3

_POSTMARK = re.compile(
    rb"Return-Path: <[^\r\n]*>\r\n"
    rb"Delivered-To: [^\r\n]+\r\n"
    rb"Received: from [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*"
)


class Letter(NamedTuple):
    """A collected letter.

    :ivar octets: the whole of it.
    """

    uidl: bytes
    octets: bytes

    @property
    def postmark(self) -> bytes:
        """What the office put on top: one Return-Path, one Delivered-To, one Received."""
        found = _POSTMARK.match(self.octets)
        assert found, f"no postmark on {self.octets[:300]!r}"
        return found[0]

    @property
    def body(self) -> bytes:
        """What came in by SMTP."""
        return self.octets[len(self.postmark) :]


def collect(port: int, user: str, *, delete: bool = True) -> list[Letter]:
    """Collect everything; sizes agree in STAT, LIST and RETR, and unique-ids are what they should be."""
    with POP3(port, user) as session:
        letters = read_all(session)
        if delete:
            for number in range(1, len(letters) + 1):
                session.ok(f"DELE {number}")
            assert session.ok("STAT") == b"0 0"
        session.ok("QUIT")
        assert session.rest() == b""
    return letters


def read_all(session: POP3) -> list[Letter]:
    """Every letter of an open session, none of them deleted."""
    count, octets = map(int, session.ok("STAT").split())
    sizes = session.listing("LIST")
    uidls = session.listing("UIDL")
    numbers = list(range(1, count + 1))
    assert [number for number, _ in sizes] == [number for number, _ in uidls] == numbers
    assert sum(int(size) for _, size in sizes) == octets
    assert len({uidl for _, uidl in uidls}) == count
    assert all(re.fullmatch(rb"[!-~]{1,70}", uidl) for _, uidl in uidls)
    letters = []
    for (number, size), (_, uidl) in zip(sizes, uidls, strict=True):
        letter = session.retrieve(number)
        assert len(letter) == int(size)
        letters.append(Letter(uidl, letter))
    return letters


def only_letter(port: int, user: str) -> Letter:
    """Collect the one letter there is, delete it, and find the maildrop empty."""
    (letter,) = collect(port, user)
    assert collect(port, user) == []
    return letter
