"""What is fuzzed: octets go in, and what must always hold is looked at.

An input is a few octets of choices, then what the peer says. The choices are how the office is set up, where
the network cuts, what questions are answered and how late. Each target raises when something does not hold.
"""

from __future__ import annotations

import base64
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailpost.wire import proxy, reply
from mailpost.wire.dots import Stuffer, stuff
from mailpost.wire.downgrade import Downgrader, downgraded
from mailpost.wire.lmtp import LMTPServer
from mailpost.wire.login import MAX_RESPONSE, Access, LoginOffered, ProofGiven
from mailpost.wire.mime import may_have_more
from mailpost.wire.path import Address, PathError, parse_mail, parse_rcpt
from mailpost.wire.pop3 import POP3Server
from mailpost.wire.pop3_events import LetterAsked, UpdateAsked
from mailpost.wire.pop3_events import TLSAsked as POP3TLSAsked
from mailpost.wire.reply import Reply
from mailpost.wire.sasl import Checks
from mailpost.wire.sasl_events import KeysAsked, TokenOffered
from mailpost.wire.session import MASKED, MAX_UNSENT, Event, OutputWaiting, Question, SessionEnded
from mailpost.wire.smtp import Settings, SMTPServer
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TLSAsked,
    TransactionAborted,
)

from . import scram_by_the_book as book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.wire.scram_keys import ScramKeys

CHOICES = 8
"""Octets before what the peer says: the set-up, the cutting, six moods."""
WAIT = b"<WAIT>"
"""The peer waits here for everything it was owed; it does so where TLS begins."""
MAX_OCTETS = 300
MAX_RECIPIENTS = 3
KEPT = Reply(250, "2.0.0", "kept")
LETTERS = [b"A: 1\r\n\r\n.one\r\n..\r\n", b"B: 2\r\n\r\n", b"C: 3\r\n\r\n" + b"long line\r\n" * 9]

Engine = SMTPServer | POP3Server


class Listing:
    """Letters in memory."""

    sizes = tuple(map(len, LETTERS))

    def uidl(self, index: int) -> bytes:
        """A unique-id."""
        return b"u%d" % index


@dataclass
class Outcome:
    """What came of a session, without where it was cut."""

    happened: list[object] = field(default_factory=list)
    said: bytes = b""
    transcript: list[tuple[str, str]] = field(default_factory=list)


# The driver -----------------------------------------------------------------------------------------


def outcome(  # noqa: C901 - the loop that every shell has, in one look
    engine: Engine, flights: list[list[bytes]], moods: bytes
) -> Outcome:
    """Feed an engine and answer its questions; some answers come only after more octets have."""
    result = Outcome()
    engine.transcript = lambda side, line: result.transcript.append((side, line))
    asked = waited = 0
    letter = b""
    for flight in flights:
        waiting = 0
        for piece in [*flight, b""]:
            engine.receive(piece)
            if waiting and piece:
                waiting -= 1
                assert engine.next_event() is None, "an event before the answer"
                continue
            waiting = 0
            encrypted = engine.tls
            while (event := engine.asked or engine.next_event()) is not None:
                if isinstance(event, OutputWaiting):
                    result.said += engine.take_output()
                    continue
                if isinstance(event, PieceReceived):
                    assert event.octets
                    letter += event.octets
                    continue
                if not isinstance(event, Question):
                    letter = _note(result, event, letter)
                    continue
                mood = moods[asked % len(moods)]
                if waited <= asked and piece and mood & 0x30 and len(flight) > 1:
                    waited = asked + 1
                    waiting = mood >> 4 & 3
                    said = engine.unsent
                    assert engine.next_event() is None
                    assert engine.unsent == said, "something was said before the answer"
                    break
                asked += 1
                letter = _note(result, event, letter)
                ended = answer(engine, event, mood & 0xF)
                if ended is not None:
                    _note(result, ended, b"")
            assert engine.unsent <= MAX_UNSENT + 1024
            result.said += engine.take_output()
            if engine.asked is None:
                assert engine.buffered <= max(engine.max_line, MAX_RESPONSE), "too much is held"
            if engine.tls is not encrypted:
                break  # the rest of this flight was thrown away
    _check_end(engine, result)
    return result


