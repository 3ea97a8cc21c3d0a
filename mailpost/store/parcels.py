"""Parcels: bodies too large for a row, each a file of its own beside the database.

A parcel is written under a temporary name, renamed when it is whole, synced, and its folder synced; only
then may a row name it. File names begin with the token of the process that wrote them: what no row names
and whose process is dead is an orphan.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mailpost.store.sqlite import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VECTORS = 512  # below IOV_MAX (1024 on Linux)
TOGETHER = 16 * 1024  # octets; below this chunks are digested together
EARLY = 2 * 1024 * 1024
"""Octets after which the disk is set to work while more is coming: 20 MB are then synced in half the time."""

_SYNC_FILE_RANGE_WRITE = 2  # fcntl.h


class Parcels:
    """The folder of parcels."""

    def __init__(self, folder: Path, token: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        self._token = token
        self._serial = itertools.count(1)

    def begin(self) -> ParcelFile:
        """A new parcel, nothing of which is on the disk yet."""
        return ParcelFile(self, f"{self._token}-{next(self._serial):x}")

    def names(self) -> list[str]:
        """Every file there, also unfinished ones."""
        return [entry.name for entry in os.scandir(self.folder)]

    def open(self, name: str) -> int:
        """A descriptor to read a parcel."""
        return os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)

    def remove(self, name: str) -> None:
        """Unlink a parcel. Harmless when it is gone."""
        with suppress(FileNotFoundError):
            (self.folder / name).unlink()


class ParcelFile:
    """A parcel being written. Every method blocks: they are for a thread, one at a time."""

    __slots__ = ("_digest", "_file", "_idle", "_parcels", "name")

    def __init__(self, parcels: Parcels, name: str) -> None:
        self._parcels = parcels
        self.name = name
        self._file = -1
        self._idle = 0  # octets with which the disk was not told to begin
        self._digest = hashlib.sha256()

    @property
    def _temporary(self) -> Path:
        return self._parcels.folder / f"{self.name}.tmp"

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append the chunks."""
        if self._file < 0:
            self._file = os.open(
                self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        for start in range(0, len(chunks), VECTORS):
            _write_all(self._file, chunks[start : start + VECTORS])
        octets = sum(map(len, chunks))
        self._idle += octets
        if self._idle >= EARLY:
            self._idle = 0
            begin_to_write(self._file)
        # Whatever is digested lets another thread run, and then waits for its turn again.
        if octets < len(chunks) * TOGETHER:
            chunks = [b"".join(chunks)]
        for chunk in chunks:
            self._digest.update(chunk)

    def keep(self) -> bytes:
        """Make it durable under its name; its digest. Nothing names it yet."""
        # Renamed first: so the file's sync takes its name along, and little is left to the folder's.
        self._temporary.rename(self._parcels.folder / self.name)
        os.fsync(self._file)
        os.close(self._file)
        self._file = -1
        sync_folder(self._parcels.folder)
        return self._digest.digest()

    def discard(self) -> None:
        """Remove it, whatever has become of it. Harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        with suppress(FileNotFoundError):
            self._temporary.unlink()
        self._parcels.remove(self.name)


def begin_to_write(file: int) -> None:
    """Have the disk begin with what was written to a file (sync_file_range(2), Linux).

    Nothing is promised by it. What goes wrong is told by the sync, which is as necessary as before.
    """
    if _sync_file_range is not None:
        _sync_file_range(file, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)


def _write_all(file: int, chunks: Sequence[bytes]) -> None:
    left: list[bytes | memoryview] = list(chunks)
    while left:
        written = os.writev(file, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = memoryview(left[0])[written:]


_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)  # another system may lack it
