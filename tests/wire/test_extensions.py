"""The engines' later extensions, wherever the network cuts: chunks, logins, TLS, LMTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.lmtp import LMTPServer
from mailpost.wire.login import Access, LoginOffered
from mailpost.wire.pop3 import POP3Server
from mailpost.wire.pop3 import State as POP3State
from mailpost.wire.pop3_events import LetterAsked, UpdateAsked
from mailpost.wire.pop3_events import TLSAsked as STLSAsked
from mailpost.wire.reply import Reply
from mailpost.wire.sasl import encode_base64
from mailpost.wire.session import MASKED, OutputWaiting, Question, SessionEnded
from mailpost.wire.smtp import MAX_LINE, Settings, SMTPServer, State
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TLSAsked,
    TransactionAborted,
)

from .cutting import cuts, mail_octets, pieces

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = b"EHLO client.example\r\n"
ADDRESSED = b"MAIL FROM:<c@example.net>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n"
PLAIN = encode_base64(b"\0alice\0open sesame")
NAME, PASSWORD = encode_base64(b"alice"), encode_base64(b"open sesame")
KEPT = Reply(250, "2.0.0", "kept")

chunks = st.builds(
    lambda octets, last: b"BDAT %d%b\r\n" % (len(octets), b" LAST" * last) + octets,
    mail_octets(4),
    st.booleans(),
)
logins = st.sampled_from(
    [
        b"AUTH PLAIN %b\r\n" % PLAIN,
        b"AUTH PLAIN\r\n%b\r\n" % PLAIN,
        b"AUTH LOGIN\r\n%b\r\n%b\r\n" % (NAME, PASSWORD),
        b"AUTH LOGIN %b\r\n%b\r\n" % (NAME, PASSWORD),
        *(b"AUTH LOGIN\r\n*\r\n", b"AUTH PLAIN =\r\n", b"AUTH PLAIN\r\n\r\n", b"AUTH\r\n"),
        *(b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"*\r\n", b"%b\r\n" % NAME, b"AUTH CRAM-MD5\r\n"),
        b"AUTH PLAIN \xff\r\n",
        b"AUTH LOGIN\r\n\x1b\n\r\n",
    ]
)
others = st.sampled_from(
    [
        *(HELLO, b"LHLO relay\r\n", b"HELO x\r\n", ADDRESSED, ADDRESSED + b"DATA\r\nx\r\n.\r\n"),
        *(b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"DATA\r\n", b"BDAT x\r\n", b"BDAT 7 LAST\r\n"),
        *(b"MAIL FROM:<\xc3\xb6@x> SMTPUTF8\r\n", b"RCPT TO:<\xc3\xb6@x>\r\n", b"\r\n.\r\n"),
        *(b"USER alice\r\n", b"PASS x\r\n", b"CAPA\r\n", b"UTF8\r\n", b"LANG *\r\n", b"RETR 1\r\n"),
        *(b"AUTH\r\n", b"DELE 1\r\n", b"USER \xc3\xb6\r\n", b"VRFY \xc3\xb6\r\n"),
    ]
)
said = st.lists(chunks | logins | others | mail_octets(3), max_size=20).map(b"".join)
moods = st.lists(st.integers(0, 2), min_size=1, max_size=8)


class Maildrop:
    """One letter."""

    sizes = (5,)

    def uidl(self, index: int) -> bytes:
        """Its unique-id."""
        return b"u%d" % index


class Run:
    """Drives any engine and notes what came of it, without where it was cut.

    :param mood: decides how its questions are answered, one by one.
    """

    def __init__(self, engine: SMTPServer | POP3Server, mood: list[int]) -> None:
        self.engine = engine
        self.happened: list[object] = []
        self.said = b""
        self._mood = mood
        self._asked = 0
        self._letter = b""

    def feed(self, octets: bytes, at: list[int]) -> Run:
        """Feed the engine, cut at these places."""
        for piece in pieces(octets, at):
            self.engine.receive(piece)
            while (event := self.engine.next_event()) is not None:
                self._note(event)
                if isinstance(event, Question):
                    assert self.engine.next_event() is None
                    mood = self._mood[self._asked % len(self._mood)]
                    self._asked += 1
                    if (end := self._answer(event, mood)) is not None:
                        self._note(end)
            self.said += self.engine.take_output()
        return self

    def _note(self, event: object) -> None:
        if isinstance(event, PieceReceived):
            self._letter += event.octets
            return
        if isinstance(event, TransactionAborted):
            if event.refusal is not None:
                self._letter = b""  # how much was told before it was refused depends on the cutting
            event = "aborted"
        elif isinstance(event, SessionEnded):
            event = ("ended", event.orderly)
        elif isinstance(event, LoginOffered):
            event = (event.name, event.password)
        elif isinstance(event, OutputWaiting):
            return
        self.happened.append((self._letter, event))
        self._letter = b""

    def _answer(self, event: Question, mood: int) -> SessionEnded | None:
        engine = self.engine
        if isinstance(engine, POP3Server):
            return self._answer_pop3(engine, event, mood)
        if isinstance(event, TLSAsked):
            engine.begin_tls()
            return None
        if isinstance(event, LetterReceived) and isinstance(engine, LMTPServer):
            engine.answer_each(
                [(KEPT, reply.STORE_FAILED)[(n + mood) % 2] for n in range(engine.recipients)]
            )
            return None
        choices = {
            SenderOffered: [reply.SENDER_OK, reply.DISK_FULL],
            RecipientOffered: [reply.RECIPIENT_OK, reply.NO_SUCH_USER],
            LetterReceived: [KEPT, reply.STORE_FAILED],
            LoginOffered: [reply.LOGIN_LATER, reply.BAD_LOGIN, reply.LOGIN_LATER],
        }[type(event)]
        if isinstance(event, LoginOffered) and mood % 3 == 0:
            engine.admit()
            return None
        return engine.answer(choices[mood % len(choices)])

    def _answer_pop3(self, engine: POP3Server, event: Question, mood: int) -> SessionEnded | None:
        if isinstance(event, STLSAsked):
            engine.begin_tls()
        elif isinstance(event, LetterAsked):
            engine.give(b"A: 1\r\n\r\n")
        elif isinstance(event, UpdateAsked):
            return engine.updated(committed=bool(mood))
        elif mood == 0:
            engine.admit(Maildrop())
        else:
            return engine.refuse(reply.POP_BAD_LOGIN if mood == 1 else reply.POP_IN_USE)
        return None


def smtp(**security: bool) -> SMTPServer:
    """A session of a small office."""
    return SMTPServer(Settings("post.example.org", 300, 3, 5), Access(**security))


def submission() -> SMTPServer:
    """The same for the office's own users."""
    return SMTPServer(
        Settings("post.example.org", 300, 3, 5, needs_login=True), Access(can_tls=True)
    )


