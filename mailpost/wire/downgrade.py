"""A letter with UTF-8 in its header, for a peer that did not ask for UTF8 (RFC 6856 §2, RFC 6857).

Each field of the letter's own header that holds UTF-8 is rewritten in US-ASCII so that a person still
reads what was said: subjects, names and addresses become encoded words (:mod:`mailpost.wire.encoding`).
Everything else goes by octet for octet: fields that are US-ASCII, fields whose octets are no UTF-8 (they
were broken before), and all that follows the header. The headers of body parts are part of what follows.

One field is held at a time. Of a field longer than :data:`LONGEST` the octets beyond US-ASCII become
``?`` as they go by, so that memory stays bounded and time linear, whatever comes.
"""

from __future__ import annotations

from mailpost.wire.encoding import rewritten

LONGEST = 64 * 1024
"""Octets of a header field that is rewritten, its folds included."""

_QUESTION = bytes(range(128)) + b"?" * 128
_LF = ord("\n")


class Downgrader:
    """Rewrites a letter piece by piece; how it is cut makes no difference to what comes out.

    :ivar in_header: what follows the header goes by as it is.
    :ivar changed: something came out other than it went in.
    """

    __slots__ = ("_at", "_buffer", "_too_long", "changed", "in_header")

    def __init__(self) -> None:
        self._buffer = bytearray()  # the field so far, and what was not looked at yet
        self._at = 0  # no line ends before here
        self.in_header = True
        self._too_long = False  # the beginning of this field is gone already
        self.changed = False

    def feed(self, piece: bytes) -> bytes:
        """Take the next octets; those that can be given by now."""
        if not self.in_header:
            return piece
        self._buffer += piece
        return b"".join(self._fields())

    def end(self) -> bytes:
        """There is no more; the rest."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._rewrite(rest)

    def _fields(self) -> list[bytes]:
        buffer, at, start = self._buffer, self._at, 0
        given: list[bytes] = []
        while True:
            if at == start and not self._too_long and buffer[start : start + 1] == b"\r":
                if len(buffer) == start + 1:
                    break
                if buffer[start + 1] == _LF:  # the blank line
                    self.in_header = False
                    given.append(bytes(buffer[start:]))
                    buffer.clear()
                    return given
            newline = buffer.find(b"\n", at)
            following = newline + 1
            if newline < 0 or following == len(buffer):  # whether it goes on is still to be seen
                at = newline if newline >= 0 else len(buffer)
                break
            at = following
            if buffer[following] not in b" \t":
                given.append(self._rewrite(bytes(buffer[start:following])))
                self._too_long = False
                start = following
        del buffer[:start]
        self._at = at - start
        if self._too_long or len(buffer) > LONGEST:
            self._too_long = True
            given.append(self._rewrite(bytes(buffer[: self._at])))
            del buffer[: self._at]
            self._at = 0
        return given

    def _rewrite(self, field: bytes) -> bytes:
        if field.isascii():
            return field
        too_long = self._too_long or len(field) > LONGEST
        plain = field.translate(_QUESTION) if too_long else rewritten(field)
        self.changed = self.changed or plain != field
        return plain


def downgraded(octets: bytes) -> bytes:
    """A letter, or some whole header lines, in one piece."""
    downgrader = Downgrader()
    return downgrader.feed(octets) + downgrader.end()
