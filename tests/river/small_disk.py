"""A small file system in memory, that is easily filled."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NotMounted(Exception):  # noqa: N818 - it says what has happened
    """No file system can be mounted here."""


@contextmanager
def small_disk(place: Path, mebibytes: int = 64) -> Iterator[Path]:
    """Mount one, empty, on a new folder; root can.

    :raises NotMounted: it cannot be.
    """
    place.mkdir()
    options = f"size={mebibytes}m,mode=700"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "mailpost-tests", str(place)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, timeout=30, check=False)
    if mounted.returncode != 0:
        raise NotMounted(mounted.stderr.strip())
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], timeout=30, check=True)


def fill_up(file: Path) -> None:
    """Write a file until no octet is left on its disk."""
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12):
            while True:
                try:
                    if filler.write(b"\0" * size) < size:
                        break
                except OSError:
                    break
