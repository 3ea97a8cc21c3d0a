"""Handing letters out: at once, later, in pieces, and to readers who do not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from mailpost.outcome import LetterGone, TemporaryFailure
from tests.memory import BUFFER, pass_time

from .office import LETTERS, Office, Pieces, PiecesAtOnce

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")

FIRST = b"+OK %d octets\r\n%b.\r\n" % (len(LETTERS[0]), LETTERS[0])


class BrokenError(Exception):
    """Something that nobody expects."""


@pytest.mark.parametrize(
    "answer",
    [
        lambda letter: letter,
        succeed,
        Pieces,
        PiecesAtOnce,
        lambda letter: Pieces(*[letter[n : n + 1] for n in range(len(letter))]),
        lambda letter: succeed(Pieces(letter[:5], letter[5:])),
    ],
)
def test_the_same_however_it_comes(answer: Any) -> None:
    """A letter goes out the same, whether it is known at once, read later, or in pieces."""
    office = Office()
    peer = office.peer()
    office.snapshot.answers = {index: answer(letter) for index, letter in enumerate(LETTERS)}
    heard = peer.ask(b"RETR 1\r\nRETR 2\r\nNOOP\r\n")
    second = LETTERS[1].replace(b"\r\n.", b"\r\n..")
    assert heard == FIRST + b"+OK %d octets\r\n%b.\r\n+OK ok\r\n" % (len(LETTERS[1]), second)
    office.snapshot.answers = {index: answer(letter) for index, letter in enumerate(LETTERS)}
    assert peer.ask(b"TOP 3 1\r\n").split(b"\r\n", 1)[1] == b"C: 3\r\n\r\nthree\r\n.\r\n"


def test_pieces_are_closed_and_no_more_are_read_than_needed() -> None:
    """A letter's file is closed after its last piece; for TOP, as soon as the last line was there."""
    office = Office()
    peer = office.peer()
    whole, top = (
        Pieces(LETTERS[0][:4], LETTERS[0][4:]),
        Pieces(LETTERS[2][:12], LETTERS[2][12:], b"more"),
    )
    office.snapshot.answers = {0: whole, 2: top}
    peer.ask(b"RETR 1\r\nTOP 3 0\r\n")
    assert whole.closed
    assert top.closed
    assert (whole.reads, top.reads) == (3, 1)


def test_later() -> None:
    """A letter that is read later holds back what was pipelined behind it."""
    office = Office()
    peer = office.peer()
    late: Deferred[bytes] = Deferred()
    office.snapshot.answers[0] = late
    assert peer.ask(b"RETR 1\r\nNOOP\r\n") == b""
    late.callback(LETTERS[0])
    assert peer.heard() == FIRST + b"+OK ok\r\n"


@pytest.mark.parametrize("verb", [b"RETR 1", b"TOP 1 0"])
@pytest.mark.parametrize("kind", [TemporaryFailure, BrokenError])
@pytest.mark.parametrize("how", ["raised", "failed", "failed later", "in its first piece"])
def test_pop3_26_a_letter_that_cannot_be_read(
    verb: bytes, kind: type[Exception], how: str, log: Logbook
) -> None:
    """-ERR [SYS/TEMP] for this letter, a line in the log, and the session goes on in its order."""
    office = Office()
    peer = office.peer()
    late: Deferred[bytes] = Deferred()
    trouble = kind("bad sector")
    answers = {"raised": trouble, "failed later": late, "in its first piece": Pieces(trouble)}
    office.snapshot.answers[0] = answers.get(how) or fail(trouble)
    heard = peer.ask(verb + b"\r\nLIST 2\r\n")
    if how == "failed later":
        assert heard == b""
        late.errback(trouble)
        heard = peer.heard()
    assert heard.startswith(b"-ERR [SYS/TEMP] ")
    assert heard.endswith(b"\r\n+OK 2 %d\r\n" % len(LETTERS[1]))
    if kind is BrokenError:
        assert len(log.take_failures(BrokenError)) == 1
    else:
        assert log.lines("a letter") == ["a letter of alice cannot be read: bad sector"]


@pytest.mark.parametrize("kind", [TemporaryFailure, BrokenError])
@pytest.mark.parametrize("reading", [Pieces, PiecesAtOnce])
def test_a_letter_that_breaks_off(
    kind: type[Exception], reading: type[Pieces], log: Logbook
) -> None:
    """A letter that cannot be read to its end is never ended with a dot: the session ends instead."""
    office = Office()
    peer = office.peer()
    pieces = reading(LETTERS[0][:9], kind("bad sector"))
    office.snapshot.answers[0] = pieces
    heard = peer.ask(b"RETR 1\r\nNOOP\r\n")
    assert b"\r\n.\r\n" not in heard
    assert b"-ERR [SYS/TEMP] " in heard
    assert peer.line.ending == "half-close"
    assert pieces.closed
    assert office.snapshot.closed == 1
    if kind is BrokenError:
        assert len(log.take_failures(kind)) == 1
    else:
        assert log.lines("a letter") == ["a letter of alice cannot be read: bad sector"]


def test_gone_before_a_letter_was_read() -> None:
    """A peer that goes while its letter is read: whatever comes then is put away."""
    for result in (LETTERS[0], Pieces(b"x"), TemporaryFailure("too late")):
        office = Office()
        peer = office.peer()
        late: Deferred[Any] = Deferred()
        office.snapshot.answers[0] = late
        peer.ask(b"RETR 1\r\n")
        peer.leave()
        assert office.snapshot.closed == 1
        if isinstance(result, Exception):
            late.errback(result)
        else:
            late.callback(result)
        assert not isinstance(result, Pieces) or (result.closed and result.reads == 0)


