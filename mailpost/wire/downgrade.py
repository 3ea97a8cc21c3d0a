"""A letter with UTF-8 in its headers, for a peer that did not ask for UTF8 (RFC 6856 §2, RFC 6857).

Each field that holds UTF-8 is rewritten in US-ASCII so that a person still reads what was said
(:mod:`mailpost.wire.rewriting`): in the letter's own header, and in the headers of its MIME parts and of the
messages within it, at all levels (RFC 6857 §4.1); :mod:`mailpost.wire.mime` finds these. In a delivery report
the addresses of its recipients are (§4.2). Everything else goes by octet for octet: fields that are US-ASCII,
fields whose octets are no UTF-8 (they were broken before), bodies, and all that is within multipart/signed.

One field is held at a time. In a field longer than :data:`LONGEST`, and in all when :data:`MOST` octets of
fields were rewritten, the octets beyond US-ASCII become ``?`` as they go by: so memory and work stay bounded
and time linear, whatever comes.
"""

from __future__ import annotations

from enum import Enum, auto

from mailpost.wire.mime import MAX_DELIMITER, MAX_HEADERS, Kind, Nesting, content
from mailpost.wire.rewriting import rewritten, rewritten_status

LONGEST = 64 * 1024
"""Octets of a header field that is rewritten, its folds included."""

MOST = 512 * 1024
"""Octets of all the fields of a letter that are rewritten."""

_QUESTION = bytes(range(128)) + b"?" * 128
_LF = ord("\n")
_MARK = b"\r\n--"


class _Place(Enum):
    """Where in a letter the next octet stands."""

    HEADER = auto()
    STATUS = auto()  # fields in groups, a blank line between them (RFC 3464 §2.1.1)
    BODY = auto()  # or anything else where nothing is looked for but the next boundary


