"""The unique-ids of letters in a format that has no place for them: a text file beside it.

An mbox ``letters`` has ``letters.uidl``, a folder of ``.eml`` files has ``uidl`` in it. There is a line for
each letter: when it arrived, in seconds since 1970; where it is, which is an offset or a file's name; the
SHA-256 of its octets with CRLF; its unique-id.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attrs import define, frozen

from mailpost.carrying.source import SourceError, crlf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEAD = "# mailpost: which unique-id is whose. arrived, place, SHA-256, unique-id"
_FIELDS = 4
_END = "# end "


@frozen
class Noted:
    """A letter's line."""

    arrived: int
    place: str
    digest: str
    uidl: str

    def __str__(self) -> str:
        return f"{self.arrived} {self.place} {self.digest} {self.uidl}\n"


@define
class Sidecar:
    """What is noted beside some letters.

    :ivar noted: in the order in which it was written; a letter's latest line counts.
    :ivar end: of an mbox that was written to its end: how long it was then.
    """

    path: Path
    noted: list[Noted]
    end: int | None
    _by_digest: dict[str, list[Noted]]

    @classmethod
    def of_mbox(cls, mbox: Path) -> Sidecar | None:
        """Read the one beside an mbox."""
        return cls.read(mbox.with_name(mbox.name + ".uidl"))

    @classmethod
    def of_folder(cls, folder: Path) -> Sidecar | None:
        """Read the one in a folder of ``.eml`` files."""
        return cls.read(folder / "uidl")

    @classmethod
    def read(cls, path: Path) -> Sidecar | None:
        """Read one; None where there is none.

        :raises SourceError: it is there and cannot be understood.
        """
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise SourceError(f"{path}: expected a list of unique-ids") from None
        if lines[0] != HEAD:
            raise SourceError(f"{path}: expected a list of unique-ids; move it away if it is not")
        by_place: dict[str, Noted] = {}
        end: int | None = None
        for line in lines[1:-1]:  # what was broken off has no end of its line
            last = line.removeprefix(_END)
            if last != line and last.isdecimal():
                end = int(last)
                continue
            end = None
            fields = line.split(" ")
            if len(fields) != _FIELDS or not fields[0].isdecimal():
                raise SourceError(f"{path}: not a line of such a list: {line!r}")
            by_place[fields[1]] = Noted(int(fields[0]), *fields[1:])
        by_digest: dict[str, list[Noted]] = {}
        for noted in by_place.values():
            by_digest.setdefault(noted.digest, []).append(noted)
        return cls(path, list(by_place.values()), end, by_digest)

    def uidl_of(self, pieces: Callable[[], Iterator[bytes]]) -> str | None:
        """The unique-id of the next letter that has these octets."""
        digest = digest_of(crlf(pieces()))
        same = self._by_digest.get(digest)
        return same.pop(0).uidl if same else None


def end_line(octets: int) -> str:
    """What says that an mbox has been written to its end."""
    return f"{_END}{octets}\n"


def digest_of(pieces: Iterator[bytes]) -> str:
    """The SHA-256 of some octets."""
    sha256 = hashlib.sha256()
    for piece in pieces:
        sha256.update(piece)
    return sha256.hexdigest()
