"""Writing letters to an mbox: ``mboxrd``, the one format in which every letter can be read back exactly.

Beside it is a list of the unique-ids, in which each letter is noted before it is written. So one that was
broken off is known, and is written anew; and what is written to its end can be added to later.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from mailpost.carrying.sidecar import HEAD, Noted, Sidecar, digest_of, end_line
from mailpost.carrying.source import SourceError, lf, survives_lf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mailpost.store.contents import Shown

_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)


class MboxTarget:
    """An mbox.

    :raises SourceError: there is one already that is not ours, or has changed since.
    :raises OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        list_path = path.with_name(path.name + ".uidl")
        known = Sidecar.read(list_path)
        if known is None and path.exists():
            raise SourceError(f"{path} exists already: choose another place")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = open(os.open(path, flags, 0o600), "r+b")  # noqa: PTH123, SIM115
        try:
            noted, end = _left(path, self._file.seek(0, os.SEEK_END), known)
        except BaseException:
            self._file.close()
            raise
        self._file.truncate(end)
        self._file.seek(end)
        self._there = {letter.uidl for letter in noted}
        unfinished = list_path.with_name(list_path.name + ".new")
        lines = "".join(map(str, noted))
        unfinished.write_text(f"{HEAD}\n{lines}", encoding="utf-8")
        unfinished.rename(list_path)
        self._list = list_path.open("a", encoding="utf-8")

    def has(self, letter: Shown) -> bool:
        """Whether it was written to its end."""
        return letter.uidl in self._there

    def put(self, letter: Shown, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Note it, then write it."""
        place = str(self._file.tell())
        self._list.write(str(Noted(letter.arrived, place, digest_of(pieces()), letter.uidl)))
        self._list.flush()
        sender = letter.reverse_path or "MAILER-DAEMON"
        date = time.asctime(time.gmtime(letter.arrived))
        self._file.write(f"From {sender} {date}\n".encode())
        exact = survives_lf(pieces())
        for piece in quoted(lf(pieces()) if exact else pieces()):
            self._file.write(piece)
        self._file.write(b"\n")
        self._file.flush()
        self._there.add(letter.uidl)

    def finish(self) -> None:
        """Note the end, and sync both files."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._list.write(end_line(self._file.tell()))
        self._list.close()
        self._file.close()
        os.sync()


def _left(path: Path, octets: int, known: Sidecar | None) -> tuple[list[Noted], int]:
    """What is there of an earlier run: whole letters, and where they end.

    :raises SourceError: somebody else has written to the file since.
    """
    if known is None:
        return [], 0
    if not all(noted.place.isdecimal() for noted in known.noted):
        raise SourceError(f"{known.path} is not of an mbox: choose another place")
    if known.end is not None:
        noted, end, as_it_was = known.noted, known.end, octets == known.end
    elif known.noted:
        # The last one may have been broken off.
        *noted, last = known.noted
        end = int(last.place)
        as_it_was = octets >= end
    else:
        noted, end, as_it_was = [], 0, octets == 0
    if not as_it_was:
        raise SourceError(f"{path} has changed since it was written: choose another place")
    return noted, end


def quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A letter's octets with a ``>`` before each line that might be taken for a ``From_`` line.

    What is held back from one piece to the next is a line that has not ended, as far as it can be such a one.
    """
    held = b""
    begins = True
    for piece in pieces:
        whole = held + piece
        cut = len(whole)
        line = whole.rfind(b"\n") + 1
        if (line or begins) and re.fullmatch(rb">*(F(r(o(m)?)?)?)?", whole[line:]):
            cut = line
        whole, held = whole[:cut], whole[cut:]
        if not whole:
            continue
        if begins:
            yield _TO_QUOTE.sub(rb">\1", whole)
        else:
            first, newline, rest = whole.partition(b"\n")
            yield first + newline + _TO_QUOTE.sub(rb">\1", rest)
        begins = whole.endswith(b"\n")
    yield held
