"""Dot-stuffing, both ways, and the search for the dot that ends a letter.

RFC 5321 §4.5.2 and RFC 1939 §3: a line of the letter that begins with a dot travels with one dot more,
and a line with a dot alone ends the letter. Only CRLF ends a line here: LF.LF and its kin are content.
No line is looked at by itself; the searches run over whole chunks.
"""

from __future__ import annotations

CRLF = b"\r\n"
END = b"\r\n.\r\n"
_STUFFED = b"\r\n."
_BLOCK = 16 * 1024  # most headers have no more, and their dots concern nothing else


class Unstuffer:
    """Takes a letter out of the octets after DATA: finds its end, removes the dots that were added.

    The pieces it gives never split a CRLF: what might be the beginning of the end waits for more.
    """

    __slots__ = ("_at_start", "_held", "rest")

    def __init__(self) -> None:
        # The letter begins at the start of a line, just as if a CRLF stood before it.
        self._held = CRLF
        self._at_start = True
        self.rest: bytes | None = None
        """What came after the end of the letter; None until the end was seen."""

    def feed(self, octets: bytes) -> bytes:
        """The next piece of the letter, as it was before stuffing; perhaps ``b""``."""
        work = self._held + octets
        dot = _first_dot(work)
        end = work.find(END, dot) if dot >= 0 else -1
        if end >= 0:
            self.rest = work[end + len(END) :]
            cut = end + len(CRLF)
        else:
            cut = len(work) - _may_begin_end(work)
        self._held = work[cut:] if end < 0 else b""
        if not cut:
            return b""
        start = len(CRLF) if self._at_start else 0
        self._at_start = False
        if 0 <= dot < cut - len(CRLF):
            return work[:cut].replace(_STUFFED, CRLF)[start:]
        return work[start:cut]


def _first_dot(work: bytes) -> int:
    """Where the first line that begins with a dot does so, at the CRLF before it; -1: there is none.

    A single octet is found many times faster than three, and what base64 fills has no dot at all: so the
    slower search is only for what follows a dot. It goes from the end to the start, which takes half the time
    where there is nothing to be found, or only the end of the letter: each miss skips three octets.
    """
    dot = work.find(b".")
    while dot >= 0:
        start, end = max(dot - len(CRLF), 0), dot + _BLOCK
        last = work.rfind(_STUFFED, start, end)
        if last >= 0:
            before = work.rfind(_STUFFED, start, last + len(CRLF))
            return last if before < 0 else work.find(_STUFFED, start, before + len(_STUFFED))
        dot = work.find(b".", end)
    return -1


def _may_begin_end(work: bytes) -> int:
    """How many of the last octets of ``work`` could be the beginning of CRLF.CRLF."""
    tail = work[-4:]
    for length in (4, 3, 2, 1):
        if tail[-length:] == END[:length]:
            return length
    return 0


def stuff(letter: bytes) -> bytes:
    """A whole letter (or whole lines of one) with its dots doubled where a line begins with one."""
    if _first_dot(letter) >= 0:  # few have one: to know it is cheaper than to replace
        letter = letter.replace(_STUFFED, b"\r\n..")
    return b"." + letter if letter.startswith(b".") else letter


class Stuffer:
    """Doubles dots in a letter that comes in pieces, cut anywhere."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = CRLF  # the last two octets, for what lies across a cut

    def feed(self, piece: bytes) -> bytes:
        """The same octets, stuffed."""
        tail = self._tail
        self._tail = (tail + piece)[-2:] if len(piece) < len(CRLF) else piece[-2:]
        stuffed = piece.replace(_STUFFED, b"\r\n..") if _first_dot(piece) >= 0 else piece
        if tail == CRLF and piece.startswith(b"."):
            return b"." + stuffed
        if tail[-1:] == b"\r" and piece.startswith(b"\n."):
            return b"\n.." + stuffed[2:]
        return stuffed

    def end(self) -> bytes:
        """What ends the letter on the wire; a CRLF is added where the last line lacks it."""
        return b".\r\n" if self._tail == CRLF else END
