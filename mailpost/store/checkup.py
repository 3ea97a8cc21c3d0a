"""Looking a store over without touching it: nothing is migrated, mended or removed.

The look through the whole database is one long read, during which the write-ahead log of a running office
grows; so it has a limit of patience. All else reads in small portions.

It is for ``mailpost doctor``, beside a running office as well as without one. A store of another version is
told of, and left as it is.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import apsw
from attrs import frozen

from mailpost.store import schema, sql, sql_desk
from mailpost.store.locks import LockFile
from mailpost.store.parcels import Parcels
from mailpost.store.sqlite import NETWORK, Engine, file_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine: some milliseconds
PORTION = 64  # letters
PIECE = 1 << 20


@frozen
class Moments:
    """What the store knows of the time, in seconds since 1970; None where it knows nothing.

    :ivar arrived: when the latest letter came.
    :ivar looked: when the sweeper last looked at the clock.
    """

    arrived: int | None
    looked: int | None


class Checkup:
    """Looks at one store.

    :raises apsw.Error: from every method: it is damaged so that it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = Engine(path).reader()
        self._db.execute("PRAGMA query_only=1")

    def close(self) -> None:
        """Look no more. Harmless when repeated."""
        self._db.close()

    def version(self) -> int | None:
        """Which version of the store it is; None: it is none of mailpost's."""
        if self._db.pragma("application_id") != schema.APPLICATION:
            return None
        return int(self._db.pragma("user_version"))

    def damage(self, *, thorough: bool, patience: float) -> list[str] | None:
        """What is wrong with the database file, in SQLite's words.

        :param thorough: compare each index with its table, too.
        :param patience: seconds; None is returned where they did not suffice.
        """
        end = time.monotonic() + patience
        self._db.set_progress_handler(lambda: time.monotonic() > end, STEPS_BETWEEN_LOOKS)
        check = "integrity_check" if thorough else "quick_check"
        try:
            found = [str(row[0]) for row in self._db.execute(f"PRAGMA {check}(20)")]
        except apsw.InterruptError:
            return None
        finally:
            self._db.set_progress_handler(None)
        return [] if found == ["ok"] else found

    def moments(self) -> Moments:
        """What it knows of the time."""
        arrived, looked = sql.told(self._db, sql_desk.MOMENTS)
        return Moments(arrived, looked)

    def letters(self) -> int:
        """How many letters there are to be compared by :meth:`damaged_letters`."""
        return int(self._db.execute(sql_desk.ALL_LETTERS).get)

    def damaged_letters(self, seen: Callable[[int], None]) -> Iterator[str]:
        """Read every letter and compare its digest; each that is not as it came, in a few words.

        :param seen: told the octets of each letter, when it was compared.
        """
        parcels = self._path.with_name(self._path.name + ".parcels")
        after, rows = 0, [()]
        while rows:
            rows = self._db.execute(sql_desk.DIGESTS, (after, PORTION)).fetchall()  # type: ignore[assignment]
            for letter, trace, octets, parcel, digest, body in rows:  # type: ignore[misc]
                after = letter
                wrong = _compared(parcels, octets, parcel, digest, body)
                # It may have been taken away just now.
                if wrong and self._db.execute(sql_desk.LETTER_THERE, (letter,)).get is not None:
                    yield f"letter {trace} {wrong}"
                seen(octets)

    def orphans(self) -> list[str]:
        """Parcels of dead processes that no letter names: the next sweep removes them."""
        folder = self._path.with_name(self._path.name + ".parcels")
        if not folder.is_dir():  # never opened yet
            return []
        locks = LockFile(self._path.with_name(self._path.name + ".locks"))
        try:
            parcels = Parcels(folder, locks.token)
            left = [one for one in parcels.names() if not locks.alive(one.partition("-")[0])]
        finally:
            locks.close()
        named: set[str] = set()
        for start, end in sql.portions(len(left)):
            statement = sql.times(sql.NAMED_PARCELS, end - start)
            named.update(sql.told(self._db, statement, left[start:end]))
        return [name for name in left if name not in named]


def network_file_system(folder: Path) -> str | None:
    """The name of the network file system that a folder is on; None: it is on a local disk."""
    kind = file_system(folder)
    return kind if NETWORK.fullmatch(kind) else None


def _compared(parcels: Path, octets: int, parcel: str | None, digest: bytes, body: Any) -> str:
    """What is wrong with a letter; ``""`` where nothing is."""
    sha256 = hashlib.sha256()
    length = 0
    if parcel is None:
        if body is None:
            return "has no body"
        sha256.update(body)
        length = len(body)
    else:
        try:
            with (parcels / parcel).open("rb") as file:
                while piece := file.read(PIECE):
                    sha256.update(piece)
                    length += len(piece)
        except OSError as error:
            return f"cannot be read: parcel {parcel}: {error.strerror}"
    if length != octets:
        return f"has {length} octets, {octets} came"
    return "" if sha256.digest() == digest else "is not what came: its digest differs"
