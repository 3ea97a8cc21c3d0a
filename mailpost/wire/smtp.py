"""The SMTP server's side of a session, without a network (RFC 5321).

What a letter needs is in :mod:`mailpost.wire.transaction`; here is what stands around it: the greeting,
EHLO and what it announces, STARTTLS (RFC 3207), and the small commands. Everything announced is true.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire import reply
from mailpost.wire.framing import Defect
from mailpost.wire.login import MAX_RESPONSE, Access, LoginTrouble
from mailpost.wire.receiving import Settings, State
from mailpost.wire.reply import Reply
from mailpost.wire.session import printable, printable_utf8
from mailpost.wire.smtp_events import TLSAsked
from mailpost.wire.transaction import TransactionSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailpost.wire.session import Event

__all__ = ["MAX_LINE", "SMTPServer", "Settings", "State"]

MAX_LINE = 2048  # RFC 5321 §4.5.3.1.4 asks for 512 at least


class SMTPServer(TransactionSession):
    """One session.

    :ivar helo: what the peer calls itself; ``""`` before it has.
    :ivar extended: whether it said EHLO.
    """

    __slots__ = ("extended", "helo")

    max_line = MAX_LINE
    greeting: ClassVar[str] = "ESMTP"
    hellos: ClassVar[str] = "EHLO HELO"
    document: ClassVar[str] = "RFC 5321"

    def __init__(self, settings: Settings, access: Access = Access()) -> None:  # noqa: B008 - frozen
        super().__init__(settings, access)
        self.helo = ""
        self.extended = False

    # For the shell --------------------------------------------------------------------------------

    def greet(self) -> None:
        """Say the greeting: the session begins (RFC 5321 §3.1)."""
        self._reply(
            Reply(220, "", f"{self._settings.hostname} {self.greeting} mailpost at your service")
        )

    def begin_tls(self) -> None:
        """Answer :class:`TLSAsked`: the next octet is TLS, and nothing said before counts (RFC 3207 §4.2).

        What the peer sent behind its command in the clear is thrown away: nobody can tell who sent it.
        """
        assert isinstance(self._asked, TLSAsked)
        self._asked = None
        self._reply(reply.BEGIN_TLS)
        self._input.clear()
        self._forget()
        self.state = State.START
        self.helo = ""
        self.extended = False
        self.user = ""
        self.tls = True

    @property
    def protocol(self) -> str:
        """The ``with`` word of a Received line (RFC 3848, RFC 6531 §4.3)."""
        if not (self.extended or self._utf8):
            return "SMTP"
        return ("UTF8SMTP" if self._utf8 else "ESMTP") + self._secured

    @property
    def _secured(self) -> str:
        return ("S" if self.tls else "") + ("A" if self.user else "")

    # Commands -------------------------------------------------------------------------------------

    def _long_line(self) -> bytes | Defect | None:
        if self._input.begins_with(b"AUTH "):  # RFC 4954 §4
            return self._input.take_line(MAX_RESPONSE)
        return Defect.TOO_LONG

    def _obey(self, line: bytes) -> Event | None:
        line = line.rstrip(b" \t")  # RFC 5321 §4.1.1: trailing white space is tolerated
        self._note_command(line)
        if printable(line):
            text = line.decode("ascii")
        elif printable_utf8(line):  # it may be in an argument (RFC 6531 §3)
            text = line.decode()
        elif _is_bdat(line):
            return self.end(reply.BAD_OCTETS)
        else:
            address = line[:4].upper() in (b"MAIL", b"RCPT") and not line.isascii()
            return self._wrong(reply.NOT_ASCII if address else reply.BAD_OCTETS)
        verb, _, argument = text.partition(" ")
        command = self.verbs.get(verb.upper())
        if command is not None:
            return command(self, argument)
        if verb.upper() in _HTTP:
            return self.end(reply.UNKNOWN_COMMAND)
        return self.end(reply.BAD_CHUNK) if _is_bdat(line) else self._wrong(reply.UNKNOWN_COMMAND)

    def _is_command(self, verb: bytes) -> bool:
        return verb.decode("latin-1") in self.verbs

    def _complain(self, defect: Defect) -> Event | None:
        if defect is Defect.TOO_LONG:
            return self.end(reply.LINE_TOO_LONG)
        if _is_bdat(self._input.defective):
            return self.end(reply.BARE_NEWLINE)
        return self._wrong(reply.BARE_NEWLINE)

    def _announced(self) -> list[str]:
        """The keywords of EHLO."""
        settings = self._settings
        words = [
            "PIPELINING",  # RFC 2920
            f"SIZE {settings.max_octets}",  # RFC 1870
            "8BITMIME",  # RFC 6152
            "CHUNKING",  # RFC 3030
            "SMTPUTF8",  # RFC 6531
            "ENHANCEDSTATUSCODES",  # RFC 2034
            f"LIMITS RCPTMAX={settings.max_recipients}",  # RFC 9422
            "HELP",
        ]
        if self.can_begin_tls:
            words.append("STARTTLS")
        if not self.user and (mechanisms := self.mechanisms):
            words.append(f"AUTH {' '.join(mechanisms)}")  # RFC 4954
        if self.reports:
            words.append("DSN")  # RFC 3461
        return words

    def _ehlo(self, argument: str) -> Event | None:
        return self._hello(argument, *self._announced())

    def _helo(self, argument: str) -> Event | None:
        return self._hello(argument)

    def _hello(self, helo: str, *announced: str) -> Event | None:
        if not helo or " " in helo or not helo.isascii():
            return self._wrong(reply.NEEDS_DOMAIN)
        event = self._abandon()  # RFC 5321 §4.1.4: as RSET
        self.state = State.READY
        self.helo = helo
        self.extended = bool(announced)
        self._reply(_welcome(self._settings.hostname, *announced))
        return event

    def _tls(self, argument: str) -> Event | None:
        if argument:
            return self._wrong(reply.NO_ARGUMENT)
        if self.tls:
            return self._wrong(reply.ALREADY_TLS)
        if not self.can_begin_tls:
            return self._wrong(reply.NO_TLS)
        return TLSAsked()

    def _auth(self, argument: str) -> Event | None:
        if self.state is not State.READY or not self.extended:
            return self._wrong(reply.NO_LOGIN_NOW)
        if self.user:
            return self._wrong(reply.ALREADY_IN)
        return self._authenticate(argument) if argument else self._wrong(reply.SYNTAX)

    def _challenge(self, line: bytes) -> None:
        self._say(b"334 " + line + b"\r\n")

    def _login_trouble(self, trouble: LoginTrouble) -> Event | None:
        return self._wrong(_TROUBLES[trouble])

    def _noop(self, argument: str) -> Event | None:  # noqa: ARG002 - RFC 5321 §4.1.1.9: ignored
        return self._reply(reply.OK)

    def _help(self, argument: str) -> Event | None:  # noqa: ARG002 - the same for any topic
        commands = [self.hellos]
        if self.can_begin_tls:
            commands.append("STARTTLS")
        if self.mechanisms and not self.user:
            commands.append("AUTH")
        commands.append("MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT")
        return self._reply(Reply(214, "2.0.0", " ".join(commands), f"see {self.document}"))

    def _vrfy(self, argument: str) -> Event | None:
        return self._reply(reply.CANNOT_VERIFY) if argument else self._wrong(reply.SYNTAX)

    def _expn(self, argument: str) -> Event | None:  # noqa: ARG002 - the same for any list
        return self._wrong(reply.NOT_IMPLEMENTED)

    def _quit(self, argument: str) -> Event | None:
        return self._wrong(reply.NO_ARGUMENT) if argument else self.end(reply.BYE, orderly=True)

    verbs: ClassVar[dict[str, Callable[[SMTPServer, str], Event | None]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "STARTTLS": _tls,
        "AUTH": _auth,
        **TransactionSession.transaction_verbs,
        "NOOP": _noop,
        "QUIT": _quit,
        "VRFY": _vrfy,
        "EXPN": _expn,
        "HELP": _help,
    }


@lru_cache(maxsize=32)  # one for each kind of peer: with TLS or without, logged in or not
def _welcome(hostname: str, *announced: str) -> Reply:
    """Render the answer to EHLO, or to HELO."""
    return Reply(250, "", f"{hostname} at your service", *announced)


def _is_bdat(line: bytes) -> bool:
    """Whether a line that is none of ours was meant for BDAT: what follows it is a chunk and no commands.

    Its size cannot be believed, so nobody can tell where it ends, and the session is over.
    """
    return line.lstrip(b" \t")[:4].upper() == b"BDAT"


_HTTP = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Whoever says these is no mail program: a browser that somebody makes talk to us, and what it goes on to
say may well be commands."""

_TROUBLES = {
    LoginTrouble.UNKNOWN_MECHANISM: reply.NO_SUCH_MECHANISM,
    LoginTrouble.CLEARTEXT: reply.NEEDS_TLS,
    LoginTrouble.MALFORMED: reply.BAD_BASE64,
    LoginTrouble.CANCELLED: reply.CANCELLED,
    LoginTrouble.REFUSED: reply.BAD_LOGIN,
}
