"""The POP3 engine, beyond what the golden dialogues show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.collecting import RETRIEVED_AT_ONCE
from mailpost.wire.dots import stuff
from mailpost.wire.pop3 import LISTED_AT_ONCE, POP3Server, State
from mailpost.wire.pop3_events import LetterAsked, LoginOffered, UpdateAsked
from mailpost.wire.reply import Response
from mailpost.wire.session import MAX_UNSENT, Event, OutputWaiting, Question, SessionEnded

from .cutting import cuts, mail_octets, pieces

if TYPE_CHECKING:
    from collections.abc import Callable

LOGIN = b"USER alice\r\nPASS secret\r\n"
LETTERS = [b"A: 1\r\n\r\n.one\r\n..\r\n", b"B: 2\r\n\r\n", b"C: 3\r\n\r\n" + b"long line\r\n" * 9]

COMMANDS = [
    *(LOGIN, b"USER alice\r\n", b"PASS secret\r\n", b"STAT\r\n", b"LIST\r\n", b"LIST 2\r\n"),
    *(b"UIDL\r\n", b"UIDL 9\r\n", b"RETR 1\r\n", b"RETR 3\r\n", b"TOP 1 1\r\n", b"TOP 3 4\r\n"),
    *(
        b"DELE 1\r\n",
        b"DELE 2\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"CAPA\r\n",
        b"QUIT\r\n",
        b"FNORD\r\n",
    ),
    *(b"NOOP\n", b"RETR\r\n", b"TOP 1\r\n", b"retr 1 1\r\n"),
]
streams = st.lists(st.sampled_from(COMMANDS) | mail_octets(2), max_size=25).map(b"".join)
moods = st.lists(st.integers(0, 5), min_size=1, max_size=8)


class Maildrop:
    """Letters in memory."""

    def __init__(self, letters: list[bytes]) -> None:
        self.letters = letters
        self.sizes = [len(letter) for letter in letters]

    def uidl(self, index: int) -> bytes:
        """A unique-id."""
        return b"u%d" % index


def session(max_errors: int = 5) -> POP3Server:
    """A session."""
    return POP3Server("post.example.org", max_errors)


def admitted(letters: list[bytes] = LETTERS, max_errors: int = 5) -> POP3Server:
    """A session after its login."""
    engine = session(max_errors)
    engine.receive(LOGIN)
    assert engine.next_event() == LoginOffered("alice", b"secret")
    engine.admit(Maildrop(letters))
    engine.take_output()
    return engine


def run(
    engine: POP3Server, octets: bytes, at: list[int], mood: list[int]
) -> tuple[list[str], bytes]:
    """Feed an engine and answer its questions; ``mood`` decides how, question by question."""
    happened: list[str] = []
    said = b""
    asked = 0
    for piece in pieces(octets, at):
        engine.receive(piece)
        while (event := engine.next_event()) is not None:
            if isinstance(event, OutputWaiting):
                said += engine.take_output()
                continue
            happened.append(repr(event) if isinstance(event, Question) else "ended")
            if isinstance(event, Question):
                assert engine.asked is event
                assert engine.next_event() is None
                if answer(engine, event, mood[asked % len(mood)]) is not None:
                    happened.append("ended")
                asked += 1
        said += engine.take_output()
        assert engine.unsent == 0
    return happened, said


def answer(engine: POP3Server, event: Event, mood: int) -> SessionEnded | None:
    """Answer a question in one of the ways there are."""
    if isinstance(event, UpdateAsked):
        return engine.updated(committed=mood > 2)
    if isinstance(event, LoginOffered):
        if mood < 4:
            engine.admit(Maildrop(LETTERS))
            return None
        return engine.refuse([reply.POP_BAD_LOGIN, reply.POP_IN_USE][mood - 4])
    assert isinstance(event, LetterAsked)
    letter = LETTERS[event.index]
    if mood == 0:
        return engine.refuse(reply.POP_TRY_LATER)
    if mood < 3:
        engine.give(letter)
        return None
    engine.begin_pieces(len(letter))
    for start in range(0, len(letter), mood):
        if not engine.give_piece(letter[start : start + mood]):
            break
    engine.end_pieces()
    return None


@given(streams, cuts(), moods)
def test_cutting_changes_nothing(octets: bytes, at: list[int], mood: list[int]) -> None:
    """Any cutting of the input gives the same events and the same replies in the same order."""
    assert run(session(), octets, at, mood) == run(session(), octets, [], mood)


RETRIEVALS = [
    *(
        b"RETR 1\r\n",
        b"RETR 2\r\n",
        b"retr 3\r\n",
        b"RETR 0003\r\n",
        b"RETR  1\r\n",
        b"RETR 2 \r\n",
    ),
    *(b"RETR 4\r\n", b"RETR 99999999999\r\n", b"RETR\r\n", b"RETR 1\n", b"RETR 1\r", b"\n"),
    *(b"TOP 1 1\r\n", b"DELE 2\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n"),
]


@given(
    st.lists(st.sampled_from(RETRIEVALS), max_size=40).map(b"".join),
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    cuts(),
)
def test_letters_given_together_are_the_same(octets: bytes, mood: list[int], at: list[int]) -> None:
    """However many of the letters asked for together are given with the first, the peer hears the same."""

    def play(how_many: Callable[[int], int], at: list[int]) -> tuple[bytes, int, object]:
        engine = admitted(max_errors=100)
        said, asked = b"", 0
        for piece in pieces(octets, at):
            engine.receive(piece)
            while (event := engine.next_event()) is not None:
                if isinstance(event, LetterAsked):
                    more = event.more[: how_many(asked)]
                    engine.give(*(LETTERS[index] for index in (event.index, *more)))
                    asked += 1
                elif isinstance(event, UpdateAsked):
                    engine.updated(committed=True)
            said += engine.take_output()
        return said, engine.retrieved, engine.given

    assert play(lambda asked: mood[asked % len(mood)], at) == play(lambda _: 0, [])


def test_letters_asked_for_together() -> None:
    """Pipelined RETRs of letters that can be had are one question; what does not belong ends it."""
    engine = admitted()
    engine.receive(b"RETR 1\r\nRETR 3\r\nretr 02\r\nRETR 9\r\nRETR 1\r\nNOOP\r\nRETR 2\r\n")
    event = engine.next_event()
    assert event == LetterAsked(0)
    assert list(event.more) == [2, 1]
    engine.give(LETTERS[0], LETTERS[2])
    event = engine.next_event()
    assert event == LetterAsked(1)
    assert not event.more
    engine.refuse(reply.POP_LETTER_GONE)
    event = engine.next_event()
    assert event == LetterAsked(0)  # and the one before it was refused by the engine
    assert not event.more
    assert engine.take_output().count(b"-ERR") == 2
    assert engine.given == b"\1\0\1"


@pytest.mark.parametrize("size", [MAX_UNSENT // 3 + 1, 100])
def test_letters_asked_for_together_are_few(size: int) -> None:
    """No more than may be sent at once, and than so many, whatever a peer has sent."""
    letter = b"x" * (size - 2) + b"\r\n"
    engine = admitted([letter] * 300)
    engine.receive(b"".join(b"RETR %d\r\n" % (n + 1) for n in range(300)))
    asked = 0
    while (event := engine.next_event()) is not None:
        if isinstance(event, OutputWaiting):
            engine.take_output()
            continue
        assert isinstance(event, LetterAsked)
        assert event.index == asked
        assert list(event.more) == list(range(asked + 1, asked + 1 + len(event.more)))
        assert (1 + len(event.more)) * size <= MAX_UNSENT
        assert len(event.more) <= RETRIEVED_AT_ONCE
        engine.give(*[letter] * (1 + len(event.more)))
        asked += 1 + len(event.more)
        assert engine.unsent < 2 * MAX_UNSENT
    assert asked == engine.retrieved == 300


def test_a_transcript_has_each_letter_asked_for_before_its_response() -> None:
    """Where every line is noted, letters are asked for one by one."""
    engine = admitted()
    noted: list[str] = []
    engine.transcript = lambda side, line: noted.append(f"{side}: {line}")
    engine.receive(b"RETR 1\r\nRETR 2\r\n")
    while (event := engine.next_event()) is not None:
        assert isinstance(event, LetterAsked)
        engine.give(LETTERS[event.index])
    assert [line.partition(" octets")[0] for line in noted] == [
        *("C: RETR 1", f"S: +OK {len(LETTERS[0])}"),
        *("C: RETR 2", f"S: +OK {len(LETTERS[1])}"),
    ]


def test_a_session_that_ends_forgets_what_was_asked_for() -> None:
    """An office that closes answers what it was asked, and nothing behind that."""
    engine = admitted()
    engine.receive(b"RETR 1\r\nRETR 2\r\n")
    engine.next_event()
    engine.give(LETTERS[0])
    engine.end(reply.POP_SHUTTING_DOWN)
    assert engine.next_event() is None


@given(st.binary(max_size=400) | streams, cuts(), moods, st.booleans())
def test_never_raises(octets: bytes, at: list[int], mood: list[int], inside: bool) -> None:  # noqa: FBT001
    """Arbitrary octets and arbitrary answers: nothing raised, nothing held."""
    engine = admitted() if inside else session()
    happened, said = run(engine, octets, at, mood)
    assert not said or said.startswith((b"+OK", b"-ERR"))
    assert engine.buffered <= 1024
    assert engine.closed is ("ended" in happened)


@given(mail_octets(), cuts())
def test_pop3_11_dots_anywhere(lines: bytes, at: list[int]) -> None:
    """RETR gives a letter stuffed, whole or in pieces of any size; TOP gives the same dots."""
    letter = lines + b"\r\n"
    whole, cut = admitted([letter]), admitted([letter])
    for engine in (whole, cut):
        engine.receive(b"RETR 1\r\n")
        assert engine.next_event() == LetterAsked(0)
    whole.give(letter)
    cut.begin_pieces(len(letter))
    assert cut.giving
    for piece in pieces(letter, at):
        assert cut.give_piece(piece)
    cut.end_pieces()
    assert not cut.giving
    said = whole.take_output()
    assert said == b"+OK %d octets\r\n%b.\r\n" % (len(letter), stuff(letter))
    assert cut.take_output() == said
    assert whole.retrieved == cut.retrieved == 1
    assert whole.given == cut.given == b"\1"


def test_what_was_given_whole() -> None:
    """RETR gives a letter, once or several times; TOP does not, nor a letter that was cut short."""
    engine = admitted(LETTERS)
    assert engine.given is None
    for command, pieces_of_it in (("TOP 1 1", 0), ("TOP 2 0", 2), ("RETR 3", 0), ("RETR 3", 1)):
        engine.receive(f"{command}\r\n".encode())
        event = engine.next_event()
        assert isinstance(event, LetterAsked)
        letter = LETTERS[event.index]
        if not pieces_of_it:
            engine.give(letter)
            continue
        engine.begin_pieces(len(letter))
        engine.give_piece(letter)
        engine.end_pieces()
    assert engine.given == bytes(n == 2 for n in range(len(LETTERS)))
    engine.receive(b"RETR 1\r\n")
    engine.next_event()
    engine.begin_pieces(len(LETTERS[0]))
    engine.give_piece(LETTERS[0][:3])
    assert engine.given == bytes(n == 2 for n in range(len(LETTERS)))
    assert session().given is None


@pytest.mark.parametrize(
    "count", [0, 1, LISTED_AT_ONCE - 1, LISTED_AT_ONCE, LISTED_AT_ONCE + 1, 1201]
)
@pytest.mark.parametrize(("verb", "line"), [(b"LIST", b"%d 4\r\n"), (b"UIDL", b"%d u%d\r\n")])
def test_long_listings(verb: bytes, line: bytes, count: int) -> None:
    """A long listing is said a part at a time, and is whole; the next command waits for its end."""
    engine = admitted([b"a\r\n\r"] * count)
    engine.receive(verb + b"\r\nSTAT\r\n")
    said = b""
    while isinstance(engine.next_event(), OutputWaiting):
        assert engine.unsent < LISTED_AT_ONCE * 20
        said += engine.take_output()
    said += engine.take_output()
    numbers = [line % ((n + 1, n)[: line.count(b"%")]) for n in range(count)]
    total = b"%d letters, %d octets\r\n" % (count, count * 4)
    stat = b"+OK %d %d\r\n" % (count, count * 4)
    assert said == b"+OK " + total + b"".join(numbers) + b".\r\n" + stat


def test_pop3_07_a_long_listing_leaves_deleted_ones_out() -> None:
    """Also in the parts of a long listing marked letters are left out."""
    engine = admitted([b"a\r\n"] * 1200)
    engine.receive(b"DELE 1\r\nDELE 700\r\nLIST\r\n")
    while engine.next_event() is not None:
        pass
    lines = engine.take_output().split(b"\r\n")
    assert b"1 3" not in lines
    assert b"700 3" not in lines
    assert len([line for line in lines if line.endswith(b" 3")]) == 1198


def test_pop3_14_only_quit_leads_to_update() -> None:
    """QUIT asks for exactly what is marked, in order; nothing after it is heard."""
    engine = admitted()
    happened, said = run(engine, b"DELE 3\r\nDELE 1\r\nQUIT\r\nRSET\r\nNOOP\r\n", [], [5])
    assert happened == ["UpdateAsked(indexes=[0, 2])", "ended"]
    assert engine.state is State.UPDATE
    assert said.endswith(reply.POP_BYE.octets)
    assert engine.next_event() is None
    assert run(admitted(), b"DELE 1\r\nRSET\r\nQUIT\r\n", [], [5])[0] == ["ended"]


def test_pop3_15_the_end_from_our_side() -> None:
    """A session ended by a time-out or at shutdown never asks for an update."""
    engine = admitted()
    run(engine, b"DELE 1\r\nLIST\r\n", [], [0])
    engine.receive(b"QUIT\r\n")
    assert not engine.end(reply.POP_IDLE).orderly
    assert engine.next_event() is None
    assert engine.take_output() == reply.POP_IDLE.octets


def test_the_end_within_a_long_listing() -> None:
    """A session that is ended in the midst of a listing does not go on with it."""
    engine = admitted([b"a\r\n"] * 1200)
    engine.receive(b"LIST\r\n")
    assert isinstance(engine.next_event(), OutputWaiting)
    engine.take_output()
    engine.end(reply.POP_IDLE)
    assert engine.next_event() is None
    assert engine.take_output() == reply.POP_IDLE.octets


def test_pop3_01_no_reply_is_longer_than_512_octets() -> None:
    """Nothing of what a peer says comes back, so a reply cannot become long."""
    engine = session(max_errors=10)
    run(engine, b"USER " + b"x" * 1000 + b"\r\n", [], [0])
    happened, said = run(engine, b"PASS " + b"y" * 1000 + b"\r\nSTAT\r\n", [], [4])
    assert happened[0].startswith("LoginOffered")
    assert all(len(line) < 511 for line in said.split(b"\r\n"))


@pytest.mark.parametrize("length", [20_000, 200_000])
@pytest.mark.parametrize("verb", [b"", b"PASS "])
def test_endless_command(verb: bytes, length: int) -> None:
    """A command without end is one error; then the session is closed, and nothing is held."""
    engine = session()
    octets = verb + b"x" * length + b"\r\nNOOP\r\n"
    happened, said = run(engine, octets, list(range(0, length, 4096)), [0])
    assert (happened, said) == (["ended"], reply.POP_LINE_TOO_LONG.octets)
    assert engine.buffered == 0


def test_a_password_is_never_shown() -> None:
    """Neither in the transcript nor in what is printed of the question; the name is escaped."""
    lines: list[str] = []
    engine = session()
    engine.transcript = lambda side, line: lines.append(f"{side}: {line}")
    engine.receive(b"USER \x1b\xff\r\nUSER alice\r\npass open sesame\r\n")
    event = engine.next_event()
    assert event == LoginOffered("alice", b"open sesame")
    assert "sesame" not in repr(event)
    assert lines[0] == r"C: USER \x1b\xff"
    assert "C: PASS ********" in lines
    assert not any("sesame" in line for line in lines)


@pytest.mark.parametrize("utf8", [b"", b"UTF8\r\n"])
def test_names_in_utf8(utf8: bytes) -> None:
    """Before UTF8 and after it a name is what SASLprep makes of it (RFC 6856 §2.2)."""
    for said, name in [
        ("\uff41lice", "alice"),
        ("A\u2168", "AIX"),
        ("j\u00f6rg", "j\u00f6rg"),
    ]:
        engine = session()
        engine.receive(utf8 + f"USER {said}\r\nPASS x\r\n".encode())
        assert engine.next_event() == LoginOffered(name, b"x")
    for said in ("\ue000", "\u00ad", "a\u200f"):
        engine = session()
        engine.receive(utf8 + f"USER {said}\r\nPASS x\r\n".encode())
        assert engine.next_event() is None
        assert engine.take_output().count(b"-ERR") == 2


def test_a_letter_that_fails() -> None:
    """A letter that cannot be read is -ERR, and the session lives; a TOP is forgotten with it."""
    engine = admitted()
    happened, said = run(engine, b"TOP 3 1\r\nRETR 3\r\n", [], [0, 1])
    assert happened == ["LetterAsked(index=2)", "LetterAsked(index=2)"]
    whole = b"+OK %d octets\r\n%b.\r\n" % (len(LETTERS[2]), LETTERS[2])
    assert said == reply.POP_TRY_LATER.octets + whole


def test_wrong_passwords_end_the_session() -> None:
    """Guessing counts as an error; a maildrop in use, or trouble of ours, does not."""
    for response, closed in ((reply.POP_BAD_LOGIN, True), (reply.POP_IN_USE, False)):
        engine = session(max_errors=2)
        for _ in range(3):
            engine.receive(LOGIN)
            assert isinstance(engine.next_event(), LoginOffered)
            engine.refuse(response)
            assert engine.name == ""
        assert engine.closed is closed


@pytest.mark.parametrize(
    "misuse",
    [
        lambda engine: engine.give(b""),
        lambda engine: engine.refuse(reply.POP_IN_USE),
        lambda engine: engine.admit(Maildrop([])),
        lambda engine: engine.updated(committed=True),
        lambda engine: engine.begin_pieces(3),
    ],
)
def test_our_misuse_is_told(misuse: object) -> None:
    """An answer without its question is a fault of ours, not of the peer."""
    with pytest.raises(RuntimeError):
        misuse(admitted())  # type: ignore[operator]


def test_pop3_22_capabilities_are_true() -> None:
    """Every capability that is a command is one, and every command is told of."""
    engine = admitted()
    engine.receive(b"CAPA\r\n")
    assert engine.next_event() is None
    lines = engine.take_output().decode("ascii").split("\r\n")
    assert lines[-2:] == [".", ""]
    for word in ("TOP", "UIDL", "USER", "SASL PLAIN LOGIN", "UTF8 USER", "LANG"):
        assert word in lines
        engine.receive(f"{word.replace('SASL', 'AUTH').split()[0]}\r\n".encode())
        while engine.next_event() is not None:
            pass
        assert engine.take_output() != reply.POP_UNKNOWN_COMMAND.octets
    assert not re.search(r"STLS|LOGIN-DELAY", "\n".join(lines))
    assert Response(False, "x", "IN-USE").octets == b"-ERR [IN-USE] x\r\n"
