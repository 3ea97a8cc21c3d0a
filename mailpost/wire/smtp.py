"""The SMTP server's side of a session, without a network (RFC 5321).

A session is in one of these states::

    state      what came so far              leaves it
    START      the greeting was given        EHLO, HELO -> READY
    READY      nobody has named a sender     MAIL accepted -> MAIL
    MAIL       a sender, 0 or more           DATA with a recipient -> LETTER; RSET, EHLO -> READY
               recipients
    LETTER     354 was given                 the end of the letter -> READY

Questions are answered with a :class:`~mailpost.wire.reply.Reply`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire import reply
from mailpost.wire.content import Inspector
from mailpost.wire.dots import Unstuffer
from mailpost.wire.framing import Defect
from mailpost.wire.path import Parameters, PathError, parse_mail, parse_rcpt
from mailpost.wire.reply import Reply
from mailpost.wire.session import (
    NEED_OCTETS,
    Event,
    ServerSession,
    SessionEnded,
    escaped,
    printable,
)
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TransactionAborted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LINE = 2048  # RFC 5321 §4.5.3.1.4 asks for 512 at least


@dataclass(frozen=True, slots=True)
class Settings:
    """What this office takes, and what it calls itself.

    :ivar hostname: the name in the greeting and in the answer to EHLO.
    :ivar max_octets: the largest letter, announced as SIZE (RFC 1870).
    :ivar max_recipients: recipients of one letter; past it 452, and the earlier ones stand.
    :ivar max_errors: commands without sense before the session is closed; a letter wipes the slate.
    """

    hostname: str
    max_octets: int = 128 * 1024 * 1024
    max_recipients: int = 1000
    max_errors: int = 30


class State(Enum):
    """How far a session has come; see the module's table."""

    START = "start"
    READY = "ready"
    MAIL = "mail"
    LETTER = "letter"


_ABORTED = TransactionAborted()


