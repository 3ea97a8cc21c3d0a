"""What hostile and broken peers try with intake: nothing grows, nothing stops, nothing is smuggled."""

from __future__ import annotations

import tracemalloc

import pytest
from twisted.internet.defer import Deferred

from mailpost.limits import MAX_BUFFERED, MAX_THROWN_AWAY
from mailpost.wire.session import MAX_UNSENT
from tests.memory import BUFFER, SEGMENT, Peer, pass_time

from .office import ENVELOPE, Office, codes

pytestmark = pytest.mark.usefixtures("log")


def flood(peer: Peer, octets: bytes, times: int) -> int:
    """Send as often as the office reads; how often that was."""
    sent = 0
    while peer.line.reading and sent < times:
        peer.say(octets)
        sent += 1
        peer.settle()
    return sent


def test_a_million_commands_whose_replies_are_not_read() -> None:
    """The office stops reading, holds a bounded rest, and goes on when its replies are read."""
    office = Office()
    peer = office.peer()
    peer.stop_reading()
    chunk = b"NOOP\r\n" * 10_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sent = flood(peer, chunk, 100)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert not peer.line.reading
    assert peer.protocol.session.buffered <= MAX_BUFFERED + SEGMENT
    assert peer.line.most <= BUFFER + 2 * MAX_UNSENT
    assert grown < 1 << 20
    other = office.peer("192.0.2.2")
    assert codes(other.ask(ENVELOPE + b"DATA\r\nhi\r\n.\r\n"))[-1] == "250 2.0.0"
    peer.read_on()
    assert peer.line.reading
    assert peer.protocol.session.buffered == 0
    assert len(codes(peer.heard())) == sent * 10_000
    for _ in range(100 - sent):
        assert len(codes(peer.ask(chunk))) == 10_000


