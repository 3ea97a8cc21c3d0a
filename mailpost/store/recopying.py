"""All of the write-ahead log is copied again, where a disk may have lost what was copied before.

A checkpoint that finds letters still coming copies a part of the log and counts it as copied; the sync is the
last part's. Where that fails, Linux has forgotten pages of every part. SQLite would copy the last part
alone once more, sync with success, and begin the log anew: the other pages would be lost for good. So the
count goes back to nothing before the log may begin anew. All of it is still there, and was synced.

The count stands at a documented place of the wal-index, the file ``-shm``, and is changed under the lock that
checkpoints hold (https://sqlite.org/walformat.html). That it is too small only costs copying.

Pages that failed go on looking right in memory, too. Written again they are synced with success, and ext4
may still call their place empty ("failed to convert unwritten extents": seen with Linux 6.18). So they are
thrown out of memory before they are written again.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mailpost.store.locks import FLOCK, OFD

if TYPE_CHECKING:
    from pathlib import Path

COPIED = 96  # where the wal-index has the count of frames that have been copied, four octets
CHECKPOINTS = 121  # the octet that checkpoints lock
_NOTHING = bytes(4)


class Recopying:
    """Has the log of one database copied anew from its beginning.

    :param database: its file.
    """

    def __init__(self, database: Path) -> None:
        self._path = database
        # Opened when they are needed, and left so for as long as the process lives: to close them would
        # free what SQLite has locked there.
        self._database = self._index = -1

    def demand(self) -> None:
        """The next checkpoint is to copy all of the log. Waits until none is under way.

        For a process that has the database open: the wal-index is there as long as somebody has.

        :raises OSError: the wal-index cannot be written.
        """
        if self._index < 0:
            name = f"{self._path.name}-shm"
            self._index = os.open(self._path.with_name(name), os.O_RDWR | os.O_CLOEXEC)
            self._database = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        _lock(self._index, fcntl.F_WRLCK)
        try:
            os.pwrite(self._index, _NOTHING, COPIED)
            with suppress(OSError):  # whoever copies next has the file open, and is told as well
                os.fdatasync(self._database)  # what still waits to be written is not thrown out
            os.posix_fadvise(self._database, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            _lock(self._index, fcntl.F_UNLCK)


def _lock(file: int, kind: int) -> None:
    if OFD:  # unlike flock(2) it keeps out SQLite's own locks, also those of this process
        wanted = FLOCK.pack(kind, os.SEEK_SET, CHECKPOINTS, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLKW, wanted)
