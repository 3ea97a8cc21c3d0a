"""The SMTP engine, beyond what the golden dialogues show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.parameters import MailParameters
from mailpost.wire.path import Address
from mailpost.wire.reply import Reply
from mailpost.wire.session import MAX_UNSENT, OutputWaiting, Question, SessionEnded
from mailpost.wire.smtp import Settings, SMTPServer, State
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TransactionAborted,
)

from .cutting import cuts, mail_octets, pieces

HELLO = b"EHLO client.example\r\n"
TO_DATA = b"MAIL FROM:<c@example.net>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n"
KEPT = Reply(250, "2.0.0", "kept")

COMMANDS = [
    HELLO,
    b"HELO client.example\r\n",
    b"MAIL FROM:<c@example.net>\r\n",
    b"MAIL FROM:<> SIZE=500\r\n",
    b"RCPT TO:<a@example.org>\r\n",
    b"RCPT TO:<b@example.org>\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY a\r\n",
    b"FNORD\r\n",
    b"QUIT\r\n",
    b"NOOP\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"..\r\n",
    b"Received: x\r\n",
    TO_DATA + b"letter\r\n.\r\n",
    b"x" * 100 + b"\r\n",
    b"BDAT 6\r\nQUIT\r\n",
    b"BDAT 12 LAST\r\n",
    b"BDAT 12 LATS\r\n",
    b"BDAT x\r\n",
]
streams = st.lists(st.sampled_from(COMMANDS) | mail_octets(3), max_size=25).map(b"".join)

ANSWERS: dict[type[Question], list[Reply]] = {
    SenderOffered: [reply.SENDER_OK, reply.DISK_FULL],
    RecipientOffered: [reply.RECIPIENT_OK, reply.NO_SUCH_USER, reply.LOCAL_ERROR],
    LetterReceived: [KEPT, reply.STORE_FAILED],
}


@dataclass
class Heard:
    """Everything that came of a session, without where it was cut."""

    happened: list[object] = field(default_factory=list)
    letter: bytes = b""
    said: bytes = b""

    def note(self, event: object) -> None:
        """Note an event; the pieces of a letter are one."""
        if isinstance(event, PieceReceived):
            assert event.octets
            self.letter += event.octets
            return
        if isinstance(event, TransactionAborted):
            if event.refusal is not None:
                self.letter = b""  # how much was told before it was refused depends on the cutting
            event = ("aborted", event.refusal)
        elif isinstance(event, SessionEnded):
            event = ("ended", event.orderly)
        self.happened.append((self.letter, event))
        self.letter = b""


def session(max_octets: int = 300, max_errors: int = 5) -> SMTPServer:
    """A session of a small office."""
    return SMTPServer(Settings("post.example.org", max_octets, 3, max_errors))


def run(engine: SMTPServer, octets: bytes, at: list[int], mood: list[int]) -> Heard:
    """Feed an engine and answer its questions; ``mood`` decides how, question by question."""
    heard = Heard()
    asked = 0
    for piece in pieces(octets, at):
        engine.receive(piece)
        while (event := engine.next_event()) is not None:
            if isinstance(event, OutputWaiting):
                heard.said += engine.take_output()
                continue
            heard.note(event)
            if isinstance(event, Question):
                assert engine.asked is event
                assert engine.next_event() is None
                choices = ANSWERS[type(event)]
                engine.answer(choices[mood[asked % len(mood)] % len(choices)])
                asked += 1
        heard.said += engine.take_output()
        assert engine.unsent == 0
    return heard


moods = st.lists(st.integers(0, 2), min_size=1, max_size=8)


@given(streams, cuts(), moods)
def test_smtp_66_cutting_changes_nothing(octets: bytes, at: list[int], mood: list[int]) -> None:
    """Any cutting of the input gives the same events and the same replies in the same order."""
    whole = run(session(), octets, [], mood)
    cut = run(session(), octets, at, mood)
    assert cut.happened == whole.happened
    assert cut.said == whole.said


@given(st.binary(max_size=400) | streams, cuts(), moods)
def test_never_raises(octets: bytes, at: list[int], mood: list[int]) -> None:
    """Arbitrary octets and arbitrary answers: replies that are replies, and nothing raised."""
    engine = session()
    heard = run(engine, octets, at, mood)
    for line in heard.said.split(b"\r\n")[:-1]:
        assert re.fullmatch(rb"[2-5]\d\d[ -][ -~]*", line)
    assert engine.buffered <= 2048
    assert engine.closed is any(
        isinstance(event, tuple) and event[0] == "ended" for _, event in heard.happened
    )


def test_one_question_at_a_time() -> None:
    """At a question nothing more is consumed, and nothing more is said, before the answer."""
    engine = session()
    engine.receive(HELLO + TO_DATA)
    question = engine.next_event()
    assert question == SenderOffered(Address("c", "example.net"), MailParameters())
    engine.take_output()
    engine.receive(b"x" * 500)
    assert engine.next_event() is None
    assert engine.take_output() == b""
    assert engine.buffered == len(TO_DATA) - TO_DATA.index(b"\n") - 1 + 500
    engine.answer(reply.SENDER_OK)
    assert engine.take_output() == reply.SENDER_OK.octets
    assert engine.next_event() == RecipientOffered(Address("a", "example.org"))


def test_our_misuse_is_told() -> None:
    """An answer without a question is a fault of ours, not of the peer."""
    with pytest.raises(RuntimeError):
        session().answer(reply.OK)


def test_states() -> None:
    """START, READY, MAIL, LETTER and READY again, as the module's table says."""
    engine = session()
    assert engine.state is State.START
    run(engine, b"RSET\r\nNOOP\r\n", [], [0])
    assert engine.state is State.START
    run(engine, HELLO, [], [0])
    assert (engine.state, engine.helo, engine.extended) == (State.READY, "client.example", True)
    run(engine, TO_DATA[: TO_DATA.index(b"DATA")], [], [0])
    assert engine.state is State.MAIL
    run(engine, b"DATA\r\nletter", [], [0])
    assert engine.state is State.LETTER
    run(engine, b"\r\n.\r\n", [], [0])
    assert engine.state is State.READY
    run(engine, b"HELO other.example\r\n", [], [0])
    assert (engine.helo, engine.extended) == ("other.example", False)


