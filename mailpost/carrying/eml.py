"""Letters that are files by themselves, ``.eml``: one of them, or a folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from mailpost.carrying.source import Letter, crlf, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailpost.carrying.sidecar import Sidecar


def in_folder(folder: Path) -> list[Path]:
    """The letters of a folder, by their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".eml")


class Eml:
    """Files.

    :param sidecar: the unique-ids of the folder they are in.
    """

    def __init__(self, paths: list[Path], sidecar: Sidecar | None = None) -> None:
        self._paths = paths
        self._noted = {noted.place: noted for noted in sidecar.noted} if sidecar else {}
        self.ahead = 1
        self.count: int | None = len(paths)
        self.octets: int | None = sum(path.lstat().st_size for path in paths)

    def letters(self) -> Iterator[Letter]:
        """Each file. Of two with the same octets, one is the first in every run."""
        times: Counter[str] = Counter()
        for path in self._paths:
            status = path.lstat()
            noted = self._noted.get(path.name)
            try:
                digest = _digest(path)
            except OSError:
                digest = f"of {path}"  # reading it for the letter will tell
            times[digest] += 1
            yield Letter(
                name=str(path),
                key=f"eml {digest} {times[digest]}",
                octets=status.st_size,
                pieces=lambda path=path: crlf(read_file(path)),  # type: ignore[misc]
                arrived=noted.arrived if noted else None,
                otherwise=int(status.st_mtime),
                uidl=noted.uidl if noted else None,
            )

    def close(self) -> None:
        """Nothing is open."""


def _digest(path: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    for piece in read_file(path):
        found.update(piece)
    return found.hexdigest()
