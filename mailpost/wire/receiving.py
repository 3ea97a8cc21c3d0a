"""A letter on its way into a session: its octets, by DATA or in chunks, and what is said of it (RFC 3030).

What leads there is in :mod:`mailpost.wire.transaction`. The octets of a letter or a chunk that is refused
come all the same: they are read to their true end, and never run as commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mailpost.wire import reply
from mailpost.wire.chunk import ChunkReader
from mailpost.wire.incoming import IncomingLetter
from mailpost.wire.login import Access, LoginSession
from mailpost.wire.reply import Reply
from mailpost.wire.session import NEED_OCTETS
from mailpost.wire.smtp_events import LetterReceived, PieceReceived, TransactionAborted

if TYPE_CHECKING:
    from mailpost.wire.session import Event, SessionEnded


@dataclass(frozen=True, slots=True)
class Settings:
    """What this office takes, and what it calls itself.

    :ivar hostname: the name in the greeting and in the answer to EHLO.
    :ivar max_octets: the largest letter, announced as SIZE (RFC 1870).
    :ivar max_recipients: recipients of one letter; past it 452, and the earlier ones stand.
    :ivar max_errors: commands without sense before the session is closed; a letter wipes the slate.
    :ivar needs_login: whether nothing is taken from a peer that has not logged in (RFC 6409 §4.3).
    """

    hostname: str
    max_octets: int = 128 * 1024 * 1024
    max_recipients: int = 1000
    max_errors: int = 30
    needs_login: bool = False


class State(Enum):
    """How far a session has come; see :mod:`mailpost.wire.transaction`."""

    START = "start"
    READY = "ready"
    MAIL = "mail"
    LETTER = "letter"
    CHUNKS = "chunks"


class ReceivingSession(LoginSession):
    """The part of a session in which a letter's octets come.

    :ivar recipients: how many RCPTs of the letter at hand were accepted.
    """

    __slots__ = (
        "_letter",
        "_refusal",
        "_refused_recipients",
        "_settings",
        "_skipped",
        "_utf8",
        "recipients",
        "state",
    )

    def __init__(self, settings: Settings, access: Access = Access()) -> None:  # noqa: B008 - frozen
        super().__init__(settings.max_errors, access)
        self._settings = settings
        self.recipients = 0
        self._refused_recipients = 0
        self._utf8 = False
        self._letter: IncomingLetter | None = None
        self._skipped: ChunkReader | None = None  # the octets of a chunk that was refused
        self._refusal = reply.NEEDS_MAIL  # what is said after them
        self.state = State.START

    def end(self, last_word: Reply, *, orderly: bool = False) -> SessionEnded:
        """Close the session from this side: time-out, shutdown, too many connections (421)."""
        self._reply(last_word)
        self._forget()
        return self._close(orderly=orderly)

    def _begin_data(self) -> None:
        """The letter follows, up to its dot."""
        self.state = State.LETTER
        self._letter = IncomingLetter(self._settings.max_octets)
        self._letter.begin_data()

    def _begin_chunk(self, octets: int, *, last: bool) -> None:
        """A chunk of it follows."""
        self.state = State.LETTER
        if self._letter is None:
            self._letter = IncomingLetter(self._settings.max_octets)
        self._letter.begin_chunk(octets, last=last)

    # The letter -----------------------------------------------------------------------------------

    def _step(self) -> Event | None:
        if self.state is State.LETTER:
            return self._read_letter()
        return super()._step() if self._skipped is None else self._skip(self._skipped)

    def _read_letter(self) -> Event | None:
        """The next event out of a letter's octets."""
        letter = self._letter
        assert letter is not None
        if letter.rest is not None:
            return self._end_part(letter, letter.rest)
        octets = self._input.take_all()
        if not octets:
            return NEED_OCTETS
        piece, refusal = letter.feed(octets)
        if refusal is not None:
            return TransactionAborted(refusal)
        return PieceReceived(piece) if piece else None

    def _end_part(self, letter: IncomingLetter, rest: bytes) -> Event | None:
        """A letter, or a chunk of it, has come to its end."""
        self._input.put_back(rest)
        inspector = letter.inspector
        if not letter.last and inspector.refusal is None:
            self.state = State.CHUNKS
            return self._reply(Reply(250, "2.0.0", f"{inspector.octets} octets so far"))
        refused_before = inspector.refusal is not None
        refusal = inspector.finish()
        if refusal is None:
            self.state = State.READY
            return LetterReceived(
                inspector.octets,
                inspector.eight_bit,
                inspector.final_crlf,
                inspector.dated,
                inspector.identified,
            )
        self._conclude(refusal)
        self._forget()
        return None if refused_before else TransactionAborted(refusal)

    def _skip_chunk(self, octets: int, refusal: Reply) -> None:
        """Refuse a chunk: its octets come all the same, and are no commands (RFC 3030 §2)."""
        self._skipped = ChunkReader(octets)
        self._refusal = refusal

    def _skip(self, skipped: ChunkReader) -> Event | None:
        """Throw the octets of a refused chunk away, then say why (RFC 3030 §2)."""
        if skipped.rest is None:
            octets = self._input.take_all()
            if not octets:
                return NEED_OCTETS
            skipped.feed(octets)
            if skipped.rest is None:
                return None
        self._input.put_back(skipped.rest)
        self._skipped = None
        return self._wrong(self._refusal)

    def _conclude(self, answer: Reply) -> None:
        """Say what became of the letter as a whole."""
        self._reply(answer)

    # Small things ---------------------------------------------------------------------------------

    def _reply(self, answer: Reply) -> Event | None:
        """Say a reply; None, so that a command can end with it."""
        self._say(answer.octets)
        return None

    def _wrong(self, answer: Reply) -> SessionEnded | None:
        """Answer a command without sense: it counts, and past the limit it was the last."""
        if self._too_many_errors():
            return self.end(reply.TOO_MANY_ERRORS)
        self._reply(answer)
        return None

    def _forget(self) -> None:
        """Back to READY: no sender, no recipients."""
        if self.state is not State.START:
            self.state = State.READY
        self.recipients = self._refused_recipients = 0
        self._utf8 = False
        self._letter = None
