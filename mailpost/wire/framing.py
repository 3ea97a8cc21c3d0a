"""Lines out of octets: a line ends with CR and LF together, and no line is endless.

The first thing that happens to whatever comes off the wire. A bare LF or a bare CR never ends a
command, so nothing can be smuggled behind one (RFC 5321 §2.3.8, RFC 1939 §3).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re


class Defect(Enum):
    """Why a piece of input is no line."""

    BARE_NEWLINE = "bare CR or LF"
    TOO_LONG = "line too long"


class InputBuffer:
    """What has come off the wire and is not consumed yet.

    It sets no limit of its own to what is fed: whoever feeds it looks at :func:`len` and stops reading.

    :ivar defective: the line for which BARE_NEWLINE was told last, as far as that line had come.
    """

    __slots__ = ("_data", "_start", "_tainted", "defective")

    def __init__(self) -> None:
        self._data = b""
        self._start = 0
        self._tainted = False  # the line at hand began after a bare LF
        self.defective = b""

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, octets: bytes) -> None:
        """Add what came."""
        if self._start == len(self._data):
            self._data = octets
        else:
            self._data = self._data[self._start :] + octets
        self._start = 0

    def spent(self) -> bool:
        """Whether all that came is consumed; then nothing of it is held, a password least of all."""
        if self._start < len(self._data):
            return False
        self._data = b""
        self._start = 0
        return True

    def begins_with(self, word: bytes) -> bool:
        """Whether the next line begins with this word, given in upper case, whatever its own case."""
        return self._data[self._start : self._start + len(word)].upper() == word

    def next_is(self, lines: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """How the next octets match what whole lines look like; nothing is taken by it.

        A line that began after a bare LF is none.
        """
        return None if self._tainted else lines.match(self._data, self._start)

    def take(self, octets: int) -> None:
        """Consume so many octets, which :meth:`next_is` has seen."""
        self._start += octets

    def take_line(self, limit: int) -> bytes | Defect | None:
        """The next line without its CRLF, what is wrong with it, or None: no whole line is there yet.

        A line with a bare LF in it is one defect for every bare LF, told as soon as that is seen (so
        that somebody whose terminal sends no CR reads why), and none of it is a line, to its CRLF.

        :param limit: octets that a line may have at most, its CRLF counted. After TOO_LONG the rest of
            the input makes no sense any more.
        """
        while True:
            end = self._data.find(b"\n", self._start, self._start + limit)
            if end < 0:
                return Defect.TOO_LONG if len(self) >= limit else None
            line = self._data[self._start : end]
            self._start = end + 1
            if line[-1:] != b"\r":
                self._tainted = True
                self.defective = line
                return Defect.BARE_NEWLINE
            if self._tainted:
                self._tainted = False
                continue
            if line.find(b"\r") != len(line) - 1:
                self.defective = line
                return Defect.BARE_NEWLINE
            return line[:-1]

    def take_all(self) -> bytes:
        """Everything that is there."""
        octets = self._data[self._start :] if self._start else self._data
        self.clear()
        return octets

    def put_back(self, octets: bytes) -> None:
        """Return to the front what :meth:`take_all` gave too much."""
        self._data = octets + self._data[self._start :]
        self._start = 0

    def clear(self) -> None:
        """Forget what is there."""
        self._data = b""
        self._start = 0
        self._tainted = False
