"""Locks that die with their process: one session per view, and who of the processes is alive.

One lock file, one descriptor of it per process, one octet per thing locked. The locks belong to the
open file (Linux, fcntl(2), "open file description locks"), so that the kernel frees them when the
process ends however it ends. Within the process, where they do not keep out, a set does.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# struct flock of 64-bit Linux: type, whence, start, length, pid.
FLOCK = struct.Struct("hhqqi4x")
OFD = hasattr(fcntl, "F_OFD_SETLK")
PROCESSES = 1 << 62  # octets from here on stand for processes, those below for views
SERVING = 0  # and this one for the process that serves: views are counted from 1
BACKUP = PROCESSES - 1  # and this one for whoever writes a backup: no parcel is removed meanwhile


class LockFile:
    """Octets of one file, each locked by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held: set[int] = set()
        self.token = f"{secrets.randbits(60):015x}"
        self.take(PROCESSES + int(self.token, 16))

    def take(self, octet: int) -> bool:
        """Lock an octet; False if somebody has it, in this process or another."""
        if octet in self._held or not _lock(self._file, octet):
            return False
        self._held.add(octet)
        return True

    def free(self, octet: int) -> None:
        """Unlock an octet. Harmless when repeated."""
        if octet in self._held:
            self._held.discard(octet)
            _unlock(self._file, octet)

    def taken(self, octet: int) -> bool:
        """Whether somebody has it, in this process or another."""
        if octet in self._held or not _lock(self._file, octet):
            return True
        _unlock(self._file, octet)
        return False

    def alive(self, token: str) -> bool:
        """Whether the process that named itself so is still there."""
        try:
            octet = PROCESSES + int(token, 16) % PROCESSES
        except ValueError:
            return False  # not a name that a process has given
        return self.taken(octet)

    def close(self) -> None:
        """Free everything."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._held.clear()


def ofd_lock(file: int, octet: int) -> bool:
    """Lock an octet for the open file (Linux)."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, octet, 1, 0))
    except BlockingIOError:
        return False
    return True


def ofd_unlock(file: int, octet: int) -> None:
    """Unlock it."""
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, octet, 1, 0))


def posix_lock(file: int, octet: int) -> bool:
    """Lock an octet for the process: serves as long as nobody else in it opens the file."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, octet)
    except (BlockingIOError, PermissionError):
        return False
    return True


def posix_unlock(file: int, octet: int) -> None:
    """Unlock it."""
    fcntl.lockf(file, fcntl.LOCK_UN, 1, octet)


_lock, _unlock = (ofd_lock, ofd_unlock) if OFD else (posix_lock, posix_unlock)
