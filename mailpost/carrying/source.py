"""What letters are brought from, and what all sources have in common."""

from __future__ import annotations

import errno
import os
import re
import stat
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

PIECE = 256 * 1024
_FIELD_END = re.compile(rb"\r?\n(?![ \t])")


class SourceError(Exception):
    """A source that cannot be used; the text says why, and what to do."""


class ServerError(SourceError):
    """Another server that cannot be used."""


class SourceGone(Exception):  # noqa: N818 - what has happened
    """A source that could be used has gone; what came from it until then is kept."""


@frozen
class Letter:
    """A letter where it comes from.

    :ivar name: what a person is told it is.
    :ivar key: names it in its source, the same at every run, and as unlike any other as can be.
    :ivar octets: how long it is there, for the progress bar.
    :ivar pieces: reads it, with CRLF at each line's end. Raises OSError.
    :ivar arrived: seconds since 1970, where its source has written that down.
    :ivar otherwise: the same, where not even its header tells.
    :ivar uidl: its unique-id there, as it is; None: it has none that is known.
    :ivar sender: its reverse-path, where its source has that.
    :ivar ask: says that its pieces will be read, before those of any letter that is asked for later.
    """

    name: str
    key: str
    octets: int
    pieces: Callable[[], Iterator[bytes]]
    arrived: int | None
    otherwise: int
    uidl: str | None = None
    sender: str | None = None
    ask: Callable[[], object] = field(default=lambda: None)


class Source(Protocol):
    """Where letters come from.

    :ivar count: how many there are; None: not known before.
    :ivar octets: how long they are together; None: not known before.
    :ivar ahead: how many letters may be asked for before the first of them is read.
    """

    count: int | None
    octets: int | None
    ahead: int

    def letters(self) -> Iterator[Letter]:
        """Each letter, in its order. Where ``ahead`` is 1, its pieces are read before the next letter is got.

        :raises SourceGone: it ends here, against expectation.
        """

    def close(self) -> None:
        """Let go of the source. Harmless when repeated."""


def crlf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Octets with CRLF for each bare LF, whatever they were cut into; all else stays as it is."""
    held = b""
    for piece in pieces:
        whole, held = held + piece, b""
        if whole.endswith(b"\r"):
            whole, held = whole[:-1], b"\r"
        if b"\r" in whole:
            whole = whole.replace(b"\r\n", b"\n")
        yield whole.replace(b"\n", b"\r\n")
    if held:
        yield held


def lf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Octets with LF for each CRLF."""
    held = b""
    for piece in pieces:
        whole, held = held + piece, b""
        if whole.endswith(b"\r"):
            whole, held = whole[:-1], b"\r"
        yield whole.replace(b"\r\n", b"\n")
    if held:
        yield held


def survives_lf(pieces: Iterable[bytes]) -> bool:
    """Whether octets come back by :func:`crlf` after :func:`lf`: not where a bare CR stands before a CRLF."""
    end = b""
    for piece in pieces:
        whole = end + piece
        if b"\r\r\n" in whole:
            return False
        end = whole[-2:]
    return True


def arrival(head: bytes) -> int | None:
    """When a letter arrived, as the topmost Received field of its header says (RFC 5321 §4.4).

    :param head: the beginning of the letter.
    :returns: seconds since 1970; None: it does not say, or not in a way that can be understood.
    """
    place = 0
    while place < len(head):
        end = _FIELD_END.search(head, place)
        field = head[place : end.start() if end else None]
        if not field:
            return None  # the header has ended
        if field[:9].lower() == b"received:":
            parsed = parsedate_tz(field.rpartition(b";")[2].decode("ascii", "replace"))
            try:
                return None if parsed is None else max(0, mktime_tz(parsed))
            except (ValueError, OverflowError):
                return None
        if end is None:
            return None
        place = end.end()
    return None


def read_file(path: Path | str) -> Iterator[bytes]:
    """A file's octets as they are.

    :raises OSError: it cannot be read, or is a link: nobody shall make a letter of somebody else's file.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError("it is a link, and is not followed") from None
        raise
    with open(opened, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a file")
        while piece := file.read(PIECE):
            yield piece
