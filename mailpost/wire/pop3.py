"""The POP3 server's side of a session, without a network (RFC 1939, RFC 2449, RFC 3206).

A session is in one of three states::

    AUTHORIZATION    who are you?            USER and PASS accepted -> TRANSACTION
    TRANSACTION      letters are handed out  QUIT -> UPDATE
                     and marked
    UPDATE           what was marked is let go, then the session ends

Only QUIT leads to UPDATE: a connection that is lost, or times out, deletes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Protocol

from mailpost.wire import reply
from mailpost.wire.dots import Stuffer, stuff
from mailpost.wire.framing import Defect
from mailpost.wire.reply import Response
from mailpost.wire.session import (
    OUTPUT_WAITING,
    Event,
    Question,
    ServerSession,
    SessionEnded,
    escaped,
    printable,
)
from mailpost.wire.top import LinesOfTop, top

MAX_LINE = 1024  # RFC 2449 §4 asks for 255; passwords may be long
LISTED_AT_ONCE = 500  # lines of LIST and UIDL between two looks at whether the peer still reads

CAPABILITIES = (  # RFC 2449 §6
    b"TOP",
    b"UIDL",
    b"USER",
    b"RESP-CODES",
    b"AUTH-RESP-CODE",  # RFC 3206
    b"PIPELINING",
    b"EXPIRE NEVER",
    b"IMPLEMENTATION mailpost",
)


class Listing(Protocol):
    """An open maildrop as far as the protocol looks into it; letters are counted from 0."""

    @property
    def sizes(self) -> Sequence[int]:
        """Octets of each letter as it will be given."""

    def uidl(self, index: int) -> bytes:
        """A letter's unique-id."""