@pytest.mark.parametrize("late", [False, True])
def test_a_letter_that_has_left(late: bool) -> None:  # noqa: FBT001
    """It is listed, and has gone for good meanwhile: that is said, and the session lives."""
    office = Office()
    peer = office.peer()
    gone = LetterGone("it has left the maildrop meanwhile")
    office.snapshot.answers[0] = fail(gone) if late else gone
    heard = peer.ask(b"RETR 1\r\nTOP 1 0\r\nRETR 2\r\n")
    lines = heard.split(b"\r\n")
    assert lines[:2] == [b"-ERR that letter has left the maildrop meanwhile"] * 2
    assert lines[2].startswith(b"+OK")


def test_gone_within_a_letter() -> None:
    """A peer that goes in the midst of a letter: the letter's file is closed."""
    office = Office()
    peer = office.peer()
    late: Deferred[bytes] = Deferred()
    pieces = Pieces(b"A: 1\r\n", late)
    office.snapshot.answers[0] = pieces
    assert peer.ask(b"RETR 1\r\n").endswith(b"A: 1\r\n")
    peer.leave()
    late.callback(b"more")
    assert pieces.closed
    assert pieces.reads == 2


def test_a_reader_that_stops_in_a_huge_letter() -> None:
    """Of a huge letter no more is read than the peer takes; one that stops is cut off in the end."""
    office = Office()
    peer = office.peer()
    piece = b"y" * 998 + b"\r\n"
    pieces = Pieces(*[piece * 64] * 2000)
    office.snapshot.answers[0] = pieces
    peer.stop_reading()
    peer.say(b"RETR 1\r\n")
    peer.settle()
    assert pieces.reads < 5
    assert peer.line.most < BUFFER + 3 * len(piece) * 64
    peer.read_on()
    assert pieces.reads == 2001
    assert pieces.closed
    again = office.snapshot.answers[1] = Pieces(*[piece * 64] * 2000)
    peer.stop_reading()
    peer.say(b"RETR 2\r\n")
    pass_time(office.clock, 601)
    assert peer.protocol.session.closed
    pass_time(office.clock, 11)
    assert peer.line.ending == "abort"
    assert not peer.connected
    assert again.closed
    assert again.reads < 5
    assert not office.maildrop.locked


def test_a_slow_reader_is_not_silent() -> None:
    """Who takes a huge letter slowly, but takes it, is not idle."""
    office = Office()
    peer = office.peer()
    office.snapshot.answers[0] = Pieces(*[b"z" * 60_000] * 20)
    peer.stop_reading()
    peer.say(b"RETR 1\r\n")
    for _ in range(8):
        pass_time(office.clock, 500)
        peer.line.take()
        peer.settle()
    assert peer.connected
    assert not peer.protocol.session.closed


def test_many_letters_to_a_reader_that_stops() -> None:
    """Pipelined RETRs whose letters are not read: a bounded rest waits here, the others are not read."""
    office = Office([b"A: 1\r\n\r\n" + b"w" * 50_000 + b"\r\n"] * 100)
    peer = office.peer()
    peer.stop_reading()
    peer.say(b"".join(b"RETR %d\r\n" % n for n in range(1, 101)) * 10)
    assert peer.line.most < 4 * BUFFER
    assert peer.protocol.session.retrieved < 6
    peer.read_on()
    assert peer.protocol.session.retrieved == 1_000


def test_long_listings_to_a_reader_that_stops() -> None:
    """LIST of a huge maildrop waits for its reader, too; and nothing is lost of it."""
    office = Office([b"a\r\n"] * 60_000)
    peer = office.peer()
    peer.stop_reading()
    peer.say(b"LIST\r\nUIDL\r\nNOOP\r\n")
    assert peer.line.most < 2 * BUFFER
    peer.read_on()
    heard = peer.heard()
    assert heard.count(b"\r\n") == 2 * 60_002 + 1
    assert heard.endswith(b"60000 e.60000\r\n.\r\n+OK ok\r\n")


def test_a_listing_that_breaks_off(log: Logbook) -> None:
    """Where unique-ids cannot be told after all the session ends: the list is not ended with a dot."""
    office = Office()
    peer = office.peer()
    office.maildrop.uidl_fails = BrokenError()
    heard = peer.ask(b"UIDL\r\nNOOP\r\n")
    assert b"\r\n.\r\n" not in heard
    assert heard.split(b"\r\n")[-2].startswith(b"-ERR [SYS/TEMP] ")
    assert peer.line.ending == "half-close"
    assert not office.maildrop.locked
    assert len(log.take_failures(BrokenError)) == 1


def test_pop3_20_mail_that_arrives_in_a_session() -> None:
    """What arrives while a session is open is not seen in it; the next one sees it."""
    office = Office()
    peer = office.peer()
    office.maildrop.letters.append(b"D: 4\r\n\r\n")
    assert peer.ask(b"STAT\r\n").startswith(b"+OK 3 ")
    assert peer.ask(b"RETR 4\r\n").startswith(b"-ERR ")
    assert peer.ask(b"DELE 1\r\nRSET\r\n").split(b"\r\n")[1].startswith(b"+OK 3 letters")
    peer.leave()
    assert office.peer().ask(b"STAT\r\n").startswith(b"+OK 4 ")