@pytest.mark.parametrize(
    ("command", "aborts"),
    [(b"RSET\r\n", True), (b"EHLO x\r\n", True), (b"HELO x\r\n", True), (b"EHLO\r\n", False)],
)
def test_what_ends_a_transaction(command: bytes, aborts: bool) -> None:  # noqa: FBT001
    """RSET and a new hello tell that the envelope is to be forgotten; a bad hello does not."""
    engine = session()
    run(engine, HELLO + b"MAIL FROM:<>\r\n", [], [0])
    assert (run(engine, command, [], [0]).happened == [(b"", ("aborted", None))]) is aborts


def test_a_letter_wipes_the_slate() -> None:
    """Errors before a letter are forgiven by the letter."""
    engine = session(max_errors=2)
    for _ in range(5):
        run(engine, HELLO + b"FNORD\r\nFNORD\r\n" + TO_DATA + b"\r\n.\r\n", [], [0])
        assert not engine.closed
    said = run(engine, b"FNORD\r\n" * 3, [], [0]).said
    assert said.endswith(reply.TOO_MANY_ERRORS.octets)
    assert engine.closed


def test_ended_from_our_side() -> None:
    """The last words are said, what waits is thrown away, and nothing is listened to any more."""
    engine = session()
    run(engine, HELLO + TO_DATA + b"half a let", [], [0])
    engine.receive(b"ter\r\nmore")
    assert not engine.end(reply.SHUTTING_DOWN).orderly
    assert engine.take_output() == reply.SHUTTING_DOWN.octets
    assert engine.closed
    engine.receive(b".\r\nNOOP\r\n")
    assert engine.buffered == 0
    assert engine.next_event() is None


