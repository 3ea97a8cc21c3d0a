"""A disk that takes what is written, and cannot keep it: an ext4 on a device that runs out of room.

The device is a file with holes in a small file system in memory, as a thinly provisioned volume is. When that
is full, what the kernel writes back into a hole fails: the sync says so once to each open file, the pages
count as clean from there on, and what was in them is lost (https://wiki.postgresql.org/wiki/Fsync_Errors).
What lies in blocks that were written before goes on being written, and so do ext4's own tables and journal.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.river.office import attempts
from tests.river.small_disk import NotMounted, fill_up, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 256 << 20
ROOM = 160  # MiB of the device that there are at most
ITS_OWN = 4_352 << 10
"""Octets at the beginning that are always there: tables, and the journal from 256 KiB on."""
_LAYOUT = (
    "-N",
    "256",
    "-J",
    "size=4,location=64",
    "-O",
    "^resize_inode",
    "-E",
    "nodiscard,lazy_itable_init=0",
)


class FailingDisk:
    """One that is mounted.

    :ivar place: where.
    """

    def __init__(self, memory: Path, place: Path) -> None:
        self.place = place
        self._image = memory / "image"
        self._filler = memory / "filler"
        place.mkdir()
        with self._image.open("wb") as image:
            image.truncate(SIZE)
        making = ["mkfs.ext4", "-q", "-F", "-b", "4096", *_LAYOUT, str(self._image)]
        subprocess.run(making, timeout=30, check=True)
        with self._image.open("r+b") as image:
            os.posix_fallocate(image.fileno(), 0, ITS_OWN)  # mkfs leaves holes for what is zero
        self._device = Path(_told("losetup", "--find", "--show", str(self._image)))
        # Linux's loop device takes a write for done of which a part was: so none has parts.
        queue = Path("/sys/block", self._device.name, "queue")
        (queue / "max_sectors_kb").write_text("4")
        try:
            self._mount()
        except NotMounted:
            self._detach()
            raise

    def _mount(self) -> None:
        options = "nodiscard,errors=continue"
        _told("mount", "-t", "ext4", "-o", options, str(self._device), str(self.place))

    def _detach(self) -> None:
        _told("losetup", "--detach", str(self._device))

    @contextmanager
    def failing(self) -> Iterator[Self]:
        """Within, nothing can be kept in blocks that are new."""
        subprocess.run(
            ["fstrim", str(self.place)], timeout=30, check=True
        )  # what is free is a hole
        fill_up(self._filler)
        try:
            yield self
        finally:
            self._filler.unlink()

    def forget(self) -> None:
        """Have the system read again what it need not keep in memory: it shows what is on the disk."""
        for path in self.place.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                # By another process: to close a file here would free what SQLite has locked of it.
                _told("dd", f"if={path}", "iflag=nocache", "count=0", "status=none")

    def write_back(self, path: Path) -> bool:
        """Have the kernel write a file now, as it does by itself in time; whether that succeeds."""
        try:
            _told("sync", "--data", str(path))
        except NotMounted:
            return False
        return True

    def mount_again(self) -> None:
        """Nobody uses it: what was in memory alone is gone."""
        for _ in attempts():  # the last threads of a process that was killed take a moment to end
            with suppress(NotMounted):
                _told("umount", str(self.place))
                break
        self._mount()

    def close(self) -> None:
        """Unmount it, whoever uses it."""
        subprocess.run(["umount", "--lazy", str(self.place)], timeout=30, check=True)
        self._detach()  # when the last has closed its files


@contextmanager
def failing_disk(folder: Path) -> Iterator[FailingDisk]:
    """Mount one, empty; root can.

    :raises NotMounted: it cannot be.
    """
    with small_disk(folder / "memory", ROOM) as memory:
        disk = FailingDisk(memory, folder / "disk")
        try:
            yield disk
        finally:
            disk.close()


def _told(*command: str) -> str:
    """What a command prints, that only root can give."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise NotMounted(done.stderr.strip())
    return done.stdout.strip()