def lmtp() -> LMTPServer:
    """The same for a relay."""
    return LMTPServer(Settings("post.example.org", 300, 3, 5), Access(can_tls=True))


def pop3() -> POP3Server:
    """A session that collects."""
    return POP3Server("post.example.org", 5, Access(can_tls=True))


def no_password() -> SMTPServer:
    """Before TLS no password may be said."""
    return smtp(can_tls=True, cleartext=False)


def faults_alike(octets: bytes) -> bytes:
    """Which of two faults of one letter is told depends on the cutting."""
    return re.sub(rb"55[24] 5\.(3\.4|6\.0|4\.6) [^\r]*", b"refused", octets)


def hello(engine: SMTPServer | POP3Server) -> bytes:
    """The first word to an engine."""
    if isinstance(engine, POP3Server):
        return b"CAPA\r\n"
    return b"LHLO relay\r\n" if isinstance(engine, LMTPServer) else HELLO


engines = pytest.mark.parametrize("make", [smtp, submission, no_password, lmtp, pop3])


@engines
@given(said, cuts(), moods)
def test_smtp_66_cutting_changes_nothing(
    make: Callable[[], SMTPServer | POP3Server], octets: bytes, at: list[int], mood: list[int]
) -> None:
    """Chunks and logins cut anywhere give the same events and the same replies in the same order."""
    octets = hello(make()) + octets
    whole = Run(make(), mood).feed(octets, [])
    cut = Run(make(), mood).feed(octets, at)
    assert cut.happened == whole.happened
    assert faults_alike(cut.said) == faults_alike(whole.said)