@pytest.mark.parametrize("length", [20_000, 200_000])
def test_endless_command(length: int) -> None:
    """A command without end is one error; then the session is closed, and nothing is held."""
    engine = session()
    heard = run(engine, HELLO + b"x" * length + b"\r\nNOOP\r\n", list(range(0, length, 4096)), [0])
    assert heard.said.endswith(b"250 AUTH PLAIN LOGIN\r\n" + reply.LINE_TOO_LONG.octets)
    assert heard.happened == [(b"", ("ended", False))]
    assert engine.buffered == 0


def test_endless_line_in_a_letter() -> None:
    """A line without end in a letter goes by in pieces; nothing is held of it but its last octets."""
    engine = session(max_octets=1 << 30)
    run(engine, HELLO + TO_DATA, [], [0])
    told = 0
    for _ in range(2_000):
        engine.receive(b"y" * 10_000)
        event = engine.next_event()
        assert isinstance(event, PieceReceived)
        told += len(event.octets)
        assert engine.next_event() is None
        assert engine.buffered == 0
    assert told == 20_000_000
    assert b"250 2.0.0" in run(engine, b"\r\n.\r\n", [], [0]).said


def test_smtp_58_drained_to_its_true_end() -> None:
    """The rest of a letter that is too large is read to its true end, and never run as commands."""
    engine = session(max_octets=100)
    flood = b"QUIT\r\nRSET\r\nMAIL FROM:<evil@example.net>\r\n" * 1000
    heard = run(engine, HELLO + TO_DATA + flood + b".\r\nNOOP\r\n", [70, 90, 500, 9000], [0])
    kinds = [type(event) for _, event in heard.happened]
    assert kinds == [SenderOffered, RecipientOffered, tuple]
    assert heard.said.endswith(reply.TOO_LARGE.octets + reply.OK.octets)
    assert heard.said.count(reply.TOO_LARGE.octets) == 1


def test_a_refusal_is_told_once_and_at_once() -> None:
    """As soon as a letter cannot be taken the shell hears why; the peer hears it at the letter's end."""
    engine = session(max_octets=100)
    run(engine, HELLO + TO_DATA, [], [0])
    engine.receive(b"z" * 200)
    assert engine.next_event() == TransactionAborted(reply.TOO_LARGE)
    assert engine.next_event() is None
    assert engine.take_output() == b""
    engine.receive(b"z" * 200)
    assert engine.next_event() is None


