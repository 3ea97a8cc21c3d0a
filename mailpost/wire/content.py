"""What the engine must know of a letter's octets as they go by: size, line ends, hops, 8-bit.

RFC 5321 §2.3.8 (CR and LF only together), §6.3 (a loop shows in its Received lines), RFC 1870 §6.1
(the size). The letter itself is neither changed nor kept here.
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import TYPE_CHECKING

from mailpost.wire import reply

if TYPE_CHECKING:
    from mailpost.wire.reply import Reply

MAX_HOPS = 100  # RFC 5321 §6.3
_HOP = b"\nreceived:"
_HEADER_END = b"\r\n\r\n"
_OVERLAP = len(_HOP) - 1
_ONLY_CRLF = (None, "\r\n")


class Inspector:
    """Looks at a letter's pieces in their order; :attr:`refusal` is the first thing wrong with it.

    :param max_octets: the largest letter taken.
    """

    __slots__ = (
        "_hops",
        "_in_header",
        "_line_ends",
        "_max_octets",
        "_tail",
        "eight_bit",
        "octets",
        "refusal",
    )

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        # Used for its `newlines` alone: it notes in one pass, without a copy, which of CR, LF and CRLF
        # occur. Three counts or a regular expression cost three to thirty times as much.
        self._line_ends = IncrementalNewlineDecoder(None, translate=False)
        self._in_header = True
        self._tail = b"\r\n"  # the last octets of the header so far; the first line begins a line
        self._hops = 0
        self.octets = 0
        self.eight_bit = False
        self.refusal: Reply | None = None

    def look(self, piece: bytes) -> Reply | None:
        """Take note of the next piece; what is wrong with the letter so far, if anything is.

        A CRLF is never split between two pieces.
        """
        self.octets += len(piece)
        if self.octets > self._max_octets:
            self.refusal = reply.TOO_LARGE
            return self.refusal
        self._line_ends.decode(piece.decode("latin-1"))
        if self._line_ends.newlines not in _ONLY_CRLF:
            self.refusal = reply.BARE_NEWLINE_IN_LETTER
            return self.refusal
        if not self.eight_bit and not piece.isascii():
            self.eight_bit = True
        if self._in_header:
            self._count_hops(piece)
        return self.refusal

    def _count_hops(self, piece: bytes) -> None:
        header = self._tail + piece
        end = header.find(_HEADER_END)
        if end >= 0:
            self._in_header = False
            header = header[: end + 2]
        self._hops += header.lower().count(_HOP)
        # What may be the beginning of a Received line, or of the blank line, is looked at again.
        self._tail = header[-_OVERLAP:]
        if self._hops > MAX_HOPS:
            self.refusal = reply.MAIL_LOOP
