"""What the engine must know of a letter's octets as they go by: size, line ends, hops, 8-bit.

RFC 5321 §2.3.8 (CR and LF only together), §6.3 (a loop shows in its Received lines), RFC 1870 §6.1
(the size). The letter itself is neither changed nor kept here.
"""

from __future__ import annotations

import re
from io import IncrementalNewlineDecoder
from typing import TYPE_CHECKING

from mailpost.wire import reply

if TYPE_CHECKING:
    from mailpost.wire.reply import Reply

MAX_HOPS = 100  # RFC 5321 §6.3
_HOP = b"\nreceived:"
_HEADER_END = b"\r\n\r\n"
_DATE = b"\ndate:"
_MESSAGE_ID = b"\nmessage-id:"
_OVERLAP = len(_MESSAGE_ID) - 1  # the longest of the three
_ONLY_CRLF = (None, "\r\n")
_BARE = re.compile(rb"\r(?=[^\n])|(?<!\r)(?=\n)")  # ends at the octet that shows it


class Inspector:
    """Looks at a letter's pieces in their order; :attr:`refusal` is the first thing wrong with it.

    Of several faults the one that shows at the earliest octet is told, wherever the letter was cut.

    :ivar dated: whether it has a Date line.
    :ivar identified: whether it has a Message-ID line.
    :param max_octets: the largest letter taken.
    """

    __slots__ = (
        "_end",
        "_hops",
        "_in_header",
        "_line_ends",
        "_max_octets",
        "_tail",
        "dated",
        "eight_bit",
        "identified",
        "octets",
        "refusal",
    )

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        # Used for its `newlines` alone: it notes in one pass, without a copy, which of CR, LF and CRLF
        # occur. Three counts or a regular expression cost three to thirty times as much.
        self._line_ends = IncrementalNewlineDecoder(None, translate=False)
        self._end = b"\r\n"  # the last two octets; an empty letter lacks nothing
        self._in_header = True
        self._tail = b"\r\n"  # the last octets of the header so far; the first line begins a line
        self._hops = 0
        self.octets = 0
        self.eight_bit = False
        self.dated = False
        self.identified = False
        self.refusal: Reply | None = None

    def look(self, piece: bytes) -> Reply | None:
        """Take note of the next piece; what is wrong with the letter so far, if anything is."""
        fault: Reply | None = None
        room = self._max_octets - self.octets
        self.octets += len(piece)
        if len(piece) > room:
            fault = reply.TOO_LARGE
            piece = piece[:room]  # what is wrong before there comes first
        self._line_ends.decode(self._as_text(piece))
        if self._line_ends.newlines not in _ONLY_CRLF:
            fault = reply.BARE_NEWLINE_IN_LETTER
            piece = piece[: self._first_bare(piece)]
        self._end = piece[-2:] if len(piece) > 1 else (self._end + piece)[-2:]
        if self._in_header:
            self._read_header(piece)
        if self.refusal is None:
            self.refusal = fault
        return self.refusal

    def _as_text(self, piece: bytes) -> str:
        """The piece, octet for octet. That it is US-ASCII is seen in the same pass."""
        if not self.eight_bit:
            try:
                return piece.decode("ascii")
            except UnicodeDecodeError:
                self.eight_bit = True
        return piece.decode("latin-1")

    def _first_bare(self, piece: bytes) -> int:
        """Where in this piece the first bare CR or LF shows."""
        before = b"\r" if self._end[-1:] == b"\r" else b""
        found = _BARE.search(before + piece)
        assert found is not None
        return found.end() - len(before)

    def finish(self) -> Reply | None:
        """The letter was whole; what is wrong with it, if anything is."""
        if self.refusal is None and self._end[-1:] == b"\r":
            self.refusal = reply.BARE_NEWLINE_IN_LETTER
        return self.refusal

    @property
    def final_crlf(self) -> bool:
        """Whether the letter ends with CRLF, or is empty."""
        return self._end == b"\r\n"

    def _read_header(self, piece: bytes) -> None:
        header = self._tail + piece
        end = header.find(_HEADER_END)
        if end >= 0:
            self._in_header = False
            header = header[: end + 2]
        lower = header.lower()
        self._hops += lower.count(_HOP, max(0, len(self._tail) - len(_HOP) + 1))
        self.dated = self.dated or _DATE in lower
        self.identified = self.identified or _MESSAGE_ID in lower
        # What may be the beginning of a Received line, or of the blank line, is looked at again.
        self._tail = header[-_OVERLAP:]
        if self._hops > MAX_HOPS:
            self.refusal = reply.MAIL_LOOP
