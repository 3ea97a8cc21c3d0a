"""Writing letters as files: a Maildir, with Dovecot's list of unique-ids, and a folder of ``.eml``."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from typing import TYPE_CHECKING

from mailpost.carrying.maildir import PARTS
from mailpost.carrying.sidecar import HEAD, Noted, Sidecar, digest_of
from mailpost.carrying.source import lf, survives_lf
from mailpost.carrying.uidlists import DOVECOT, base_of, read_dovecot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mailpost.store.contents import Shown


class MaildirTarget:
    """A Maildir, as on UNIX: with LF at each line's end. A Dovecot that serves it has the same unique-ids.

    :raises SourceError: there is a list of unique-ids that cannot be understood.
    :raises OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        for place in (path, *(path / part for part in (*PARTS, "tmp"))):
            place.mkdir(mode=0o700, parents=place == path, exist_ok=True)
        self._list = read_dovecot(path)
        self._there = {base_of(file.name) for part in PARTS for file in (path / part).iterdir()}
        self._shown: list[tuple[str, str]] = []

    def has(self, letter: Shown) -> bool:
        """Whether its file is there."""
        name = self._name(letter)
        if name in self._there:
            self._shown.append((name, letter.uidl))
        return name in self._there

    def put(self, letter: Shown, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Write its file, then give it its name."""
        name = self._name(letter)
        exact = survives_lf(pieces())
        _write(self._path / "tmp" / name, lf(pieces()) if exact else pieces())
        (self._path / "tmp" / name).rename(self._path / "new" / name)
        self._there.add(name)
        self._shown.append((name, letter.uidl))

    def finish(self) -> None:
        """Write Dovecot's list."""
        known = self._list
        if known is None:
            head, letters = f"3 V{int(time.time())} N1 G{secrets.token_hex(16)}", []
            following = 1
        else:
            head, following = known.head, known.next
            letters = (self._path / DOVECOT).read_bytes().split(b"\n")[1:]
        for name, uidl in self._shown:
            if known is None or name not in known.letters:
                letters.append(os.fsencode(f"{following} P{uidl} :{name}"))
                following += 1
        fields = [f"N{following}" if field[:1] == "N" else field for field in head.split(" ")]
        lines = [" ".join(fields).encode(), *filter(None, letters), b""]
        unfinished = self._path / f"{DOVECOT}.{secrets.token_hex(4)}"
        unfinished.write_bytes(b"\n".join(lines))
        unfinished.rename(self._path / DOVECOT)
        os.sync()

    def _name(self, letter: Shown) -> str:
        return f"{letter.arrived}.U{_short(letter.uidl)}.mailpost"


class EmlTarget:
    """A folder of ``.eml`` files, each octet for octet, with a list of their unique-ids.

    :raises SourceError: there is a list that cannot be understood.
    :raises OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        known = Sidecar.of_folder(path)
        self._noted = [] if known is None else known.noted
        self._write_list()

    def has(self, letter: Shown) -> bool:
        """Whether its file is there."""
        return (self._path / self._name(letter)).exists()

    def put(self, letter: Shown, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Note its unique-id; then write its file, then give it its name."""
        name = self._name(letter)
        noted = Noted(letter.arrived, name, digest_of(pieces()), letter.uidl)
        with (self._path / "uidl").open("a", encoding="utf-8") as sidecar:
            sidecar.write(str(noted))
        unfinished = self._path / f".{name}"
        _write(unfinished, pieces())
        os.utime(unfinished, (letter.arrived, letter.arrived))
        unfinished.rename(self._path / name)

    def finish(self) -> None:
        """Sync it all."""
        os.sync()

    def _write_list(self) -> None:
        # Anew, since its last line may have been broken off.
        unfinished = self._path / ".uidl"
        lines = "".join(map(str, self._noted))
        unfinished.write_text(f"{HEAD}\n{lines}", encoding="utf-8")
        unfinished.rename(self._path / "uidl")

    def _name(self, letter: Shown) -> str:
        return f"{letter.number:08}-{_short(letter.uidl)}.eml"


def _short(uidl: str) -> str:
    return hashlib.blake2b(uidl.encode(), digest_size=8).hexdigest()


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
        file.writelines(pieces)