def _note(result: Outcome, event: Event, letter: bytes) -> bytes:
    """Note an event with the letter's octets before it; what is left of those."""
    told: object = event
    if isinstance(event, TransactionAborted):
        if event.refusal is not None:
            letter = b""  # how much was told before it was refused depends on the cutting
        told = ("aborted", event.refusal)
    elif isinstance(event, SessionEnded):
        told = ("ended", event.orderly)
    elif isinstance(event, LetterReceived):
        assert event.octets == len(letter)
    result.happened.append((letter, told))
    return b""


def _check_end(engine: Engine, result: Outcome) -> None:
    ended = [told for _, told in result.happened if isinstance(told, tuple) and told[0] == "ended"]
    assert len(ended) == engine.closed
    if engine.closed:
        assert isinstance(result.happened[-1][1], tuple), "something happened after the end"
        engine.receive(b"NOOP\r\n")
        assert engine.next_event() is None
        assert engine.take_output() == b""
        assert engine.buffered == 0


def answer(engine: Engine, event: Question, mood: int) -> SessionEnded | None:
    """Answer a question in one of the ways there are."""
    if isinstance(event, TLSAsked | POP3TLSAsked):
        engine.begin_tls()
        return None
    if isinstance(event, KeysAsked) and mood % 4 < 3:
        engine.give_keys(book.KEYS[: mood % 4 or 1])
        return None
    if isinstance(engine, SMTPServer):
        if isinstance(event, LetterReceived) and isinstance(engine, LMTPServer):
            engine.answer_each([(KEPT, reply.STORE_FAILED)[mood & 1]] * engine.recipients)
            return None
        if isinstance(event, ProofGiven):
            return engine.answer(reply.BAD_LOGIN) if event.keys is None else engine.admit()
        if isinstance(event, LoginOffered | TokenOffered) and mood % 3 == 0:
            engine.admit("alice")
            return None
        choices = {
            SenderOffered: (reply.SENDER_OK, reply.SENDER_OK, reply.DISK_FULL),
            RecipientOffered: (reply.RECIPIENT_OK, reply.RECIPIENT_OK, reply.NO_SUCH_USER),
            LetterReceived: (KEPT, KEPT, reply.STORE_FAILED),
            LoginOffered: (reply.OK, reply.BAD_LOGIN, reply.LOGIN_LATER),
            TokenOffered: (reply.OK, reply.BAD_LOGIN, reply.LOGIN_LATER),
            KeysAsked: (reply.LOGIN_LATER, reply.LOGIN_LATER, reply.LOGIN_LATER),
        }[type(event)]
        return engine.answer(choices[mood % 3])
    return _answer_collector(engine, event, mood)


