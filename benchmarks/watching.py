"""What a running office holds at one moment: memory and descriptors of each process, files, letters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from benchmarks.mailpost_system import Mailpost

DATABASE = "mailpost.db"
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Looks at an office; its processes have to stay the same."""

    def __init__(self, system: Mailpost) -> None:
        self._system = system
        self._database = system.folder / DATABASE
        self._log = self._database.with_name(f"{DATABASE}-wal")
        self._parcels = self._database.with_name(f"{DATABASE}.parcels")
        self._pids = system.pids()
        flags = apsw.SQLITE_OPEN_READONLY
        self._letters = apsw.Connection(str(self._database), flags=flags)
        self._letters.set_busy_timeout(1000)

    def look(self) -> dict[str, float]:
        """Take all of it: octets, descriptors, letters.

        :raises BenchmarkError: a process has come or gone.
        """
        if (pids := self._system.pids()) != self._pids:
            raise BenchmarkError(f"the processes were {self._pids} and are {pids}")
        sample: dict[str, float] = {}
        for number, pid in enumerate(pids, 1):
            sample[f"rss {number}"] = _resident(pid)
        for number, pid in enumerate(pids, 1):
            sample[f"descriptors {number}"] = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - one call
        sample["database"] = _octets(self._database)
        sample["wal"] = _octets(self._log)
        sample["parcels"] = sum(_octets(Path(file)) for file in os.scandir(self._parcels))
        sample["letters"] = self._count()
        return sample

    def close(self) -> None:
        """Leave the database."""
        self._letters.close()

    def _count(self) -> int:
        (row,) = self._letters.execute("SELECT count(*) FROM letter").fetchall()
        assert isinstance(row[0], int)
        return row[0]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        raise BenchmarkError(f"process {pid} has ended") from None


def _octets(file: Path) -> int:
    """What it takes of the disk; nothing once it is gone."""
    try:
        return file.stat().st_blocks * 512  # stat(2): blocks are counted in units of 512
    except FileNotFoundError:
        return 0
