"""Collecting: a session's commands once it is logged in (RFC 1939 §5 and §7).

What a command asks of an open maildrop is answered here from its listing; a letter itself is asked for,
and goes out whole or in pieces.
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, TypeVar

from mailpost.wire import reply
from mailpost.wire.dots import Stuffer, stuff
from mailpost.wire.login import Access, LoginSession
from mailpost.wire.pop3_events import LetterAsked
from mailpost.wire.reply import Response
from mailpost.wire.session import MAX_UNSENT, OUTPUT_WAITING, Event, Question, SessionEnded
from mailpost.wire.top import LinesOfTop, top

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mailpost.wire.maildrop import MarkedMaildrop

Q = TypeVar("Q", bound=Question)

RETRIEVED_AT_ONCE = 64  # letters beside the one that is asked for
LISTED_AT_ONCE = 500  # lines of LIST and UIDL between two looks at whether the peer still reads
_MAX_DIGITS = 10  # of TOP's lines: more is as good as all
_RETR = re.compile(rb"RETR ([0-9]{1,10})\r\n", re.IGNORECASE)  # as nearly every client says it


class State(Enum):
    """How far a session has come; see the module's table."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    UPDATE = "update"


class CollectingSession(LoginSession):
    """The part of a session in which letters are handed out.

    :ivar retrieved: how many letters RETR has given whole.
    :ivar given: an octet for each letter, 1 where RETR has given it whole; None: it has given none.
    """

    __slots__ = (
        "_following",
        "_lines",
        "_maildrop",
        "_pieces",
        "_top",
        "given",
        "retrieved",
        "state",
    )

    def __init__(self, max_errors: int, access: Access) -> None:
        super().__init__(max_errors, access)
        self._maildrop: MarkedMaildrop | None = None
        self._following: Sequence[int] = ()  # letters of RETRs that are consumed and not answered
        self._lines: Iterator[bytes] | None = None  # the rest of a long LIST or UIDL
        self._top: int | None = None  # lines of the body that TOP asked for
        self._pieces: Stuffer | LinesOfTop | None = None  # of a letter that is going out
        self.state = State.AUTHORIZATION
        self.retrieved = 0
        self.given: bytearray | None = None  # costs an idle session nothing

    # For the shell --------------------------------------------------------------------------------

    def give(self, letter: bytes, *more: bytes) -> None:
        """Answer :class:`LetterAsked` with a whole letter that ends with CRLF.

        :param more: some of those that were asked for with it, from the first on.
        """
        asked = self._answered(LetterAsked)
        if self._top is not None:
            letter, self._top = top(letter, self._top), None
        else:
            self.retrieved += 1 + len(more)
            given = self.given or self._none_given()
            given[asked.index] = 1
            for index in asked.more[: len(more)]:
                given[index] = 1
            self._following = asked.more[len(more) :]
        for one in (letter, *more):
            self._say(b"+OK %d octets\r\n" % len(one))
            self._emit(stuff(one))
            self._emit(b".\r\n")

    def begin_pieces(self, octets: int) -> None:
        """Answer :class:`LetterAsked` with a letter that follows in pieces; nothing is read meanwhile.

        :param octets: the whole letter's size.
        """
        self._asked = self._answered(LetterAsked)  # until end_pieces
        if self._top is not None:
            self._pieces, self._top = LinesOfTop(self._top), None
            self._respond(Response(True, "the top of it follows"))
        else:
            self._pieces = Stuffer()
            self._respond(Response(True, f"{octets} octets"))

    def give_piece(self, piece: bytes) -> bool:
        """Send the next octets of it; whether more of them are wanted."""
        assert self._pieces is not None
        self._emit(self._pieces.feed(piece))
        return not (isinstance(self._pieces, LinesOfTop) and self._pieces.enough)

    def end_pieces(self) -> None:
        """The letter was given whole, or as much of it as TOP asked for."""
        assert self._pieces is not None
        self._emit(self._pieces.end())
        asked = self._answered(LetterAsked)
        if isinstance(self._pieces, Stuffer):
            self.retrieved += 1
            (self.given or self._none_given())[asked.index] = 1
        self._following = asked.more
        self._pieces = None

    def _none_given(self) -> bytearray:
        assert self._maildrop is not None
        self.given = given = bytearray(self._maildrop.all_letters)
        return given

    @property
    def giving(self) -> bool:
        """Whether a letter has gone out in part."""
        return self._pieces is not None

    def next_event(self) -> Event | None:
        """What the peer did next; None: more octets, or an answer, are needed first."""
        if self._lines is not None:
            return self._go_on_listing(self._lines)
        return super().next_event()

    def _step(self) -> Event | None:
        following = self._following
        if following:
            self._following = ()
            return LetterAsked(following[0], following[1:])
        return super()._step()

    # Commands -------------------------------------------------------------------------------------

    def _stat(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        return self._respond(Response(True, f"{maildrop.letters} {maildrop.octets}"))

    def _list(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        return self._list_with(maildrop, maildrop.size_of, argument)

    def _uidl(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        return self._list_with(maildrop, maildrop.uidl_of, argument)

    def _list_with(
        self, maildrop: MarkedMaildrop, line: Callable[[int], str], argument: bytes
    ) -> Event | None:
        """LIST and UIDL: a line for the letter named, or one for each."""
        if not argument:
            self._respond(Response(True, maildrop.contents))
            return self._go_on_listing(maildrop.lines(line))
        index = maildrop.find(argument)
        if isinstance(index, Response):
            return self._wrong(index)
        return self._respond(Response(True, line(index)))

    def _go_on_listing(self, lines: Iterator[bytes]) -> Event | None:
        some = list(islice(lines, LISTED_AT_ONCE))
        self._lines = lines if len(some) == LISTED_AT_ONCE else None
        if self._lines is None:
            some.append(b".\r\n")
        self._emit(b"".join(some))
        return OUTPUT_WAITING

    def _retr(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        index = maildrop.find(argument)
        if isinstance(index, Response):
            return self._wrong(index)
        return LetterAsked(index, self._asked_with(maildrop, index))

    def _asked_with(self, maildrop: MarkedMaildrop, index: int) -> Sequence[int]:
        """The letters of the RETRs that have come behind one, as many as may be sent at once with its own.

        They are consumed. One that cannot be had is not among them, nor what comes behind it.
        """
        if not self._input or self.transcript is not None:  # a transcript has them one by one
            return ()
        more: list[int] = []
        octets = maildrop.octets_of(index)
        while len(more) < RETRIEVED_AT_ONCE and (match := self._input.next_is(_RETR)) is not None:
            another = maildrop.find(match[1])
            if isinstance(another, Response):
                break
            octets += maildrop.octets_of(another)
            if octets > MAX_UNSENT:
                break
            self._input.take(len(match[0]))
            more.append(another)
        return more

    def _top_of(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        number, _, lines = argument.partition(b" ")
        lines = lines.strip(b" ")
        if not lines.isdigit():
            return self._wrong(reply.POP_NEEDS_NUMBERS)
        index = maildrop.find(number)
        if isinstance(index, Response):
            return self._wrong(index)
        digits = lines.lstrip(b"0") or b"0"
        self._top = int(digits) if len(digits) < _MAX_DIGITS else 10**_MAX_DIGITS
        return LetterAsked(index)

    def _dele(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        index = maildrop.find(argument)
        if isinstance(index, Response):
            return self._wrong(index)
        maildrop.mark(index)
        return self._respond(Response(True, f"letter {index + 1} is marked as deleted"))

    def _noop(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:  # noqa: ARG002
        return self._wrong(reply.POP_NO_ARGUMENT) if argument else self._respond(reply.POP_OK)

    def _rset(self, maildrop: MarkedMaildrop, argument: bytes) -> Event | None:
        if argument:
            return self._wrong(reply.POP_NO_ARGUMENT)
        maildrop.unmark_all()
        return self._respond(Response(True, maildrop.contents))

    transaction_verbs: ClassVar[
        dict[bytes, Callable[[CollectingSession, MarkedMaildrop, bytes], Event | None]]
    ] = {
        b"STAT": _stat,
        b"LIST": _list,
        b"UIDL": _uidl,
        b"RETR": _retr,
        b"TOP": _top_of,
        b"DELE": _dele,
        b"NOOP": _noop,
        b"RSET": _rset,
    }

    # Small things ---------------------------------------------------------------------------------

    def end(self, last_word: Response, *, orderly: bool = False) -> SessionEnded:
        """Close the session from this side; nothing more is deleted."""
        self._respond(last_word)
        self._lines = None
        self._following = ()
        return self._close(orderly=orderly)

    def _answered(self, *kinds: type[Q]) -> Q:
        asked, self._asked = self._asked, None
        if not isinstance(asked, kinds):
            raise RuntimeError(f"that does not answer {asked!r}")  # noqa: TRY004 - our misuse
        return asked

    def _respond(self, response: Response) -> Event | None:
        """Say a response; None, so that a command can end with it."""
        self._say(response.octets)
        return None

    def _wrong(self, response: Response) -> SessionEnded | None:
        """Answer a command without sense: it counts, and past the limit it was the last."""
        if self._too_many_errors():
            return self.end(reply.POP_TOO_MANY_ERRORS)
        self._respond(response)
        return None
