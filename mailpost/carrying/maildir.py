"""A Maildir to bring letters from (https://cr.yp.to/proto/maildir.html), and its folders (Maildir++).

Its inbox is what a POP3 server has shown, with the unique-ids of Dovecot or Courier; other folders have none.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.carrying.source import Letter, SourceError, crlf, read_file
from mailpost.carrying.uidlists import UidlFormat, base_of, read_courier, read_dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = ("new", "cur")  # in this order none is missed that is moved meanwhile
TRIES = 10
_TIME = re.compile(r"(\d{1,11})\.")  # seconds since 1970, which a name begins with


@frozen
class _File:
    """A letter's file. ``rank`` is its IMAP UID, where it has one."""

    path: str
    base: str
    octets: int
    changed: int
    rank: float
    uidl: str | None

    @property
    def arrived(self) -> int | None:
        found = _TIME.match(self.base)
        return int(found[1]) if found else None


def is_maildir(path: Path) -> bool:
    """Whether a folder is a Maildir."""
    return all((path / part).is_dir() for part in PARTS)


class Maildir:
    """A Maildir.

    :param folders: its folders' letters come too, not the inbox alone.
    :raises SourceError: one of its lists of unique-ids cannot be understood.
    :raises OSError: it cannot be read.
    """

    def __init__(
        self, path: Path, uidl_format: UidlFormat | None = None, *, folders: bool = False
    ) -> None:
        self._files = list(_inbox(path, uidl_format or UidlFormat()))
        if folders:
            for place in sorted(path.glob(".*")):
                if is_maildir(place):
                    self._files += sorted(_scan(place), key=_order)
        self.ahead = 1
        self.count: int | None = len(self._files)
        self.octets: int | None = sum(file.octets for file in self._files)

    def letters(self) -> Iterator[Letter]:
        """Those of the inbox by their UIDs, then by time; then the folders'."""
        for file in self._files:
            yield Letter(
                name=file.path,
                # Two letters of one name would be somebody's fault; their lengths tell most of those.
                key=f"maildir {file.base} {file.octets}",
                octets=file.octets,
                pieces=lambda file=file: crlf(_read(file)),  # type: ignore[misc]
                arrived=file.arrived,
                otherwise=file.changed,
                uidl=file.uidl,
            )

    def close(self) -> None:
        """Nothing is open."""


def _inbox(path: Path, uidl_format: UidlFormat) -> list[_File]:
    dovecot, courier = read_dovecot(path), read_courier(path)
    files = []
    uidl: str | None
    rank: float
    for file in _scan(path):
        listed = None if dovecot is None else dovecot.letters.get(file.base)
        if listed is not None and dovecot is not None:
            uidl = listed.saved or uidl_format(listed, dovecot.validity)
            rank = listed.uid
        else:
            uidl, rank = courier.get(file.base), float("inf")
        files.append(
            _File(file.path, file.base, file.octets, file.changed, rank, uidl),
        )
    return sorted(files, key=_order)


def _order(file: _File) -> tuple[float, int, str]:
    return file.rank, file.arrived or 0, file.base


def _scan(maildir: Path) -> list[_File]:
    """The letters that are there. A file that gets other flags meanwhile has it begun anew."""
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            return list(_listed(maildir))
    return list(_listed(maildir))


def _listed(maildir: Path) -> Iterator[_File]:
    for part in PARTS:
        place = maildir / part
        if place.is_symlink():
            raise SourceError(f"{place} is a link: name the Maildir that it leads to")
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_dir(follow_symlinks=False):
                    continue
                status = entry.stat(follow_symlinks=False)
                yield _File(
                    entry.path,
                    base_of(entry.name),
                    status.st_size,
                    int(status.st_mtime),
                    float("inf"),
                    None,
                )


def _read(file: _File) -> Iterator[bytes]:
    """A file's octets, also where it has got other flags since it was listed."""
    try:
        yield from read_file(file.path)
    except FileNotFoundError:
        for now in _scan(Path(file.path).parent.parent):
            if now.base == file.base:
                yield from read_file(now.path)
                return
        raise