@pytest.mark.parametrize(
    ("letter", "told"),
    [
        (b"bare\n" + b"z" * 200, reply.BARE_NEWLINE_IN_LETTER),
        (b"z" * 200 + b"bare\n", reply.TOO_LARGE),
        (b"z" * 99 + b"\nz", reply.BARE_NEWLINE_IN_LETTER),
        (b"z" * 100 + b"\nz", reply.TOO_LARGE),
        (b"z" * 98 + b"\rz" + b"z" * 9, reply.BARE_NEWLINE_IN_LETTER),
        (b"z" * 99 + b"\rz", reply.TOO_LARGE),
        (b"z" * 99 + b"\r\nz", reply.TOO_LARGE),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_the_first_of_two_faults_is_told(letter: bytes, told: Reply, *, chunked: bool) -> None:
    """Of two faults the earlier one is told, in one piece or octet by octet, by DATA and by BDAT."""
    said = HELLO + TO_DATA + letter + b"\r\n.\r\n"
    if chunked:
        said = HELLO + TO_DATA[:-6] + b"BDAT %d LAST\r\n" % len(letter) + letter
    for at in [[], list(range(len(said)))]:
        heard = run(session(max_octets=100), said, at, [0])
        assert heard.said.endswith(told.octets)
        assert heard.happened[-1][1] == ("aborted", told)


def test_a_loop_and_a_bare_newline() -> None:
    """The 101st Received line before a bare LF is a loop, behind it it is not looked at."""
    hops = b"Received: x\r\n" * 101
    for letter, told in [
        (hops + b"bare\n", reply.MAIL_LOOP),
        (b"bare\n" + hops, reply.BARE_NEWLINE_IN_LETTER),
    ]:
        said = HELLO + TO_DATA + letter + b"\r\n.\r\n"
        for at in [[], list(range(len(said)))]:
            assert run(session(max_octets=9999), said, at, [0]).said.endswith(told.octets)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"BDAT 60\n", reply.BARE_NEWLINE),
        (b"bdat 60 LAST\n", reply.BARE_NEWLINE),
        (b"BDAT 60\r", reply.BARE_NEWLINE),
        (b"BDAT 60\r \r\n", reply.BARE_NEWLINE),
        (b"BDAT\t60\r\n", reply.BAD_OCTETS),
        (b" BDAT 60\r\n", reply.BAD_CHUNK),
        (b"BDAT60\r\n", reply.BAD_CHUNK),
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_no_line_of_bdat(command: bytes, answer: Reply, cut: bool) -> None:  # noqa: FBT001
    """A BDAT that is no line, or has no blank: its chunk never becomes commands, so the session is over."""
    chunk = b"one\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@x>\r\nQUIT\r\n"
    octets = HELLO + TO_DATA[:-6] + command + chunk
    heard = run(session(), octets, list(range(len(octets))) if cut else [], [0])
    assert heard.said.endswith(answer.octets)
    assert heard.happened[-1][1] == ("ended", False)
    assert not any("evil" in str(event) for event in heard.happened)


@pytest.mark.parametrize("command", [b"BDAT 6 LAST\x00", b"bdat 6\xff", b"BDAT \x1b6"])
def test_odd_octets_in_bdat(command: bytes) -> None:
    """A chunk whose command cannot be read is not run as commands: the session ends."""
    heard = run(session(), HELLO + TO_DATA[:-6] + command + b"\r\nRSET\r\n", [], [0])
    assert heard.said.endswith(reply.RECIPIENT_OK.octets + reply.BAD_OCTETS.octets)
    assert heard.happened[-1][1] == ("ended", False)


def test_much_output_is_given_in_parts() -> None:
    """However much is pipelined, the engine stops answering until what it has said was taken."""
    engine = session()
    engine.receive(HELLO * 8_000)
    said = b""
    while isinstance(engine.next_event(), OutputWaiting):
        assert engine.unsent < MAX_UNSENT + 500
        assert isinstance(engine.next_event(), OutputWaiting)
        said += engine.take_output()
    assert (said + engine.take_output()).count(b"250-PIPELINING\r\n") == 8_000


def test_transcript() -> None:
    """Every line is told as it was said; what cannot be shown is escaped."""
    lines: list[str] = []
    engine = session()
    engine.transcript = lambda side, line: lines.append(f"{side}: {line}")
    engine.greet()
    run(engine, b"HELO x\r\nNOOP \x1b[2J\0\xff\\\r\n", [], [0])
    assert lines[0].startswith("S: 220 post.example.org")
    assert lines[1:3] == ["C: HELO x", "S: 250 post.example.org at your service"]
    assert lines[3] == r"C: NOOP \x1b[2J\x00\xff\\"
    assert all(line.isprintable() for line in lines)


def test_smtp_75_every_reply_of_a_session() -> None:
    """All that a session can say bears an enhanced code, but for greeting, hello and 354."""
    engine = session(max_errors=100)
    heard = run(
        engine, b"".join(COMMANDS) * 3 + b"\r\n.\r\nHELP\r\nHELP x\r\nVRFY\r\n", [], [0, 1, 2]
    )
    for line in heard.said.decode("ascii").split("\r\n")[:-1]:
        code, text = line[:3], line[4:]
        plain = line.startswith(("354", "250 post", "250-")) or line == "250 AUTH PLAIN LOGIN"
        assert plain or re.match(rf"{code[0]}\.\d+\.\d+ ", text), line
