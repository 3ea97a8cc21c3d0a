"""Power that fails under load: what was promised had reached the disk, and is whole.

The store is on an ext4 of its own, which is shut down in the midst of writing, as the tests of ext4 itself
do it: what was not synced never reaches the disk. Mounting it again replays the file system's journal.
"""

import fcntl
import os
import random
import shutil
import struct
import subprocess
import time

import pytest

from tests.faults.history import History
from tests.river.conftest import not_here

from .conftest import Office
from .test_crash import Loaded, check

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
LOG_IS_FLUSHED, LOG_IS_LOST = 1, 2  # whether the file system's own journal reaches the disk
SIZE = 256 << 20


class Disk:
    """A file system in a file, whose power can fail."""

    def __init__(self, image, place):
        self.image = image
        self.place = place
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], timeout=30, check=True)
        self.mount()

    def mount(self):
        mounting = ["mount", "-t", "ext4", "-o", "loop", str(self.image), str(self.place)]
        mounted = subprocess.run(mounting, capture_output=True, text=True, timeout=30, check=False)
        if mounted.returncode != 0:
            not_here(f"no file system can be mounted here: {mounted.stderr.strip()}")

    def fail(self, how):
        folder = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", how))
        finally:
            os.close(folder)

    def unmount(self, *, lazily=False):
        command = ["umount", *(["--lazy"] if lazily else []), str(self.place)]
        subprocess.run(command, timeout=30, check=True)


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        not_here("a file system can only be mounted by root")
    if shutil.which("mkfs.ext4") is None:
        not_here("mkfs.ext4 is not installed (Debian's package: e2fsprogs)")
    disk = Disk(tmp_path / "image", tmp_path / "disk")
    yield disk
    disk.unmount(lazily=True)


def test_the_disk_forgets(disk):
    """What is not synced is gone after the cut, and what is synced is there: the test's own footing."""
    unsynced, synced = disk.place / "unsynced", disk.place / "synced"
    with synced.open("wb") as file:
        file.write(b"kept")
        file.flush()
        os.fsync(file.fileno())
    unsynced.write_bytes(b"lost")
    disk.fail(LOG_IS_LOST)
    disk.unmount()
    disk.mount()
    assert synced.read_bytes() == b"kept"
    assert not unsynced.exists()


@pytest.mark.parametrize("cuts", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_power_fails_under_load(disk, cuts):
    """Again and again: each letter that was accepted is there, once and whole, and none comes back."""
    office = Office(disk.place / "mail.db")
    office.accounts.add("alice", None)
    office.store.close()
    history = History(["alice"])
    for cut in range(cuts):
        loaded = Loaded(office.path, "alice", cut, until=b'"answered"' if cut else b'"quit"')
        assert loaded.first.wait(20)
        time.sleep(random.uniform(0.05, 0.7))
        # A sync that is under way when the disk is shut down may succeed and be lost: ext4 tells nobody
        # (seen with nothing but pwrite and fdatasync: 14 times in 300, each returning after this moment).
        # With the power, whoever would hear of it is gone too.
        heard = len(loaded.lines)
        disk.fail(LOG_IS_LOST if cut % 2 else LOG_IS_FLUSHED)
        loaded.process.kill()
        loaded.end()
        loaded.tell(history, deaf_from=heard)
        disk.unmount()
        disk.mount()
        office.open_store()
        office.store.sweeper.remove_orphans()
        check(office, "alice", history)
        named = {name for (name,) in office.rows("SELECT parcel FROM letter WHERE parcel > ''")}
        assert named <= {path.name for path in (disk.place / "mail.db.parcels").iterdir()}
        assert office.rows("PRAGMA integrity_check") == [("ok",)]
        office.store.close()
    assert history.counts["kept"] > 20 * cuts
    assert history.counts["let go"]
