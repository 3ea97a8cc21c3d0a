"""An mbox to bring letters from: one file, a ``From_`` line before each letter, a blank line behind it.

A line of a letter that begins with ``From`` and a space has been quoted by whoever wrote the file; that is
undone here. How, depends on who it was: ``mboxrd`` puts a ``>`` before each such line, quoted or not;
``mboxo`` before those alone that have none yet; ``mboxcl2`` quotes nothing, and a Content-Length field tells
where a letter ends. That field is believed in this format alone, and only where a letter ends there indeed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections import Counter
from email.utils import mktime_tz, parsedate_tz
from typing import IO, TYPE_CHECKING

from attrs import define, field

from mailpost.carrying.sidecar import Sidecar
from mailpost.carrying.source import PIECE, Letter, SourceError, crlf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = ("mboxrd", "mboxo", "mboxcl2")
TRIES = 100  # a tenth of a second each, to find it unlocked
IN_MEMORY = 1024 * 1024  # octets of a letter; a longer one goes to a temporary file
LINE = 64 * 1024
# What begins a letter: a line with the time in it, so that a sentence that was not quoted is no letter.
_FROM = re.compile(
    rb'From (?P<sender>"(?:[^"\\]|\\.)*"@\S+|\S*) +(?P<date>.{0,60}\d:\d\d.*)', re.DOTALL
)
_QUOTED = {"mboxrd": re.compile(rb">+From "), "mboxo": re.compile(rb">From ")}
_BLANK = (b"\n", b"\r\n")
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?\n", re.IGNORECASE)
# Fields that whoever reads the file writes into it: they make no other letter of it.
_STATUS = re.compile(
    rb"(status|x-status|x-keywords|x-uid|x-imap|x-imapbase|content-length|lines):", re.IGNORECASE
)


def is_from_line(line: bytes) -> bool:
    """Whether a line begins a letter."""
    return line.startswith(b"From ") and _FROM.match(line) is not None


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)


@define
class _Gathered:
    """A letter that is being read out of the file."""

    from_line: bytes
    text: IO[bytes] = field(factory=_spool)
    digest: hashlib.blake2b = field(factory=lambda: hashlib.blake2b(digest_size=16))
    octets: int = 0
    length: int | None = None  # Content-Length
    in_header: bool = True
    passing: bool = False  # within a field that whoever reads the file writes

    def add(self, line: bytes, *, whole: bool) -> None:
        """Take a line, or where it is not ``whole`` the rest of one."""
        self.text.write(line)
        self.octets += len(line)
        if self.in_header and whole:
            if line in _BLANK:
                self.in_header = False
            elif line[:1] not in b" \t":
                self.passing = _STATUS.match(line) is not None
                found = _LENGTH.match(line)
                self.length = int(found[1]) if found else self.length
        if not (self.in_header and self.passing):
            self.digest.update(line)

    def pieces(self) -> Iterator[bytes]:
        """Its octets, as they are in the file but for the quoting."""
        self.text.seek(0)
        while piece := self.text.read(PIECE):
            yield piece


class Mbox:
    """An mbox file. What is added to it while it is read comes another time.

    :param quoting: one of :data:`FORMATS`.
    :raises SourceError: it is no mbox.
    :raises OSError: it cannot be read.
    """

    def __init__(self, path: Path, quoting: str = "mboxrd") -> None:
        self._path = path
        self._quoted = _QUOTED.get(quoting)
        self._by_length = quoting == "mboxcl2"
        self._sidecar = Sidecar.of_mbox(path)
        self._file = path.open("rb", buffering=PIECE)
        self.ahead = 1
        self.count: int | None = None
        try:
            self.octets: int | None = _whole(self._file, path)
            _must_begin(self._file.readline(LINE), path)
        except BaseException:
            self._file.close()
            raise
        self._file.seek(0)

    def letters(self) -> Iterator[Letter]:
        """Each letter, in the file's order."""
        times: Counter[str] = Counter()
        changed = int(os.fstat(self._file.fileno()).st_mtime)
        for number, found in enumerate(self._split(), 1):
            digest = found.digest.hexdigest()
            times[digest] += 1
            sender, arrived = read_from_line(found.from_line)
            yield Letter(
                name=f"letter {number} of {self._path}",
                key=f"mbox {digest} {times[digest]}",
                octets=found.octets,
                pieces=lambda found=found: crlf(found.pieces()),  # type: ignore[misc]
                arrived=arrived,
                otherwise=changed,
                uidl=self._sidecar.uidl_of(found.pieces) if self._sidecar else None,
                sender=sender,
            )
            found.text.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _split(self) -> Iterator[_Gathered]:
        left = self.octets or 0
        letter: _Gathered | None = None
        blank = b""  # a blank line that may be the one behind a letter
        begins = True  # whether what is read next is the beginning of a line
        while left > 0 and (line := self._file.readline(min(LINE, left))):
            left -= len(line)
            if begins and (blank or letter is None) and is_from_line(line):
                if letter is not None:
                    yield letter
                letter, blank = _Gathered(line), b""
                begins = line.endswith(b"\n")
                continue
            if letter is None:
                return  # somebody who knows no locks has just begun to write: another time
            if blank:
                letter.add(blank, whole=True)
                blank = b""
            if begins and line in _BLANK:
                blank = line
                if self._by_length and letter.in_header and self._ends_at(letter.length, left):
                    letter.add(line, whole=True)
                    left -= self._take(letter, letter.length or 0)
                    blank = self._file.readline(len(b"\r\n"))
                    left -= len(blank)
                continue
            letter.add(self._unquoted(line) if begins else line, whole=begins)
            begins = line.endswith(b"\n")
        if letter is not None:
            yield letter

    def _unquoted(self, line: bytes) -> bytes:
        if line[:1] == b">" and self._quoted is not None and self._quoted.match(line):
            return line[1:]
        return line

    def _ends_at(self, length: int | None, left: int) -> bool:
        """Whether a letter ends so many octets from here: another begins there, or the file ends."""
        if length is None or length > left:
            return False
        here = self._file.tell()
        try:
            self._file.seek(here + length)
            after = self._file.readline(LINE)
            if after and after not in _BLANK:
                return False
            following = self._file.readline(LINE)
            return not following or is_from_line(following)
        finally:
            self._file.seek(here)

    def _take(self, letter: _Gathered, length: int) -> int:
        """Take so many octets as they are."""
        taken = 0
        while taken < length and (piece := self._file.read(min(PIECE, length - taken))):
            letter.add(piece, whole=False)
            taken += len(piece)
        return taken


def _must_begin(line: bytes, path: Path) -> None:
    if line and not is_from_line(line):
        raise SourceError(f"{path}: expected an mbox, which begins with a From line")


def _whole(file: IO[bytes], path: Path) -> int:
    """How long the file is while nobody writes to it: up to there it has whole letters.

    Whoever delivers to it holds a lock (fcntl(2)) meanwhile. It is kept out for that moment alone.
    """
    for _ in range(TRIES):
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            time.sleep(0.1)
            continue
        octets = os.fstat(file.fileno()).st_size
        fcntl.lockf(file, fcntl.LOCK_UN)
        return octets
    raise SourceError(f"{path} is being written to just now: try again later")


def read_from_line(line: bytes) -> tuple[str | None, int | None]:
    """The sender and the date of a ``From_`` line; None where it does not tell."""
    found = _FROM.match(line.rstrip(b"\r\n"))
    if found is None:
        return None, None
    sender = found["sender"].decode("utf-8", "replace")
    parsed = parsedate_tz(found["date"].decode("ascii", "replace"))
    try:
        arrived = None if parsed is None else max(0, mktime_tz(parsed))
    except (ValueError, OverflowError):
        arrived = None
    return None if sender in ("", "MAILER-DAEMON", "-") else sender, arrived