@engines
@given(
    st.lists(st.binary(max_size=60) | said | st.just(b"STARTTLS\r\n") | st.just(b"STLS\r\n")), moods
)
def test_never_raises(
    make: Callable[[], SMTPServer | POP3Server], flights: list[bytes], mood: list[int]
) -> None:
    """Arbitrary octets, TLS begun anywhere, and arbitrary answers: nothing is raised or held back."""
    engine = make()
    transcript: list[str] = []
    engine.transcript = lambda _, line: transcript.append(line)
    run = Run(engine, mood).feed(hello(engine), [])
    for flight in flights:
        run.feed(flight, [])
    line = rb"(\+OK|-ERR|\+) [ -~]*|[ -~]*" if make is pop3 else rb"[2-5]\d\d[ -][ -~]*"
    for heard in run.said.split(b"\r\n")[:-1]:
        assert re.fullmatch(line, heard)
    assert engine.buffered <= MAX_LINE + 12_290
    assert all(line.isprintable() for line in transcript)


@engines
@given(st.binary(max_size=20), logins, cuts(), moods)
def test_no_secret_in_a_transcript(
    make: Callable[[], SMTPServer | POP3Server],
    behind: bytes,
    login: bytes,
    at: list[int],
    mood: list[int],
) -> None:
    """Neither a password nor what it is hidden in stands in a transcript, however the exchange ends."""
    engine = make()
    transcript: list[str] = []
    engine.transcript = lambda _, line: transcript.append(line)
    if make is no_password:
        login = b"AUTH PLAIN %b\r\n" % PLAIN
    Run(engine, mood).feed(hello(engine) + login + behind, at)
    told = "\n".join(transcript)
    for secret in (PLAIN, PASSWORD, b"open sesame"):
        assert secret.decode() not in told


@pytest.mark.parametrize("line", [b"AUTH PLAIN %b\x01\r\n", b"auth plain \xff%b\r\n"])
@pytest.mark.parametrize("make", [smtp, pop3])
def test_no_secret_of_a_damaged_line(
    make: Callable[[], SMTPServer | POP3Server], line: bytes
) -> None:
    """The same where the line itself cannot be read."""
    engine = make()
    transcript: list[str] = []
    engine.transcript = lambda _, told: transcript.append(told)
    Run(engine, [0]).feed(hello(engine) + line % PLAIN, [])
    assert transcript
    assert PLAIN.decode() not in "\n".join(transcript)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"PASS open sesame", "PASS ********"),
        (b"pass\topen sesame", "PASS ********"),
        (b"PASSopen sesame", "PASS ********"),
        (b"PASS:open sesame", "PASS ********"),
        (b"PASS \xff\0open sesame", "PASS ********"),
        (b"AUTH\tPLAIN open sesame", "AUTH ********"),
        (b"AUTH=PLAIN open sesame", "AUTH ********"),
        (b"AUTH plain open sesame", "AUTH plain ********"),
        (b"AUTH CRAM-MD5", "AUTH CRAM-MD5 ********"),
        (b"AUTH b3BlbiBzZXNhbWU=", "AUTH ********"),
        (b"AUTH  open sesame", "AUTH ********"),
        (b"AUTH", "AUTH"),
        (b"APOP alice c4c9334bac560ecc979e58001b3e22fb", "APOP alice ********"),
        (b"APOP \x1b[2J c4c9334bac560ecc979e58001b3e22fb", r"APOP \x1b[2J ********"),
        (b"APOP\topen sesame", "APOP ********"),
    ],
)
@pytest.mark.parametrize("make", [smtp, pop3])
def test_secrets_however_they_are_said(
    make: Callable[[], SMTPServer | POP3Server], line: bytes, shown: str
) -> None:
    """What begins as a login does is masked in the transcript, even if it is misspelled."""
    engine = make()
    told: list[tuple[str, str]] = []
    engine.transcript = lambda *said: told.append(said)
    Run(engine, [0]).feed(line + b"\r\n", [])
    assert ("C", shown) in told
    assert "sesame" not in str(told)