@pytest.mark.parametrize("command", [b"NOOP\r\n", b"EHLO x\r\n", b"HELP\r\n"])
def test_short_commands_with_long_answers(command: bytes) -> None:
    """However much is pipelined: no more is answered at once than is sent, and than the peer takes."""
    office = Office()
    peer = office.peer()
    peer.ask(b"MAIL FROM:<>\r\n")
    slow = office.sorter.answers["slow"] = Deferred()
    peer.ask(b"RCPT TO:<slow@x>\r\n")
    peer.stop_reading()
    peer.say(command * (MAX_BUFFERED // len(command)))
    tracemalloc.start()
    try:
        slow.callback(office.sorter.answers["alice"])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert peer.line.most <= BUFFER + 2 * MAX_UNSENT
    peer.read_on()
    assert len(codes(peer.heard())) == MAX_BUFFERED // len(command) + 1


def test_a_flood_that_is_never_read_is_cut_off() -> None:
    """Who sends and never reads is told so after the time-out, and then cut off."""
    office = Office()
    peer = office.peer()
    peer.stop_reading()
    flood(peer, b"NOOP\r\n" * 10_000, 100)
    pass_time(office.clock, 301)
    assert peer.protocol.session.closed
    assert peer.connected
    pass_time(office.clock, 12)
    assert peer.line.ending == "abort"
    assert not peer.connected
    assert office.factory.connections == set()


def test_input_waits_in_bounds_while_a_question_is_open() -> None:
    """A flood behind a question is read up to a limit; the rest comes when it is answered."""
    office = Office()
    slow: Deferred[object] = Deferred()
    office.sorter.answers["slow"] = slow
    peer = office.peer()
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<slow@x>\r\n")
    peer.say(b"NOOP\r\n" * 100_000)
    assert not peer.line.reading
    assert MAX_BUFFERED <= peer.protocol.session.buffered <= MAX_BUFFERED + SEGMENT
    slow.callback(office.sorter.answers["alice"])
    peer.settle()
    assert peer.line.reading
    assert len(codes(peer.heard())) == 100_001


@pytest.mark.parametrize("length", [20_000, 200_000, 2_000_000])
def test_endless_commands(length: int) -> None:
    """A line without end is one error; the session is closed, and what still comes is thrown away.

    Whoever sends on and on is cut off.
    """
    office = Office()
    peer = office.peer()
    heard = peer.ask(b"x" * length)
    assert heard == b"500 5.5.2 line too long\r\n"
    assert peer.line.ending == ("half-close" if length < MAX_THROWN_AWAY else "abort")
    assert peer.ask(b"\r\nNOOP\r\n" * 1000) == b""
    assert peer.protocol.session.buffered == 0
    pass_time(office.clock, 12)
    assert not peer.connected


def test_a_letter_that_is_too_large() -> None:
    """Of a letter that is too large nothing is held, its end is its true end, and the session lives."""
    office = Office(max_octets=100_000)
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    for _ in range(100):
        peer.say(b"RSET\r\nQUIT\r\nMAIL FROM:<evil@x>\r\n" * 1000)
    assert peer.heard() == b""
    (draft,) = office.delivery.drafts
    assert draft.aborted
    assert len(draft.body) <= 100_000
    assert codes(peer.ask(b".\r\nNOOP\r\n")) == ["552 5.3.4", "250 2.0.0"]
    assert office.delivery.kept == []


def test_500_drips() -> None:
    """500 peers that send an octet every few seconds cost nothing but their connections."""
    office = Office()
    drips = [office.peer(f"198.51.100.{n % 250}") for n in range(500)]
    for octet in b"MAIL FROM:<carol@example.net>\r\n":
        for peer in drips:
            peer.say(bytes([octet]))
        pass_time(office.clock, 5)
    assert all(codes(peer.heard()) == ["250 2.1.0"] for peer in drips)
    assert len(office.clock.getDelayedCalls()) == 1
    assert codes(office.peer().ask(ENVELOPE + b"DATA\r\nhi\r\n.\r\n"))[-1] == "250 2.0.0"


@pytest.mark.parametrize(
    "smuggled",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n\0.\r\n", b"\r.\r\n", b"\r\n.\r"],
)
@pytest.mark.parametrize("drip", [False, True])
def test_never_two_letters_from_one(smuggled: bytes, drip: bool) -> None:  # noqa: FBT001
    """Whatever stands for an end of the letter elsewhere: here it is one letter, refused or kept whole."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    said = b"one" + smuggled + b"MAIL FROM:<evil@x>\r\nRCPT TO:<bob@x>\r\nDATA\r\ntwo\r\n.\r\n"
    for part in [said[n : n + 1] for n in range(len(said))] if drip else [said]:
        peer.say(part)
    answers = codes(peer.heard())
    assert answers == (["250 2.0.0"] if b"\0" in smuggled else ["554 5.6.0"])
    assert all(draft.envelope.reverse_path.local == "carol" for draft in office.delivery.kept)


@pytest.mark.parametrize(
    "octet", [b"\0", b"\r", b"\x80", b"\xff", b"\x1b", b"\x7f", b"\t", b"\x08"]
)
@pytest.mark.parametrize(
    "argument", [b"EHLO a%b", b"MAIL FROM:<a%b@x>", b"VRFY a%b", b"NOOP %b", b"%b"]
)
def test_odd_octets_in_arguments(argument: bytes, octet: bytes) -> None:
    """A control character or 8-bit in an argument is refused, and the argument never cut short at it."""
    office = Office()
    peer = office.peer()
    (answer,) = codes(peer.ask(argument % (octet + b"x") + b"\r\n"))
    assert answer in {"500 5.5.2", "553 5.6.7"}
    assert office.delivery.drafts == []
    assert peer.protocol.session.helo == "client.example.net"


def test_half_a_hello_for_ever() -> None:
    """Who connects and says nothing hears 421 after the time-out."""
    office = Office()
    peers = [office.peer(greeted=False) for _ in range(20)]
    pass_time(office.clock, 301)
    assert all(codes(peer.heard())[-1] == "421 4.4.2" for peer in peers)


def test_many_errors() -> None:
    """Who says nothing of sense is sent away, whatever else was pipelined."""
    office = Office(max_errors=5)
    peer = office.peer()
    heard = codes(peer.ask(b"FNORD\r\n" * 1000))
    assert heard == ["500 5.5.2"] * 5 + ["421 4.7.0"]
    assert peer.protocol.session.buffered == 0