def _answer_collector(engine: POP3Server, event: Question, mood: int) -> SessionEnded | None:
    if isinstance(event, KeysAsked):
        return engine.refuse(reply.POP_TRY_LATER)
    if isinstance(event, ProofGiven):
        if event.keys is None:
            return engine.refuse(reply.POP_BAD_LOGIN)
        engine.admit(Listing())
        return None
    if isinstance(event, LoginOffered | TokenOffered):
        if mood % 4 < 2:
            engine.admit(Listing(), "alice")
            return None
        return engine.refuse((reply.POP_BAD_LOGIN, reply.POP_IN_USE)[mood % 2])
    if isinstance(event, UpdateAsked):
        return engine.updated(committed=mood % 2 == 0)
    assert isinstance(event, LetterAsked)
    if mood % 4 == 0:
        return engine.refuse(reply.POP_TRY_LATER)
    if mood & 1:
        give(engine, LETTERS[event.index], mood)
    else:
        engine.give(*(LETTERS[index] for index in (event.index, *event.more[: mood // 4])))
    return None


def give(engine: POP3Server, letter: bytes, size: int) -> None:
    """Give a letter: whole, or in pieces of ``size`` octets."""
    if not size:
        engine.give(letter)
        return
    engine.begin_pieces(len(letter))
    for start in range(0, len(letter), size):
        if not engine.give_piece(letter[start : start + size]):
            break
    engine.end_pieces()


def cuttings(octets: bytes, seed: int) -> Iterator[list[list[bytes]]]:
    """In one piece, octet by octet, and cut anywhere."""
    flights = octets.split(WAIT)
    yield [[flight] for flight in flights]
    yield [[flight[n : n + 1] for n in range(len(flight))] for flight in flights]
    chance = random.Random(seed)
    anywhere = []
    for flight in flights:
        pieces = []
        while flight:
            size = chance.choice((1, 1, 2, 3, 5, 17, 80, 1000))
            pieces.append(flight[:size])
            flight = flight[size:]  # noqa: PLW2901 - what is left of it
        anywhere.append(pieces)
    yield anywhere


def alike(make: Callable[[], Engine], data: bytes) -> Outcome:
    """What comes of an input, the same however it is cut."""
    moods, octets = data[2:CHOICES] or b"\0", data[CHOICES:]
    seed = data[1] if len(data) > 1 else 0
    first, *others = (outcome(make(), flights, moods) for flights in cuttings(octets, seed))
    for other in others:
        assert other.happened == first.happened
        assert other.said == first.said
        assert other.transcript == first.transcript
    assert all(line.isprintable() for _, line in first.transcript)
    return first


# The targets ----------------------------------------------------------------------------------------


def access(choice: int) -> Access:
    """How somebody may come in."""
    checks = Checks.PASSWORDS if choice & 32 else Checks.PASSWORDS | Checks.TOKENS
    return Access(
        can_tls=bool(choice & 8),
        cleartext=not choice & 16,
        checks=checks | Checks.KEYS if choice & 64 else checks,
        nonce=lambda: book.NONCE,
    )


def smtp(data: bytes) -> None:
    """A session of SMTP or LMTP: letters by DATA and BDAT, AUTH, STARTTLS."""
    choice = data[0] if data else 0
    kind = LMTPServer if choice & 1 else SMTPServer
    settings = Settings(
        "post.example.org",
        MAX_OCTETS,
        MAX_RECIPIENTS,
        max_errors=30 if choice & 2 else 5,
        needs_login=bool(choice & 4),
    )
    result = alike(lambda: kind(settings, access(choice)), data)
    lines = result.said.split(b"\r\n")
    assert lines.pop() == b"", "a reply ends with CRLF"
    for line in lines:
        assert re.fullmatch(rb"[2-5]\d\d[ -][ -~]*", line), line
        assert len(line) <= 510, "RFC 5321 §4.5.3.1.5"
    finals = [(side, line) for side, line in result.transcript if side == "C" or line[3] == " "]
    _one_reply_each(finals, MAX_RECIPIENTS if choice & 1 else 1)
    letters = [event for _, event in result.happened if isinstance(event, LetterReceived)]
    octets = data[CHOICES:]
    assert len(letters) <= octets.count(b".\r\n") + octets.upper().count(b"BDAT ")


def _one_reply_each(lines: list[tuple[str, str]], most: int) -> None:
    """Each command has one reply before the next, a letter one more; secrets are masked."""
    owed, command, challenged = 0, "", False
    for n, (side, line) in enumerate(lines):
        if side == "C":
            assert n == 0 or lines[n - 1][0] == "S", f"no reply to {command!r}"
            command, owed = line, 1
            if challenged:
                assert line == MASKED
            elif line[:5].upper() == "AUTH ":
                assert line.split(" ", 2)[-1] == MASKED
            elif line.upper().startswith("BDAT ") and line.upper().endswith("LAST"):
                owed = most
            continue
        challenged = line.startswith("334 ")
        if line.startswith("354 "):
            owed = most
        elif owed:
            owed -= 1
        else:
            unasked = line.startswith(("500 5.5.2 a line ends", "500 5.5.2 line too", "421 4.7.0"))
            assert unasked, f"a reply to nothing: {line}"


def pop3(data: bytes) -> None:
    """A session of POP3: logins, letters given whole and in pieces, marks, STLS."""
    choice = data[0] if data else 0
    result = alike(
        lambda: POP3Server("post.example.org", 30 if choice & 2 else 5, access(choice)), data
    )
    assert not result.said or result.said.endswith(b"\r\n")
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", result.said) is None
    statuses = [
        (side, line)
        for side, line in result.transcript
        if side == "C" or line.startswith(("+", "-ERR"))
    ]
    challenged = False
    for n, (side, line) in enumerate(statuses):
        before = statuses[n - 1] if n else ("S", "")
        if side == "C":
            assert before[0] == "S", f"no response to {before[1]!r}"
            assert not challenged or line == MASKED
            if line.upper().startswith("PASS "):
                assert line == f"PASS {MASKED}"
            elif line.upper().startswith("AUTH ") and line[5:]:
                assert line.split(" ", 2)[-1] == MASKED
        else:
            assert len(line) <= 510, "RFC 1939 §3"
            unasked = line.startswith(("-ERR a line ends", "-ERR line too", "-ERR too many errors"))
            assert before[0] == "C" or unasked, f"a response to nothing: {line}"
            challenged = line.startswith("+ ")
    updates = [event for _, event in result.happened if isinstance(event, UpdateAsked)]
    assert len(updates) <= 1


def scram(data: bytes) -> None:
    """A login by SCRAM, over SMTP or POP3: whoever is let in has proved it, and whoever proves it is.

    An input is choices, then what the client says, a line for each message: :mod:`.scram_by_the_book` has its
    marks. A line that begins with ``!`` is said as it is, and not in base64.
    """
    choice = data[0] if data else 0
    plus, tls, initial = bool(choice & 2), bool(choice & 4), bool(choice & 8)
    first, *later = data[CHOICES:].split(b"\n")
    final = book.filled_in(first, later[0], book.PASSWORDS[choice >> 4 & 1]) if later else b""
    messages = [first, *([final] if later else []), *later[1:]]
    said = [one[1:] if one[:1] == b"!" else base64.b64encode(one) for one in messages]
    command = b"AUTH SCRAM-SHA-256" + b"-PLUS" * plus
    command += b" " + (said[0] or b"=") if initial else b"\r\n" + said[0]
    script = b"\r\n".join([command, *said[1:], b"NOOP", b""])
    how = Access(checks=Checks.KEYS, tls=tls, nonce=lambda: book.NONCE)

    def make() -> Engine:
        engine: Engine
        if choice & 1:
            engine = POP3Server("post.example.org", access=how)
        else:
            engine = SMTPServer(Settings("post.example.org"), how)
            engine.receive(b"EHLO x\r\n")
            engine.next_event()
            engine.take_output()
        engine.bindings = lambda: book.BINDINGS
        return engine

    result = alike(make, data[:CHOICES].ljust(CHOICES, b"\0") + script)
    came_in = [
        event for _, event in result.happened if isinstance(event, ProofGiven) and event.keys
    ]
    mood = (data[2:CHOICES] or b"\0")[0] & 3
    given = book.PASSWORDS[: mood or 1] if mood < 3 else ()
    if any(one[:1] == b"!" for one in messages) or len(messages) != 3:
        return
    right = book.passes(first, final, plus=plus, offered=tls, passwords=given)
    if right is not None:
        assert bool(came_in) == (right and not messages[2] and tls >= plus)
    for event in came_in:
        assert event.keys in book.KEYS
        spoken = base64.b64encode(book.signature(first, final, _password_of(event.keys)))
        assert spoken in result.said, "the office proved nothing"
    shown = "".join(line for _, line in result.transcript)
    assert len(final) < 20 or base64.b64encode(final).decode() not in shown


def _password_of(keys: ScramKeys | None) -> bytes:
    assert keys is not None
    return book.PASSWORDS[book.KEYS.index(keys)]


def letter(data: bytes) -> None:
    """A letter by DATA, looked at by a simple decoder; what was taken goes out by POP3 the same."""
    body = data[CHOICES:].replace(WAIT, b"")
    envelope = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n"
    settings = Settings("post.example.org", MAX_OCTETS)
    first = alike(lambda: SMTPServer(settings), b"\0" + data[1:2] + b"\0" * 6 + envelope + body)
    content, end, _ = (b"\r\n" + body).partition(b"\r\n.\r\n")
    told = first.happened[2:]
    if not end:
        assert not any(isinstance(event, LetterReceived) for _, event in told)
        return
    lines = [line.removeprefix(b".") for line in (content + b"\r\n").split(b"\r\n")[1:]]
    expected = b"\r\n".join(lines)
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", expected)
    if bare or len(expected) > MAX_OCTETS:
        assert isinstance(told[0][1], tuple), "it must be refused"
        return
    taken, event = told[0]
    assert isinstance(event, LetterReceived)
    assert taken == expected
    _goes_out(taken, data[1] % 7 + 1)


def _goes_out(taken: bytes, size: int) -> None:
    """A letter by RETR, whole and in pieces, as the simple decoder reads it."""
    stuffer = Stuffer()
    pieces = [taken[n : n + size] for n in range(0, len(taken), size)]
    assert b"".join(map(stuffer.feed, pieces)) == stuff(taken)
    for how in (0, size):
        engine = POP3Server("post.example.org")
        engine.receive(b"USER a\r\nPASS b\r\nRETR 1\r\n")
        assert isinstance(engine.next_event(), LoginOffered)
        engine.admit(Listing())
        assert isinstance(engine.next_event(), LetterAsked)
        engine.take_output()
        give(engine, taken, how)
        status, _, rest = engine.take_output().partition(b"\r\n")
        assert status == b"+OK %d octets" % len(taken)
        *lines, last, nothing = rest.split(b"\r\n")
        assert (last, nothing) == (b".", b"")
        assert b"." not in lines, "a line of the letter would end it"
        assert b"".join(line.removeprefix(b".") + b"\r\n" for line in lines) == taken


def headers(data: bytes) -> None:
    """A letter for a client without UTF8: the same however it is cut, once is enough, and it stays small."""
    letter = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"", data[CHOICES:].replace(WAIT, b""))
    whole = downgraded(letter)
    for flights in cuttings(letter, data[1] if len(data) > 1 else 0):
        downgrader = Downgrader()
        pieces = [downgrader.feed(piece) for piece in flights[0]]
        assert b"".join(pieces) + downgrader.end() == whole
        assert downgrader.changed == (whole != letter)
    # A boundary outside of US-ASCII is damage; said in US-ASCII it may be that of other parts than before.
    assert downgraded(whole) == whole or b"boundary*" in whole.lower()
    assert whole == letter or not letter.isascii()
    assert len(whole) <= 30 * len(letter)
    header = letter.partition(b"\r\n\r\n")[0]
    assert whole == letter or not header.isascii() or may_have_more(header, letter)


def parsers(data: bytes) -> None:
    """The PROXY header, told as soon as it can be and the same when more follows; paths."""
    octets = data[CHOICES:]
    whole = proxy.parse(octets)
    early = next(
        (found for n in range(len(octets)) if (found := proxy.parse(octets[:n])) is not None), whole
    )
    assert type(early) is type(whole)
    if isinstance(whole, proxy.Header):
        assert early == whole
    text = octets.decode("utf-8", "replace")
    for parse, lead in ((parse_mail, "FROM:"), (parse_rcpt, "TO:")):
        try:
            address, _ = parse(lead + text)
        except PathError as error:
            assert not error.reply.positive  # noqa: PT017 - what else it may raise is a defect
            continue
        if address is not None:
            _reads_back(address)


def _reads_back(address: Address) -> None:
    """An address as it is written is read as the same address, where quoting leaves it short enough."""
    try:
        again, _ = parse_rcpt(f"TO:<{address}>")
    except PathError:
        assert len(str(address).encode()) > 64
    else:
        assert again == address


TARGETS: dict[str, Callable[[bytes], None]] = {
    "smtp": smtp,
    "pop3": pop3,
    "scram": scram,
    "letter": letter,
    "headers": headers,
    "parsers": parsers,
}