@pytest.mark.parametrize(
    "make", [no_password, lambda: POP3Server("post.example.org", 9, Access(cleartext=False))]
)
@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN", b"CRAM-MD5"])
def test_secrets_that_did_not_wait(
    make: Callable[[], SMTPServer | POP3Server], mechanism: bytes
) -> None:
    """A response sent behind an AUTH that is refused is no command, and is masked; the next one is shown."""
    engine = make()
    told: list[tuple[str, str]] = []
    engine.transcript = lambda *said: told.append(said)
    login = b"AUTH %b\r\n%b\r\n%b\r\n" % (mechanism, PLAIN, PASSWORD)
    Run(engine, [0]).feed(hello(engine) + login + b"NOOP\r\nFNORD\r\n", [])
    said = [line for side, line in told if side == "C"]
    assert said[-5:] == [f"AUTH {mechanism.decode()} {MASKED}", MASKED, MASKED, "NOOP", "FNORD"]


refused = pytest.mark.parametrize(
    ("before", "code"),
    [
        (b"", b"503 5.5.1"),
        (HELLO, b"503 5.5.1"),
        (HELLO + ADDRESSED[:27], b"503 5.5.1"),
        (HELLO + ADDRESSED + b"BDAT 400\r\n" + b"x" * 400, b"503 5.5.1"),
    ],
)


@refused
@given(st.binary(max_size=80), st.booleans(), cuts())
def test_smtp_69_a_refused_chunk(
    before: bytes,
    code: bytes,
    octets: bytes,
    last: bool,  # noqa: FBT001
    at: list[int],
) -> None:
    """A refused chunk consumes its octets exactly, whatever they are, and then it is answered."""
    run = Run(smtp(), [0]).feed(before, [])
    run.said = b""
    head = b"BDAT %d%b\r\n" % (len(octets), b" LAST" * last)
    if octets:
        run.feed(head + octets[:-1], at)
        assert run.said == b""
        run.feed(octets[-1:] + b"NOOP\r\n", [])
    else:
        run.feed(head + b"NOOP\r\n", at)
    first, second, rest = run.said.split(b"\r\n")
    assert first.startswith(code)
    assert second + b"\r\n" == reply.OK.octets
    assert rest == b""
    assert run.engine.buffered == 0


def test_refused_chunks_count_as_errors() -> None:
    """Who goes on sending chunks that nobody takes is sent away."""
    run = Run(smtp(), [0]).feed(HELLO + b"BDAT 3\r\nabc" * 10, [])
    assert run.said.endswith(reply.TOO_MANY_ERRORS.octets)
    assert run.happened == [(b"", ("ended", False))]


@given(mail_octets(), cuts())
def test_smtp_70_final_crlf(octets: bytes, at: list[int]) -> None:
    """A letter in chunks is told octet for octet, and whether it ends with CRLF."""
    engine = SMTPServer(Settings("post.example.org"))
    head = b"BDAT %d LAST\r\n" % len(octets)
    run = Run(engine, [0]).feed(HELLO + ADDRESSED, []).feed(head + octets, at)
    letter, event = run.happened[-1]
    if event == "aborted":
        assert re.search(rb"\r(?!\n)|(?<!\r)\n", octets)
        assert run.said.endswith(reply.BARE_NEWLINE_IN_LETTER.octets)
        return
    assert letter == octets
    assert isinstance(event, LetterReceived)
    assert event.final_crlf is (not octets or octets.endswith(b"\r\n"))
    assert event.octets == len(octets)


