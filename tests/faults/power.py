"""What may be on a disk after a power cut: made of what a process has written, and when it has synced.

A sync of a file puts on the disk what was written to it before; a sync of a folder, the names in it. What
came later may be there or not, each write by itself and in whatever order, and of one that is longer than a
sector any of its sectors. So a disk is what is durable, and a list of what is not yet.
"""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SECTOR = 512
_LINE = struct.Struct("<IIQQ")
_DATA = "WTE"
_SHARED = "-shm"  # SQLite's memory, which it makes anew


class Line(NamedTuple):
    """A call, as ``recorder.c`` writes it down.

    :ivar what: W write, T truncate, E extend, S sync, D sync of a folder; C create, R rename, U unlink,
        M mkdir; A what was said.
    """

    what: str
    inode: int
    offset: int
    octets: bytes

    @property
    def folder(self) -> str:
        """Of a change of names: where."""
        return os.path.dirname(self.octets.decode().partition("\n")[0])  # noqa: PTH120 - a name, no path


def compile_recorder(folder: Path) -> Path:
    """Make the library that is preloaded."""
    library = folder / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    command = ["cc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(source)], timeout=60, check=True)
    return library


def recording(library: Path, root: Path, log: Path) -> dict[str, str]:
    """The environment of a process that is to be recorded."""
    made = {"LD_PRELOAD": str(library), "RECORDER_ROOT": str(root), "RECORDER_LOG": str(log)}
    return {**os.environ, **made}


def lines_of(log: Path) -> Iterator[Line]:
    """What was written down; a last line that is not whole is left out.

    An inode that is used again gets another number, since it is another file.
    """
    octets = log.read_bytes()
    files: dict[int, int] = {}
    at = 0
    while at + _LINE.size <= len(octets):
        code, length, inode, offset = _LINE.unpack_from(octets, at)
        payload = octets[at + _LINE.size : at + _LINE.size + length]
        at += _LINE.size + length
        if at <= len(octets):
            if chr(code) == "C":
                files[inode] = -1 - len(files) if inode not in files else files[inode] - (1 << 32)
            yield Line(chr(code), files.get(inode, inode), offset, payload)


@attrs.define
class Disk:
    """A disk, while a process writes to it.

    :ivar names: which file is called how, durably.
    :ivar folders: names of folders, by inode; and which are there durably.
    :ivar files: what is in a file, durably.
    :ivar waiting: what may be on the disk, or not.
    :ivar now: names of files as the process sees them.
    :ivar memory: files that no power cut leaves anything of.
    """

    names: dict[str, int]
    folders: dict[int, str]
    made: set[str]
    files: dict[int, bytearray]
    waiting: list[Line] = attrs.Factory(list)
    memory: set[int] = attrs.Factory(set)
    now: dict[str, int] = attrs.Factory(dict)

    @classmethod
    def of(cls, root: Path) -> Disk:
        """A disk as it is, all of it durable."""
        found = [root, *root.rglob("*")]
        files = [path for path in found if path.is_file() and not path.name.endswith(_SHARED)]
        folders = {path.stat().st_ino: str(path) for path in found if path.is_dir()}
        contents = {path.stat().st_ino: bytearray(path.read_bytes()) for path in files}
        names = {str(path): path.stat().st_ino for path in files}
        return cls(names, folders, set(folders.values()), contents, now=dict(names))

    def take(self, line: Line) -> None:
        """Have it happen."""
        if line.what == "S":
            self._settle(lambda one: one.what in _DATA and one.inode == line.inode)
        elif line.what == "D":
            folder = self.folders[line.inode]
            self._settle(lambda one: one.what in "CRUM" and one.folder == folder)
        elif line.what == "C" and line.octets.endswith(_SHARED.encode()):
            self.memory.add(line.inode)
        elif line.what != "A" and line.inode not in self.memory:
            name, _, new = (
                line.octets.decode().partition("\n") if line.what in "CRM" else ("", "", "")
            )
            if line.what == "C":
                self.now[name] = line.inode
            elif line.what == "R":
                self.now[new] = self.now.pop(name)
                line = line._replace(inode=self.now[new])
            elif line.what == "M":
                self.folders[line.inode] = name
            self.waiting.append(line)

    def _settle(self, concerned: Callable[[Line], bool]) -> None:
        _apply(filter(concerned, self.waiting), self.names, self.made, self.files)
        self.waiting = [line for line in self.waiting if not concerned(line)]

    def cut(self, survive: Iterable[Line], place: Path) -> None:
        """Lay out in a folder what is on the disk if of what waits only this has reached it.

        :param place: where it is to be laid out in place of the root; it is made.
        """
        names, made = dict(self.names), set(self.made)
        changed = {line.inode for line in self.waiting}
        files = {
            inode: bytearray(octets) if inode in changed else octets
            for inode, octets in self.files.items()
        }
        _apply(survive, names, made, files)
        root = min(self.folders.values(), key=len)
        for folder in sorted(made):
            (place / os.path.relpath(folder, root)).mkdir(parents=True)
        for name, inode in names.items():
            if os.path.dirname(name) in made:  # noqa: PTH120 - a name, no path
                (place / os.path.relpath(name, root)).write_bytes(files.get(inode, b""))


def sectors(line: Line) -> list[Line]:
    """What a write can be torn into."""
    if line.what != "W":
        return [line]
    pieces = []
    start = 0
    while start < len(line.octets):
        end = min(len(line.octets), start + SECTOR - (line.offset + start) % SECTOR)
        pieces.append(line._replace(offset=line.offset + start, octets=line.octets[start:end]))
        start = end
    return pieces


def _apply(
    lines: Iterable[Line], names: dict[str, int], made: set[str], files: dict[int, bytearray]
) -> None:
    for line in lines:
        if line.what in _DATA:
            octets = files.setdefault(line.inode, bytearray())
            if line.what == "T":
                del octets[line.offset :]
            end = line.offset + (len(line.octets) if line.what == "W" else 0)
            octets.extend(bytes(max(0, end - len(octets))))
            if line.what == "W":
                octets[line.offset : end] = line.octets
        elif line.what == "C":
            names[line.octets.decode()] = line.inode
        elif line.what == "M":
            made.add(line.octets.decode())
        elif line.what == "R":
            old, _, new = line.octets.decode().partition("\n")
            names.pop(old, None)
            names[new] = line.inode
        elif line.what == "U":
            names.pop(line.octets.decode(), None)


def moments(disk: Disk, lines: Sequence[Line]) -> Iterator[int]:
    """Go through what has happened; stop where a sync is about to be done, and at the end.

    What can be on the disk between two of these can be there at the second of them as well, when no less
    was promised. Each number is how many of the lines have happened.
    """
    for place, line in enumerate(lines):
        if line.what in "SD" and disk.waiting:
            yield place
        disk.take(line)
    yield len(lines)