class Downgrader:
    """Rewrites a letter piece by piece; how it is cut makes no difference to what comes out.

    :ivar settled: what follows goes by as it is.
    :ivar changed: something came out other than it went in.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_encoding",
        "_fresh",
        "_headers",
        "_left",
        "_nesting",
        "_place",
        "_too_long",
        "_type",
        "changed",
        "settled",
    )

    def __init__(self) -> None:
        self._buffer = bytearray()  # the field so far, and what was not looked at yet
        self._at = 0  # no line ends before here
        self._place = _Place.HEADER
        self._nesting = Nesting()
        self._type = self._encoding = b""  # what the header at hand says of what follows it
        self._too_long = False  # the beginning of this field is gone already
        self._left = MOST
        self._headers = 1
        self._fresh = True  # its first line has not ended yet
        self.settled = False
        self.changed = False

    def feed(self, piece: bytes) -> bytes:
        """Take the next octets; those that can be given by now."""
        if self.settled:
            return piece
        self._buffer += piece
        given: list[bytes] = []
        while self._step(given):
            pass
        return b"".join(given)

    def end(self) -> bytes:
        """There is no more; the rest."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        as_it_is = self.settled or self._place is _Place.BODY
        return rest if as_it_is else self._rewrite(rest)

    def _step(self, given: list[bytes]) -> bool:
        """Give what can be given in this place; whether the next place was reached."""
        if self.settled:
            self._give(given, len(self._buffer))
            return False
        return self._bodies(given) if self._place is _Place.BODY else self._fields(given)

    # Headers --------------------------------------------------------------------------------------

    def _fields(self, given: list[bytes]) -> bool:
        """Give the fields that are whole; whether this is the end of them."""
        buffer, at, start = self._buffer, self._at, 0
        while True:
            if at == start and not self._too_long and buffer[start : start + 1] == b"\r":
                if len(buffer) == start + 1:
                    break
                if buffer[start + 1] == _LF:
                    if self._place is _Place.HEADER:
                        del buffer[:start]
                        self._enter(given)
                        return True
                    given.append(b"\r\n")
                    at = start = start + 2
                    continue
            newline = buffer.find(b"\n", at)
            following = newline + 1
            if newline >= 0 and self._fresh and self._nesting:
                begins = self._delimits(start, following)
                if begins is not None:
                    del buffer[:start]
                    self._end_part(given, following - start, begins=begins)
                    return True
            if newline < 0 or following == len(buffer):  # whether it goes on is still to be seen
                at = newline if newline >= 0 else len(buffer)
                break
            at = following
            if buffer[following] not in b" \t":
                given.append(self._rewrite(bytes(buffer[start:following])))
                self._too_long = False
                start = following
            self._fresh = start == following
        self._hold(given, start, at)
        return False

    def _hold(self, given: list[bytes], start: int, at: int) -> None:
        """Keep a field that is not whole, if it is not too long by now."""
        buffer = self._buffer
        del buffer[:start]
        self._at = at - start
        if self._too_long or len(buffer) > LONGEST:
            self._too_long = True
            self._fresh = False
            given.append(self._rewrite(bytes(buffer[: self._at])))
            del buffer[: self._at]
            self._at = 0

    def _rewrite(self, field: bytes) -> bytes:
        too_long = self._too_long or len(field) > LONGEST
        if not too_long and field[:8].lower() == b"content-":
            self._note(field)
        if field.isascii():
            return field
        if not too_long:
            self._left -= len(field)
        if self._place is _Place.STATUS:
            plain = field if too_long or self._left < 0 else rewritten_status(field)
        elif too_long or self._left < 0:
            plain = field.translate(_QUESTION)
        else:
            plain = rewritten(field)
        self.changed = self.changed or plain != field
        return plain

    def _note(self, field: bytes) -> None:
        name = field.partition(b":")[0].rstrip(b" \t").lower()
        if name == b"content-type":
            self._type = self._type or field
        elif name == b"content-transfer-encoding":
            self._encoding = self._encoding or field

    # What they stand above ------------------------------------------------------------------------

    def _enter(self, given: list[bytes]) -> None:
        """Go on behind a header; its blank line is next, and a boundary may follow that at once."""
        found = content(self._type, self._encoding, digest=self._nesting.in_digest)
        self._begin(_Place.BODY)
        if found.kind is Kind.MULTIPART:
            self._nesting.enter(found)
        elif found.kind is not Kind.TEXT:
            self._begin(_Place.HEADER if found.kind is Kind.MESSAGE else _Place.STATUS)
            self._give(given, 2)
        self._settle()

    def _settle(self) -> None:
        if self._place is _Place.HEADER:
            self._headers += 1
        over = self._place is _Place.BODY and not self._nesting
        self.settled = over or self._headers > MAX_HEADERS

    def _begin(self, place: _Place) -> None:
        self._place = place
        self._at = 0
        self._fresh = True
        self._too_long = False
        self._type = self._encoding = b""

    def _bodies(self, given: list[bytes]) -> bool:
        """Give what stands before the next boundary; whether that has come."""
        buffer, at = self._buffer, 0
        while (mark := buffer.find(_MARK, at)) >= 0:
            line = mark + 2
            following = buffer.find(b"\n", line, line + MAX_DELIMITER) + 1
            if following:
                begins = self._delimits(line, following)
                if begins is not None:
                    self._end_part(given, following, begins=begins)
                    return True
                at = following - 2
            elif len(buffer) < line + MAX_DELIMITER:  # where the line ends is still to be seen
                self._give(given, mark)
                return False
            else:
                at = line
        held = next(size for size in (3, 2, 1, 0) if buffer.endswith(_MARK[:size]))
        self._give(given, len(buffer) - held)
        return False

    def _delimits(self, start: int, end: int) -> bool | None:
        if end - start > MAX_DELIMITER or not self._buffer.startswith(b"--", start):
            return None
        return self._nesting.delimits(bytes(self._buffer[start:end]))

    def _end_part(self, given: list[bytes], following: int, *, begins: bool) -> None:
        """Go on behind a boundary: with the header of a part, or with what the multipart stands in."""
        self._begin(_Place.HEADER if begins else _Place.BODY)
        # Behind the last boundary of a multipart, the line end may belong to the next one.
        self._give(given, following if begins else max(0, following - 2))
        self._settle()

    def _give(self, given: list[bytes], end: int) -> None:
        given.append(bytes(self._buffer[:end]))
        del self._buffer[:end]


def downgraded(octets: bytes) -> bytes:
    """A letter, or some whole header lines, in one piece."""
    downgrader = Downgrader()
    return downgrader.feed(octets) + downgrader.end()