class State(Enum):
    """How far a session has come; see the module's table."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class LoginOffered(Question):
    """USER and PASS: may they in? Answered with :meth:`POP3Server.admit` or ``refuse``."""

    name: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LetterAsked(Question):
    """RETR or TOP: answered with :meth:`POP3Server.give`, with pieces, or ``refuse``."""

    index: int


@dataclass(frozen=True, slots=True)
class UpdateAsked(Question):
    """QUIT: let these letters go. Answered with ``True`` (committed) or ``False`` to ``updated``."""

    indexes: Sequence[int]


class POP3Server(ServerSession):
    """One session.

    :ivar name: the name given to USER; ``""`` before.
    :param hostname: what the office calls itself in the greeting.
    :param max_errors: commands without sense, and wrong passwords, before the session is closed.
    """

    __slots__ = (
        "_deleted",
        "_deleted_octets",
        "_hostname",
        "_lines",
        "_listing",
        "_octets",
        "_sent",
        "_top",
        "name",
        "retrieved",
        "state",
    )

    max_line = MAX_LINE

    def __init__(self, hostname: str, max_errors: int = 30) -> None:
        super().__init__(max_errors)
        self._hostname = hostname
        self._listing: Listing | None = None
        self._deleted: set[int] | None = None  # None costs an idle session nothing
        self._deleted_octets = 0
        self._octets = 0  # of the whole maildrop
        self._lines: Iterator[bytes] | None = None  # the rest of a long LIST or UIDL
        self._top: int | None = None  # lines of the body that TOP asked for
        self._sent: Stuffer | LinesOfTop | None = None  # a letter that goes out in pieces
        self.state = State.AUTHORIZATION
        self.name = ""
        self.retrieved = 0

    # For the shell --------------------------------------------------------------------------------

    def greet(self) -> None:
        """Say the greeting: the session begins (RFC 1939 §4)."""
        self._respond(Response(True, f"{self._hostname} mailpost, the P.O. boxes are open"))

    @property
    def deleted(self) -> int:
        """How many letters are marked as deleted."""
        return len(self._deleted) if self._deleted else 0

    @property
    def giving(self) -> bool:
        """Whether a letter has gone out in part."""
        return self._sent is not None

    def admit(self, listing: Listing) -> None:
        """The login is right and the maildrop is open: answers :class:`LoginOffered`."""
        self._answered(LoginOffered)
        self._listing = listing
        self.state = State.TRANSACTION
        self._octets = sum(listing.sizes)
        self._respond(self._contents(listing))

    def refuse(self, response: Response) -> Event | None:
        """Answer a question with -ERR; a login may be tried again, until it was tried too often."""
        asked = self._answered(LoginOffered, LetterAsked)
        self._top = None
        if isinstance(asked, LoginOffered):
            self.name = ""
            if response.code == "AUTH":
                return self._wrong(response)
        return self._respond(response)

    def give(self, letter: bytes) -> None:
        """Answer :class:`LetterAsked` with a whole letter that ends with CRLF."""
        self._answered(LetterAsked)
        if self._top is not None:
            letter, self._top = top(letter, self._top), None
        else:
            self.retrieved += 1
        self._respond(Response(True, f"{len(letter)} octets"))
        self._emit(stuff(letter))
        self._emit(b".\r\n")

    def begin_pieces(self, octets: int) -> None:
        """Answer :class:`LetterAsked` with a letter that follows in pieces; nothing is read meanwhile.

        :param octets: the whole letter's size.
        """
        asked = self._answered(LetterAsked)
        self._asked = asked  # until end_pieces
        if self._top is not None:
            self._sent, self._top = LinesOfTop(self._top), None
            self._respond(Response(True, "the top of it follows"))
        else:
            self.retrieved += 1
            self._sent = Stuffer()
            self._respond(Response(True, f"{octets} octets"))

    def give_piece(self, piece: bytes) -> bool:
        """Send the next octets of it; whether more of them are wanted."""
        assert self._sent is not None
        self._emit(self._sent.feed(piece))
        return not (isinstance(self._sent, LinesOfTop) and self._sent.enough)

    def end_pieces(self) -> None:
        """The letter was given whole."""
        assert self._sent is not None
        self._emit(self._sent.end())
        self._sent = None
        self._asked = None

    def updated(self, *, committed: bool) -> SessionEnded:
        """Answer :class:`UpdateAsked`: the session ends, and the peer knows what became of it."""
        self._answered(UpdateAsked)
        return self.end(reply.POP_BYE if committed else reply.POP_NOT_DELETED, orderly=True)

    def end(self, last_word: Response, *, orderly: bool = False) -> SessionEnded:
        """Close the session from this side; nothing more is deleted."""
        self._respond(last_word)
        self._lines = None
        return self._close(orderly=orderly)

    def next_event(self) -> Event | None:
        """What the peer did next; None: more octets, or an answer, are needed first."""
        if self._lines is not None:
            return self._go_on_listing()
        return super().next_event()

    # Commands -------------------------------------------------------------------------------------

    def _obey(self, line: bytes) -> Event | None:
        verb, _, argument = line.partition(b" ")
        verb = verb.rstrip(b" \t").upper()
        if verb == b"PASS":  # the argument is the password to the last octet, RFC 1939 §7
            self._note("PASS ********")
            return self._pass(argument)
        if not printable(line):
            self._note(escaped(line))
            return self._wrong(reply.POP_BAD_OCTETS)
        if self.transcript is not None:
            self._note(line.decode("ascii"))
        argument = argument.strip(b" ")
        if command := _ANYWHERE.get(verb):
            return command(self, argument)
        listing = self._listing
        if listing is None:
            if verb in _TRANSACTION:
                return self._wrong(reply.POP_LOGIN_FIRST)
            if verb == b"USER":
                return self._user(argument)
        elif transact := _TRANSACTION.get(verb):
            return transact(self, listing, argument)
        elif verb == b"USER":
            return self._wrong(reply.POP_ALREADY_IN)
        return self._wrong(reply.POP_UNKNOWN_COMMAND)

    def _complain(self, defect: Defect) -> Event | None:
        if defect is Defect.TOO_LONG:
            return self.end(reply.POP_LINE_TOO_LONG)
        return self._wrong(reply.POP_BARE_NEWLINE)

    def _capa(self, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        self._say(b"+OK this office can\r\n" + b"\r\n".join(CAPABILITIES) + b"\r\n.\r\n")
        return None

    def _quit(self, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        if not self._deleted:
            return self.end(reply.POP_BYE, orderly=True)
        self.state = State.UPDATE
        return UpdateAsked(sorted(self._deleted))

    def _user(self, name: bytes) -> Event | None:
        if not name:
            return self._wrong(reply.POP_NEEDS_NAME)
        self.name = name.decode("ascii")
        return self._respond(reply.POP_NAME_TAKEN_DOWN)

    def _pass(self, password: bytes) -> Event | None:
        if self._listing is not None:
            return self._wrong(reply.POP_ALREADY_IN)
        if not self.name:
            return self._wrong(reply.POP_USER_FIRST)
        if b"\0" in password:
            return self._wrong(reply.POP_BAD_OCTETS)
        return LoginOffered(self.name, password)

    def _stat(self, listing: Listing, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        letters = len(listing.sizes) - self.deleted
        return self._respond(Response(True, f"{letters} {self._octets - self._deleted_octets}"))

    def _list(self, listing: Listing, argument: bytes) -> Event | None:
        sizes = listing.sizes
        if not argument:
            self._respond(self._contents(listing))
            return self._list_all(listing, lambda n: b"%d %d\r\n" % (n + 1, sizes[n]))
        index = self._index(listing, argument)
        if isinstance(index, Response):
            return self._wrong(index)
        return self._respond(Response(True, f"{index + 1} {sizes[index]}"))

    def _uidl(self, listing: Listing, argument: bytes) -> Event | None:
        uidl = listing.uidl
        if not argument:
            self._respond(Response(True, "unique-ids follow"))
            return self._list_all(listing, lambda n: b"%d %b\r\n" % (n + 1, uidl(n)))
        index = self._index(listing, argument)
        if isinstance(index, Response):
            return self._wrong(index)
        return self._respond(Response(True, f"{index + 1} {uidl(index).decode('ascii')}"))

    def _list_all(self, listing: Listing, line: Callable[[int], bytes]) -> Event | None:
        deleted = self._deleted or ()
        self._lines = (line(n) for n in range(len(listing.sizes)) if n not in deleted)
        return self._go_on_listing()

    def _go_on_listing(self) -> Event | None:
        assert self._lines is not None
        lines = list(islice(self._lines, LISTED_AT_ONCE))
        if len(lines) < LISTED_AT_ONCE:
            self._lines = None
            lines.append(b".\r\n")
        self._emit(b"".join(lines))
        return OUTPUT_WAITING

    def _retr(self, listing: Listing, argument: bytes) -> Event | None:
        index = self._index(listing, argument)
        if isinstance(index, Response):
            return self._wrong(index)
        return LetterAsked(index)

    def _top_of(self, listing: Listing, argument: bytes) -> Event | None:
        number, _, lines = argument.partition(b" ")
        lines = lines.strip(b" ")
        if not lines.isdigit():
            return self._wrong(reply.POP_NEEDS_NUMBERS)
        index = self._index(listing, number)
        if isinstance(index, Response):
            return self._wrong(index)
        # More lines than any letter has are all of them, however many digits say so.
        self._top = int(lines[-10:]) if len(lines.lstrip(b"0")) <= 10 else 10**10  # noqa: PLR2004
        return LetterAsked(index)

    def _dele(self, listing: Listing, argument: bytes) -> Event | None:
        index = self._index(listing, argument)
        if isinstance(index, Response):
            return self._wrong(index)
        if self._deleted is None:
            self._deleted = set()
        self._deleted.add(index)
        self._deleted_octets += listing.sizes[index]
        return self._respond(Response(True, f"letter {index + 1} is marked as deleted"))

    def _noop(self, listing: Listing, argument: bytes) -> Event | None:  # noqa: ARG002
        return self._wrong(reply.POP_NO_ARGUMENT) if argument else self._respond(reply.POP_OK)

    def _rset(self, listing: Listing, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        self._deleted = None
        self._deleted_octets = 0
        return self._respond(self._contents(listing))

    # Small things ---------------------------------------------------------------------------------

    def _contents(self, listing: Listing) -> Response:
        letters = len(listing.sizes) - self.deleted
        octets = self._octets - self._deleted_octets
        return Response(True, f"{letters} letters, {octets} octets")

    def _index(self, listing: Listing, argument: bytes) -> int | Response:
        """The letter that an argument names, counted from 0, or what is wrong with it."""
        if not argument.isdigit():
            return reply.POP_NEEDS_NUMBER
        index = int(argument) - 1 if len(argument) < 16 else -1  # noqa: PLR2004 - no such letter
        if not 0 <= index < len(listing.sizes):
            return reply.POP_NO_SUCH_LETTER
        if self._deleted and index in self._deleted:
            return reply.POP_LETTER_DELETED
        return index

    def _answered(self, *kinds: type[Question]) -> Question:
        asked, self._asked = self._asked, None
        if not isinstance(asked, kinds):
            raise RuntimeError(f"that does not answer {asked!r}")  # noqa: TRY004 - our misuse
        return asked

    def _respond(self, response: Response) -> Event | None:
        """Say a response; None, so that a command can end with it."""
        self._say(response.octets)
        return None

    def _wrong(self, response: Response) -> Event | None:
        """Answer a command without sense: it counts, and past the limit it was the last."""
        if self._too_many_errors():
            return self.end(reply.POP_TOO_MANY_ERRORS)
        return self._respond(response)


_ANYWHERE: dict[bytes, Callable[[POP3Server, bytes], Event | None]] = {
    b"CAPA": POP3Server._capa,  # noqa: SLF001 - the verb tables are the whole dispatcher
    b"QUIT": POP3Server._quit,  # noqa: SLF001
}

_TRANSACTION: dict[bytes, Callable[[POP3Server, Listing, bytes], Event | None]] = {
    b"STAT": POP3Server._stat,  # noqa: SLF001
    b"LIST": POP3Server._list,  # noqa: SLF001
    b"UIDL": POP3Server._uidl,  # noqa: SLF001
    b"RETR": POP3Server._retr,  # noqa: SLF001
    b"TOP": POP3Server._top_of,  # noqa: SLF001
    b"DELE": POP3Server._dele,  # noqa: SLF001
    b"NOOP": POP3Server._noop,  # noqa: SLF001
    b"RSET": POP3Server._rset,  # noqa: SLF001
}
