"""The golden dialogues, each run line by line, in one write, and octet by octet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .office import LMTPOffice, Office, POP3Office, SMTPOffice
from .script import CLOSES, HANGS_UP, Script, matches, scripts

SMTP, LMTP, POP3 = scripts("smtp"), scripts("lmtp"), scripts("pop3")


def line_by_line(script: Script) -> Iterator[tuple[bytes, list[str]]]:
    """The client waits for each answer."""
    for turn in script.turns[1:]:
        *first, last = turn.said
        yield from ((line, []) for line in first)
        yield last, turn.heard


def at_once(script: Script) -> Iterator[tuple[bytes, list[str]]]:
    """The client waits for nothing but TLS."""
    for flight in script.flights:
        yield b"".join(flight.said), flight.heard


def octet_by_octet(script: Script) -> Iterator[tuple[bytes, list[str]]]:
    """The network cuts wherever it can."""
    for turn in script.turns[1:]:
        said = b"".join(turn.said)
        yield from ((said[n : n + 1], []) for n in range(len(said) - 1))
        yield said[-1:], turn.heard


Way = Callable[[Script], Iterator[tuple[bytes, list[str]]]]
ways = pytest.mark.parametrize("way", [line_by_line, at_once, octet_by_octet])


def play(script: Script, office: Office, way: Way) -> None:
    """Say what the client says, compare what it hears."""
    compare(office, script.turns[0].heard)
    for said, heard in way(script):
        if heard:
            office.receive(said)
            compare(office, heard)
        else:
            office.receive(said)
    compare(office, [])
    assert office.handshakes == sum(turn.then_tls for turn in script.turns)
    ended = office.ended
    assert script.ending == ((CLOSES if ended.orderly else HANGS_UP) if ended else "")


def compare(office: Office, expected: list[str]) -> None:
    heard, office.heard = office.heard, b""
    lines = heard.split(b"\r\n")
    assert lines.pop() == b"", "a reply ends with CRLF"
    for pattern, line in zip(expected, lines, strict=False):
        assert matches(pattern, line), f"expected {pattern!r}, got {line!r}"
    assert len(lines) == len(expected), (lines[len(expected) :], expected[len(lines) :])


def named(found: list[Script]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", found, ids=[script.name for script in found])


@named(SMTP)
@ways
def test_smtp(script: Script, way: Way) -> None:
    """The office answers as the dialogue says, and keeps the letters that it says."""
    office = SMTPOffice(script.settings)
    play(script, office, way)
    assert office.kept == [(one.sender, one.recipients, one.octets) for one in script.kept]


@named(LMTP)
@ways
def test_lmtp(script: Script, way: Way) -> None:
    """The same, with a reply for each recipient."""
    office = LMTPOffice(script.settings)
    play(script, office, way)
    assert office.kept == [(one.sender, one.recipients, one.octets) for one in script.kept]


@named(POP3)
@ways
@pytest.mark.parametrize("piece", [0, 1, 5])
def test_pop3(script: Script, way: Way, piece: int) -> None:
    """The same, whether letters come from the store whole or in pieces."""
    office = POP3Office(script.settings, piece)
    play(script, office, way)
    assert office.let_go == script.let_go


@named(SMTP + LMTP + POP3)
def test_says_what_it_teaches(script: Script) -> None:
    """A dialogue begins with prose, and names the place where the rule stands."""
    assert any(line.startswith("RFC ") for line in script.prose), script.name
    assert script.said
