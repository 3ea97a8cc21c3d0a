"""TOP: a letter's header, the blank line, and the first lines of its body (RFC 1939 §7)."""

from __future__ import annotations

from mailpost.wire.dots import CRLF, Stuffer

_HEADER_END = b"\r\n\r\n"


def top(letter: bytes, lines: int) -> bytes:
    """The header, the blank line, and so many lines of the body; whole lines, dots not stuffed."""
    if letter.startswith(CRLF):
        body = len(CRLF)
    else:
        end = letter.find(_HEADER_END)
        if end < 0:
            return letter
        body = end + len(_HEADER_END)
    return letter[: _after_lines(letter, body, lines)]


def _after_lines(letter: bytes, body: int, lines: int) -> int:
    """Where so many lines from ``body`` on end."""
    parts = letter[body:].split(CRLF, lines)
    return len(letter) - len(parts[-1]) if len(parts) > lines else len(letter)


class LinesOfTop:
    """The same for a letter that comes in pieces, cut anywhere; stuffs the dots as well.

    :ivar enough: all that was asked for has been given; the rest of the letter need not be read.
    """

    __slots__ = ("_in_header", "_lines", "_stuffer", "_tail", "enough")

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._in_header = True
        self._tail = (
            CRLF  # as if a line had ended before the letter: it may begin with the blank line
        )
        self._stuffer = Stuffer()
        self.enough = False

    def feed(self, piece: bytes) -> bytes:
        """As much of a piece as belongs to the top, stuffed."""
        if self.enough:
            return b""
        work = self._tail + piece
        begin = 0  # where the counting of body lines begins in work
        if self._in_header:
            end = work.find(_HEADER_END)
            if end < 0:
                return self._go_on(work, piece)
            self._in_header = False
            begin = end + len(_HEADER_END)
        else:
            # A CR at the end of what was counted before may get its LF now; nothing else counts twice.
            begin = len(self._tail) - (1 if self._tail.endswith(b"\r") else 0)
        parts = work[begin:].split(CRLF, self._lines)
        self._lines -= len(parts) - 1
        if self._lines > 0:
            return self._go_on(work, piece)
        self.enough = True
        taken = len(work) - len(parts[-1])
        return self._stuffer.feed(work[len(self._tail) : taken])

    def _go_on(self, work: bytes, piece: bytes) -> bytes:
        self._tail = work[-3:]
        return self._stuffer.feed(piece)

    def end(self) -> bytes:
        """What ends the letter on the wire."""
        return self._stuffer.end()
