"""The POP3 server's side of a session, without a network (RFC 1939, RFC 2449, RFC 3206).

A session is in one of three states::

    AUTHORIZATION    who are you?            USER and PASS, or AUTH, accepted -> TRANSACTION
    TRANSACTION      letters are handed out  QUIT -> UPDATE
                     and marked
    UPDATE           what was marked is let go, then the session ends

Only QUIT leads to UPDATE: a connection that is lost, or times out, deletes nothing. What TRANSACTION can do
is in :mod:`mailpost.wire.collecting`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire import reply
from mailpost.wire.collecting import LISTED_AT_ONCE, CollectingSession, State
from mailpost.wire.framing import Defect
from mailpost.wire.login import (
    Access,
    DigestOffered,
    LoginOffered,
    LoginTrouble,
    ProofGiven,
)
from mailpost.wire.maildrop import Listing, MarkedMaildrop
from mailpost.wire.pop3_events import LetterAsked, TLSAsked, UpdateAsked
from mailpost.wire.reply import Response
from mailpost.wire.sasl_events import KeysAsked, TokenOffered
from mailpost.wire.saslprep import prepared
from mailpost.wire.session import printable, printable_utf8

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailpost.wire.session import Event, SessionEnded

__all__ = ["LISTED_AT_ONCE", "MAX_LINE", "POP3Server", "State"]

MAX_LINE = 1024  # RFC 2449 §4 asks for 255; passwords may be long
_DIGEST = re.compile("[0-9A-Fa-f]{32}")  # RFC 1939 §7
LANGUAGES = {"en": "English"}  # RFC 6856 §3


class POP3Server(CollectingSession):
    """One session.

    :ivar name: the name given to USER; ``""`` before.
    :param hostname: what the office calls itself in the greeting.
    :param max_errors: commands without sense, and wrong passwords, before the session is closed.
    :param login_delay: seconds between two logins, announced as LOGIN-DELAY; the shell enforces it. 0: none.
    :param timestamp: what APOP's digest is made with, unlike any other: ``<...@hostname>``; ``""``: no APOP.
    :param expire: for how long letters are kept, before it is known whose they are (RFC 2449 §6.7).
    :ivar utf8: whether the peer takes UTF-8 (RFC 6856 §2).
    """

    __slots__ = ("_expire", "_hostname", "_login_delay", "_timestamp", "name", "utf8")

    max_line = MAX_LINE

    def __init__(
        self,
        hostname: str,
        max_errors: int = 30,
        access: Access = Access(),  # noqa: B008 - frozen
        login_delay: int = 0,
        timestamp: str = "",
        expire: str = "NEVER",
    ) -> None:
        super().__init__(max_errors, access)
        self._timestamp = timestamp
        self._login_delay = login_delay
        self._hostname = hostname
        self._expire = expire
        self.utf8 = False
        self.name = ""

    # For the shell --------------------------------------------------------------------------------

    def greet(self) -> None:
        """Say the greeting: the session begins (RFC 1939 §4)."""
        banner = f"{self._hostname} mailpost, the P.O. boxes are open {self._timestamp}"
        self._respond(Response(True, banner.rstrip()))

    def admit(self, listing: Listing, name: str = "", days: int = 0) -> None:
        """Answer a login: it is right and the maildrop is open.

        :param days: for how many its letters are kept at least; 0: for ever.
        :param name: who it is, where the office calls them by another name than they did.
        """
        self.name = self._let_in(name)
        self._maildrop = MarkedMaildrop(listing)
        self._expire = str(days) if days else "NEVER"
        self.state = State.TRANSACTION
        self._respond(Response(True, self._maildrop.contents))

    def refuse(self, response: Response) -> SessionEnded | None:
        """Answer a login, or a letter asked for, with -ERR.

        A wrong password counts as an error; the end of the session if it was one too many.
        """
        asked = self._answered(
            LoginOffered, TokenOffered, ProofGiven, DigestOffered, KeysAsked, LetterAsked
        )
        self._top = None
        if isinstance(asked, LetterAsked):
            self._following = asked.more
        else:
            self.name = ""
            wrong = response.code == "AUTH"
            if not self._turn_away(asked, wrong=wrong):
                return None
            if wrong:
                return self._wrong(response)
        self._respond(response)
        return None

    def begin_tls(self) -> None:
        """Answer :class:`TLSAsked`: the next octet is TLS, and nothing said before counts (RFC 2595 §4).

        What the peer sent behind its command in the clear is thrown away: nobody can tell who sent it.
        """
        self._answered(TLSAsked)
        self._respond(reply.POP_BEGIN_TLS)
        self._input.clear()
        self.name = ""
        self.utf8 = False
        self.tls = True

    def updated(self, *, committed: bool) -> SessionEnded:
        """Answer :class:`UpdateAsked`: the session ends, and the peer knows what became of it."""
        self._answered(UpdateAsked)
        return self.end(reply.POP_BYE if committed else reply.POP_NOT_DELETED, orderly=True)

    # Commands -------------------------------------------------------------------------------------

    def _obey(self, line: bytes) -> Event | None:
        self._note_command(line)
        verb, _, argument = line.partition(b" ")
        verb = verb.rstrip(b" \t").upper()
        if verb == b"PASS":  # the argument is the password to the last octet, RFC 1939 §7
            return self._pass(argument)
        if verb == b"AUTH" and argument:
            return self._auth(argument)
        if not printable(line) and not (verb in _NAMING and printable_utf8(line)):
            return self._wrong(reply.POP_BAD_OCTETS)
        argument = argument.strip(b" ")
        if anywhere := self.anywhere_verbs.get(verb):
            return anywhere(self, argument)
        transaction = self.transaction_verbs.get(verb)
        if transaction is None:
            return self._wrong(reply.POP_UNKNOWN_COMMAND)
        if self._maildrop is None:
            return self._wrong(reply.POP_LOGIN_FIRST)
        return transaction(self, self._maildrop, argument)

    def _is_command(self, verb: bytes) -> bool:
        return verb == b"PASS" or verb in self.anywhere_verbs or verb in self.transaction_verbs

    def _complain(self, defect: Defect) -> Event | None:
        if defect is Defect.TOO_LONG:
            return self.end(reply.POP_LINE_TOO_LONG)
        return self._wrong(reply.POP_BARE_NEWLINE)

    def _capa(self, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        self._respond(Response(True, "this office can"))
        words = (*self._capabilities(), ".")
        self._say("".join(f"{word}\r\n" for word in words).encode("ascii"))
        return None

    def _capabilities(self) -> list[str]:
        """What can be had just now (RFC 2449 §6); each of it is true."""
        words = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
        if self.may_say_password:
            words.append("USER")
        if mechanisms := self.mechanisms:
            words.append(f"SASL {' '.join(mechanisms)}")  # RFC 5034
        if self.can_begin_tls and self._maildrop is None:
            words.append("STLS")  # RFC 2595 §4
        if self._login_delay:
            words.append(f"LOGIN-DELAY {self._login_delay}")  # RFC 2449 §6.5
        words.append(f"EXPIRE {self._expire}")  # RFC 2449 §6.7
        words += ["UTF8 USER", "LANG"]  # RFC 6856
        words.append("IMPLEMENTATION mailpost")
        return words

    def _quit(self, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        marked = self._maildrop.marked if self._maildrop is not None else ()
        if not marked:
            return self.end(reply.POP_BYE, orderly=True)
        self.state = State.UPDATE
        return UpdateAsked(marked)

    def _user(self, name: bytes) -> Event | None:
        if self._maildrop is not None:
            return self._wrong(reply.POP_ALREADY_IN)
        if not self.may_say_password:
            return self._wrong(reply.POP_NEEDS_TLS)
        if not name:
            return self._wrong(reply.POP_NEEDS_NAME)
        self.name = prepared(name.decode())
        if not self.name:
            return self._wrong(reply.POP_BAD_OCTETS)
        return self._respond(reply.POP_NAME_TAKEN_DOWN)

    def _pass(self, password: bytes) -> Event | None:
        if self._maildrop is not None:
            return self._wrong(reply.POP_ALREADY_IN)
        if not self.name:
            return self._wrong(reply.POP_USER_FIRST)
        if b"\0" in password:
            return self._wrong(reply.POP_BAD_OCTETS)
        return LoginOffered(self.name, password)

    def _apop(self, argument: bytes) -> Event | None:
        if not self._timestamp:
            return self._wrong(reply.POP_UNKNOWN_COMMAND)
        if self._maildrop is not None:
            return self._wrong(reply.POP_ALREADY_IN)
        said, _, digest = argument.decode().rpartition(" ")
        name = prepared(said)
        if not name or not _DIGEST.fullmatch(digest):
            return self._wrong(reply.POP_NEEDS_DIGEST)
        return DigestOffered(name, self._timestamp, digest.lower())

    def _auth(self, argument: bytes) -> Event | None:
        if self._maildrop is not None:
            return self._wrong(reply.POP_ALREADY_IN)
        if not argument:  # RFC 5034 §4 has none; clients of before its time ask what there is
            self._respond(Response(True, "mechanisms follow"))
            self._say("".join(f"{word}\r\n" for word in (*self.mechanisms, ".")).encode("ascii"))
            return None
        if not printable(argument):
            return self._wrong(reply.POP_BAD_OCTETS)
        return self._authenticate(argument.decode("ascii"))

    def _challenge(self, line: bytes) -> None:
        self._say(b"+ " + line + b"\r\n")

    def _login_trouble(self, trouble: LoginTrouble) -> Event | None:
        return self._wrong(_TROUBLES[trouble])

    def _begin_tls(self, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        if self._maildrop is not None or not self.can_begin_tls:
            return self._wrong(reply.POP_NO_TLS)
        return TLSAsked()

    def _utf8(self, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        if self._maildrop is not None:
            return self._wrong(reply.POP_ALREADY_IN)  # RFC 6856 §2.1
        self.utf8 = True
        return self._respond(reply.POP_UTF8)

    def _lang(self, argument: bytes) -> Event | None:
        language = argument.decode("ascii").lower()
        if not language:
            self._respond(Response(True, "languages follow"))
            lines = [f"{tag} {name}" for tag, name in LANGUAGES.items()]
            self._say("".join(f"{line}\r\n" for line in (*lines, ".")).encode("ascii"))
            return None
        # A range means the languages below it too, so en-GB is served with en (RFC 4647 §3.4).
        if language == "*" or language.partition("-")[0] in LANGUAGES:
            return self._respond(reply.POP_ENGLISH)
        return self._wrong(reply.POP_NO_SUCH_LANGUAGE)

    anywhere_verbs: ClassVar[dict[bytes, Callable[[POP3Server, bytes], Event | None]]] = {
        b"CAPA": _capa,
        b"QUIT": _quit,
        b"USER": _user,
        b"APOP": _apop,
        b"AUTH": _auth,
        b"STLS": _begin_tls,
        b"UTF8": _utf8,
        b"LANG": _lang,
    }


_NAMING = (b"USER", b"APOP")
"""Commands that may have UTF-8 in them, whether UTF8 was said or not (RFC 6856 §2.2)."""


_TROUBLES = {
    LoginTrouble.UNKNOWN_MECHANISM: reply.POP_NO_SUCH_MECHANISM,
    LoginTrouble.CLEARTEXT: reply.POP_NEEDS_TLS,
    LoginTrouble.MALFORMED: reply.POP_BAD_BASE64,
    LoginTrouble.CANCELLED: reply.POP_LOGIN_GIVEN_UP,
    LoginTrouble.REFUSED: reply.POP_BAD_LOGIN,
}