class SMTPServer(ServerSession):
    """One session.

    :ivar helo: what the peer calls itself; ``""`` before it has.
    :ivar extended: whether it said EHLO.
    """

    __slots__ = (
        "_inspector",
        "_recipients",
        "_refused_recipients",
        "_settings",
        "_unstuffer",
        "extended",
        "helo",
        "state",
    )

    max_line = MAX_LINE

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.max_errors)
        self._settings = settings
        self._recipients = 0
        self._refused_recipients = 0
        self._unstuffer: Unstuffer | None = None
        self._inspector: Inspector | None = None
        self.state = State.START
        self.helo = ""
        self.extended = False

    # For the shell --------------------------------------------------------------------------------

    def greet(self) -> None:
        """Say the greeting: the session begins (RFC 5321 §3.1)."""
        self._reply(Reply(220, "", f"{self._settings.hostname} ESMTP mailpost at your service"))

    def answer(self, answer: Reply) -> None:
        """Answer the question that :meth:`next_event` gave last."""
        asked, self._asked = self._asked, None
        if isinstance(asked, SenderOffered):
            if answer.positive:
                self.state = State.MAIL
        elif isinstance(asked, RecipientOffered):
            if answer.positive:
                self._recipients += 1
            else:
                self._refused_recipients += 1
        elif isinstance(asked, LetterReceived):
            self._forget()
            self._errors = 0
        else:
            raise RuntimeError("there is no question to answer")  # noqa: TRY004 - our misuse
        self._reply(answer)

    def end(self, last_word: Reply, *, orderly: bool = False) -> SessionEnded:
        """Close the session from this side: time-out, shutdown, too many connections (421)."""
        self._reply(last_word)
        self._forget()
        return self._close(orderly=orderly)

    # Commands -------------------------------------------------------------------------------------

    def _step(self) -> Event | None:
        return self._read_letter() if self.state is State.LETTER else super()._step()

    def _obey(self, line: bytes) -> Event | None:
        line = line.rstrip(b" \t")  # RFC 5321 §4.1.1: trailing white space is tolerated
        if not printable(line):
            self._note(escaped(line))
            if line[:4].upper() in (b"MAIL", b"RCPT") and not line.isascii():
                return self._wrong(reply.NOT_ASCII)
            return self._wrong(reply.BAD_OCTETS)
        text = line.decode("ascii")
        if self.transcript is not None:
            self._note(text)
        verb, _, argument = text.partition(" ")
        command = self._verbs.get(verb.upper())
        if command is None:
            return self._wrong(reply.UNKNOWN_COMMAND)
        return command(self, argument)

    def _complain(self, defect: Defect) -> Event | None:
        if defect is Defect.TOO_LONG:
            return self.end(reply.LINE_TOO_LONG)
        return self._wrong(reply.BARE_NEWLINE)

    def _ehlo(self, argument: str) -> Event | None:
        settings = self._settings
        return self._hello(
            argument,
            f"{settings.hostname} at your service",
            "PIPELINING",  # RFC 2920
            f"SIZE {settings.max_octets}",  # RFC 1870
            "8BITMIME",  # RFC 6152
            "ENHANCEDSTATUSCODES",  # RFC 2034
            "HELP",
        )

    def _helo(self, argument: str) -> Event | None:
        return self._hello(argument, f"{self._settings.hostname} at your service")

    def _hello(self, helo: str, *lines: str) -> Event | None:
        if not helo or " " in helo:
            return self._wrong(reply.NEEDS_DOMAIN)
        event = _ABORTED if self.state is State.MAIL else None  # RFC 5321 §4.1.4: as RSET
        self.helo = helo
        self.extended = len(lines) > 1
        self._forget()
        self._reply(Reply(250, "", *lines))
        return event

    def _mail(self, argument: str) -> Event | None:
        if self.state is State.START:
            return self._wrong(reply.SAY_HELLO)
        if self.state is State.MAIL:
            return self._wrong(reply.NESTED_MAIL)
        try:
            reverse_path, parameters = parse_mail(argument)
            size = _check_mail_parameters(parameters) if parameters else 0
        except PathError as error:
            return self._wrong(error.reply)
        if size > self._settings.max_octets:
            return self._reply(reply.TOO_LARGE)  # RFC 1870 §6.1: known before it was sent
        return SenderOffered(reverse_path, size)

    def _rcpt(self, argument: str) -> Event | None:
        if self.state is not State.MAIL:
            return self._wrong(reply.NEEDS_MAIL)
        try:
            recipient, parameters = parse_rcpt(argument)
        except PathError as error:
            return self._wrong(error.reply)
        if parameters:
            return self._wrong(reply.NO_SUCH_PARAMETER)
        if self._recipients >= self._settings.max_recipients:
            return self._reply(reply.TOO_MANY_RECIPIENTS)  # RFC 5321 §4.5.3.1.10
        return RecipientOffered(recipient)

    def _data(self, argument: str) -> Event | None:
        if argument:
            return self._wrong(reply.NO_ARGUMENT)
        if self.state is not State.MAIL:
            return self._wrong(reply.NEEDS_MAIL)
        if not self._recipients:
            # RFC 2920 §3.1: a client that pipelines DATA must never see a 354 it cannot use.
            refused = self._refused_recipients > 0
            return self._wrong(reply.NO_VALID_RECIPIENT if refused else reply.NEEDS_RECIPIENT)
        self.state = State.LETTER
        self._unstuffer = Unstuffer()
        self._inspector = Inspector(self._settings.max_octets)
        return self._reply(reply.SEND_LETTER)

    def _rset(self, argument: str) -> Event | None:
        if argument:
            return self._wrong(reply.NO_ARGUMENT)
        event = _ABORTED if self.state is State.MAIL else None
        if event is not None:
            self._forget()
        self._reply(reply.OK)
        return event

    def _noop(self, argument: str) -> Event | None:  # noqa: ARG002 - RFC 5321 §4.1.1.9: ignored
        return self._reply(reply.OK)

    def _help(self, argument: str) -> Event | None:  # noqa: ARG002 - the same for any topic
        return self._reply(reply.HELP)

    def _vrfy(self, argument: str) -> Event | None:
        return self._reply(reply.CANNOT_VERIFY) if argument else self._wrong(reply.SYNTAX)

    def _quit(self, argument: str) -> Event | None:
        return self._wrong(reply.NO_ARGUMENT) if argument else self.end(reply.BYE, orderly=True)

    _verbs: ClassVar[dict[str, Callable[[SMTPServer, str], Event | None]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "QUIT": _quit,
        "VRFY": _vrfy,
        "HELP": _help,
    }

    # The letter -----------------------------------------------------------------------------------

    def _read_letter(self) -> Event | None:
        """The next event out of the octets after 354."""
        unstuffer, inspector = self._unstuffer, self._inspector
        assert unstuffer is not None
        assert inspector is not None
        if unstuffer.rest is not None:
            return self._end_letter(unstuffer.rest, inspector)
        octets = self._input.take_all()
        if not octets:
            return NEED_OCTETS
        piece = unstuffer.feed(octets)
        if not piece or inspector.refusal is not None:
            return None
        refusal = inspector.look(piece)
        # What is refused is still read, to its true end, so that none of it is taken for commands.
        return PieceReceived(piece) if refusal is None else TransactionAborted(refusal)

    def _end_letter(self, rest: bytes, inspector: Inspector) -> Event | None:
        self._unstuffer = self._inspector = None
        self.state = State.READY
        self._input.put_back(rest)
        if inspector.refusal is None:
            return LetterReceived(inspector.octets, inspector.eight_bit)
        self._forget()
        return self._reply(inspector.refusal)

    # Small things ---------------------------------------------------------------------------------

    def _reply(self, answer: Reply) -> Event | None:
        """Say a reply; None, so that a command can end with it."""
        self._say(answer.octets)
        return None

    def _wrong(self, answer: Reply) -> Event | None:
        """Answer a command without sense: it counts, and past the limit it was the last."""
        if self._too_many_errors():
            return self.end(reply.TOO_MANY_ERRORS)
        return self._reply(answer)

    def _forget(self) -> None:
        """Back to READY: no sender, no recipients."""
        self.state = State.READY
        self._recipients = self._refused_recipients = 0
        self._unstuffer = self._inspector = None


def _check_mail_parameters(parameters: Parameters) -> int:
    """The declared size; SIZE (RFC 1870) and BODY (RFC 6152) are all that is known here.

    :raises PathError: 555 for a parameter not known, 501 for a value that makes no sense.
    """
    size = 0
    for keyword, value in parameters.items():
        if keyword == "SIZE":
            if value is None or not value.isdecimal() or len(value) > 20:  # noqa: PLR2004 - RFC 1870 §4
                raise PathError(reply.BAD_PARAMETER)
            size = int(value)
        elif keyword == "BODY":
            if value is None or value.upper() not in {"7BIT", "8BITMIME"}:
                raise PathError(reply.BAD_PARAMETER)
        else:
            raise PathError(reply.NO_SUCH_PARAMETER)
    return size