@pytest.mark.parametrize(
    ("header", "dated", "identified"),
    [
        (b"Date: x\r\nMessage-ID: y\r\n", True, True),
        (b"Subject: x\r\nDATE : x\r\nmessage-id:\r\n", False, True),
        (b"X-Date: x\r\nSubject: Message-ID: x\r\n", False, False),
        (b"date:x\r\n\r\nMessage-ID: in the body\r\n", True, False),
        (b"", False, False),
    ],
)
def test_what_a_header_has(header: bytes, dated: bool, identified: bool) -> None:  # noqa: FBT001
    """Whether a letter has a Date and a Message-ID is seen wherever it is cut; its body does not count."""
    letter = header + b"\r\nDate: no\r\nMessage-ID: no\r\n"
    for place in range(len(letter)):
        run = Run(smtp(), [0]).feed(HELLO + ADDRESSED + b"DATA\r\n", [])
        run.feed(letter + b".\r\n", [place])
        event = run.happened[-1][1]  # type: ignore[index]
        assert (event.dated, event.identified) == (dated, identified)


@given(said, moods)
def test_smtp_44_45_starttls_forgets(octets: bytes, mood: list[int]) -> None:
    """Whatever was said before TLS, or came in the clear behind STARTTLS: nothing of it survives."""
    engine = SMTPServer(Settings("post.example.org", 300, 3, 50), Access(can_tls=True))
    engine.receive(HELLO)
    engine.next_event()
    run = Run(engine, mood).feed(b"".join(octets.splitlines(keepends=True)[:5]), [])
    if engine.closed:
        return
    run.said = b""
    engine.receive(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.net>\r\n" + octets)
    event = engine.next_event()
    if not isinstance(event, TLSAsked):
        return  # it was a letter's, or a login's
    engine.take_output()
    engine.begin_tls()
    assert engine.take_output() == reply.BEGIN_TLS.octets
    assert engine.next_event() is None
    assert (engine.buffered, engine.tls) == (0, True)
    assert (engine.state, engine.helo, engine.user) == (State.START, "", "")
    assert (engine.extended, engine.recipients) == (False, 0)
    run.feed(b"MAIL FROM:<>\r\n", [])
    assert run.said == reply.SAY_HELLO.octets
    run.feed(HELLO, [])
    assert b"STARTTLS" not in run.said
    assert engine.protocol == "ESMTPS"


def test_smtp_45_nothing_behind_starttls_is_run() -> None:
    """The octets behind STARTTLS in the same segment are thrown away, half a command, too."""
    engine = smtp(can_tls=True)
    run = Run(engine, [0]).feed(HELLO + b"STARTTLS\r\nNOOP\r\nEHLO evil", [])
    assert run.said.endswith(b"250 AUTH PLAIN LOGIN\r\n" + reply.BEGIN_TLS.octets)
    run.said = b""
    run.feed(b"NOOP\r\n", [])
    assert run.said == reply.OK.octets


def test_pop3_27_nothing_behind_stls_is_run() -> None:
    """STLS forgets the name, UTF8, and what was pipelined in the clear."""
    engine = pop3()
    run = Run(engine, [0]).feed(b"UTF8\r\nUSER eve\r\nSTLS\r\nPASS secret\r\nSTAT\r\nUSER e", [])
    assert [event for _, event in run.happened] == [STLSAsked()]  # type: ignore[misc]
    assert run.said.endswith(reply.POP_NAME_TAKEN_DOWN.octets + reply.POP_BEGIN_TLS.octets)
    assert (engine.name, engine.utf8, engine.tls, engine.buffered) == ("", False, True, 0)
    assert engine.state is POP3State.AUTHORIZATION
    run.said = b""
    run.feed(b"PASS secret\r\n", [])
    assert run.said == reply.POP_USER_FIRST.octets


@pytest.mark.parametrize(
    ("make", "greeting", "asked", "protocol"),
    [
        (smtp, HELLO, b"", "ESMTP"),
        (smtp, HELLO, b"AUTH PLAIN %b\r\n" % PLAIN, "ESMTPA"),
        (smtp, HELLO, b"MAIL FROM:<c@x> SMTPUTF8\r\n", "UTF8SMTP"),
        (lmtp, b"LHLO x\r\n", b"", "LMTP"),
        (lmtp, b"LHLO x\r\n", b"AUTH PLAIN %b\r\n" % PLAIN, "LMTPA"),
        (lmtp, b"LHLO x\r\n", b"MAIL FROM:<c@x> SMTPUTF8\r\n", "UTF8LMTP"),
        (smtp, b"HELO x\r\n", b"", "SMTP"),
        (smtp, b"HELO x\r\n", b"MAIL FROM:<c@x> SMTPUTF8\r\n", "UTF8SMTP"),
    ],
)
def test_smtp_29_74_with(
    make: Callable[..., SMTPServer], greeting: bytes, asked: bytes, protocol: str
) -> None:
    """The word for Received says what was spoken: RFC 3848, RFC 6531 §4.3."""
    engine = make()
    Run(engine, [0]).feed(greeting + asked, [])
    assert engine.protocol == protocol
    if protocol != "SMTP":
        engine.tls = True
        assert engine.protocol == protocol.removesuffix("A") + "S" + "A" * protocol.endswith("A")


def test_smtp_56_guessing() -> None:
    """Who guesses passwords is sent away; the office's own trouble is nobody's guess."""
    guess = b"AUTH PLAIN %b\r\n" % PLAIN
    run = Run(smtp(), [1]).feed(HELLO + guess * 50, [])
    assert run.said.count(reply.BAD_LOGIN.octets) == 5
    assert run.said.endswith(reply.TOO_MANY_ERRORS.octets)
    assert run.engine.closed
    run = Run(smtp(), [2]).feed(HELLO + guess * 50, [])
    assert run.said.count(reply.LOGIN_LATER.octets) == 50
    assert not run.engine.closed


def test_lmtp_as_many_answers_as_recipients() -> None:
    """Another number of answers is a fault of ours."""
    engine = lmtp()
    engine.receive(b"LHLO x\r\n" + ADDRESSED + b"DATA\r\n.\r\n")
    for answer in (reply.SENDER_OK, reply.RECIPIENT_OK, reply.RECIPIENT_OK):
        engine.next_event()
        engine.answer(answer)
    assert isinstance(engine.next_event(), LetterReceived)
    with pytest.raises(AssertionError):
        engine.answer_each([KEPT])


def test_a_password_is_not_shown() -> None:
    """Nor does it stand in what a debugger, or a log, shows of the question."""
    assert "sesame" not in repr(LoginOffered("alice", b"open sesame"))


@pytest.mark.parametrize("begin", [b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"auth plain\r\n"])
@pytest.mark.parametrize("make", [smtp, pop3])
def test_endless_response(make: Callable[[], SMTPServer | POP3Server], begin: bytes) -> None:
    """A response without end is one error; then the session is closed, and little was ever held."""
    engine = make()
    run = Run(engine, [0]).feed(hello(engine) + begin, [])
    run.said = b""
    most = 0
    for _ in range(200):
        run.feed(b"A" * 1000, [])
        most = max(most, engine.buffered)
    assert run.said in (reply.LINE_TOO_LONG.octets, reply.POP_LINE_TOO_LONG.octets)
    assert run.happened == [(b"", ("ended", False))]
    assert most < 13_000
    assert engine.buffered == 0


def test_an_endless_chunk_that_is_refused() -> None:
    """A refused chunk without end holds nothing, and is never answered before its end."""
    run = Run(smtp(), [0]).feed(HELLO + b"BDAT 999999999999999 LAST\r\n", [])
    run.said = b""
    for _ in range(100):
        run.feed(b"QUIT\r\n" * 1_000, [])
        assert run.engine.buffered == 0
    assert run.said == b""
    assert not run.engine.closed
