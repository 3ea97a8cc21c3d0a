"""Backups: the whole store copied into a folder while the office runs.

In the folder, all of it the owner's alone::

    manifest.json         what belongs to the backup, and its digest; written last
    mailpost-....db       the database
    parcels/              the parcels that it names

The database is copied in one read transaction, so it is of one moment, however long that takes and whatever
is written meanwhile. The parcels that it names are copied after it; while they are, the sweeper unlinks none
(``locks.BACKUP``). The manifest's new name is the moment at which the new backup is there, whole: until then
the folder has the one before. Parcels never change, so what that one has is not copied again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import apsw
from attrs import asdict, frozen

from mailpost import __version__
from mailpost.outcome import TemporaryFailure
from mailpost.store import sql_carrying
from mailpost.store.errors import UnusableStore
from mailpost.store.locks import BACKUP
from mailpost.store.pieces import PIECE
from mailpost.store.sqlite import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailpost.store.locks import LockFile
    from mailpost.store.sqlite import Engine

FORMAT = 1
MANIFEST = "manifest.json"
PARCELS = "parcels"
PAGES = 1024  # copied at a time: 4 MiB
TRIES = 50  # to be the only backup, since whoever looks takes the lock for a moment
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


@frozen
class Manifest:
    """What a backup is.

    :ivar made: when it began, in UTC: what was acknowledged before is in it.
    :ivar database: the name of its file; ``digest`` is the SHA-256 of that, in hex.
    :ivar letters: how many there are, with ``octets``.
    :ivar parcels: how many of them are files of their own, with ``parcel_octets``.
    """

    made: str
    database: str
    digest: str
    epoch: str
    accounts: int
    letters: int
    octets: int
    parcels: int
    parcel_octets: int
    mailpost: str = __version__
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder.

        :raises UnusableStore: there is no backup there, or one of a newer mailpost.
        """
        try:
            told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if told["format"] > FORMAT:
                raise UnusableStore(f"{folder} was written by a newer mailpost: install that")
            return cls(**told)
        except FileNotFoundError:
            raise UnusableStore(f"there is no backup in {folder}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise UnusableStore(f"{folder / MANIFEST} is damaged: {error}") from error


class Copied(apsw.Connection):
    """A backup's database, to be read where it lies; nothing is written beside it."""

    def __init__(self, path: Path) -> None:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        super().__init__(f"{path.absolute().as_uri()}?immutable=1", flags=flags)


def back_up(
    engine: Engine,
    parcels: Path,
    locks: LockFile,
    folder: Path,
    told: Callable[[int, int], object] = lambda done, of: None,  # noqa: ARG005 - nobody listens
) -> Manifest:
    """Write a backup. Blocks.

    :param parcels: the folder of the store's parcels.
    :param folder: is made, or is empty, or has a backup that this one takes the place of.
    :param told: called now and then with octets that are done, and how many there are.
    :raises UnusableStore: the folder has something else in it.
    :raises TemporaryFailure: another backup is being written, or the store cannot be read.
    :raises OSError: the folder cannot be written.
    """
    _make(folder)
    with _hold(locks):
        made = datetime.now(UTC)
        name = f"mailpost-{made:%Y%m%dT%H%M%S%f}.db"
        try:
            try:
                _copy_database(engine, folder / name, told)
            except apsw.Error as error:
                raise TemporaryFailure(f"the store cannot be copied: {error}") from error
            manifest = _describe(folder, name, made)
            _copy_parcels(parcels, folder, name, told)
            _publish(folder, manifest)
        except BaseException:
            (folder / name).unlink(missing_ok=True)
            raise
    _clear(folder, manifest)
    return manifest


def parcels_of(database: Path) -> list[tuple[str, int]]:
    """The parcels that a backup's database names, with their octets."""
    db = Copied(database)
    try:
        return [(str(name), int(octets)) for name, octets in db.execute(sql_carrying.PARCELS)]
    finally:
        db.close()


def digest_of(path: Path) -> bytes:
    """The SHA-256 of a file.

    :raises OSError: it cannot be read.
    """
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            sha256.update(piece)
    return sha256.digest()


def copy_file(source: Path, target: Path) -> None:
    """Have a file under another name too, by a link where that is possible; it is on the disk then."""
    try:
        os.link(source, target)
    except FileExistsError:
        target.unlink()
        copy_file(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        unfinished = target.with_name(target.name + ".new")
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        shutil.copyfile(source, unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.rename(target)


@contextmanager
def _hold(locks: LockFile) -> Iterator[None]:
    for _ in range(TRIES):
        if locks.take(BACKUP):
            break
        time.sleep(0.02)
    else:
        raise TemporaryFailure("another backup is being written")
    try:
        yield
    finally:
        locks.free(BACKUP)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / MANIFEST).exists():
        others = {path.name for path in folder.iterdir()} - {PARCELS}
        if any(not name.startswith(("mailpost-", MANIFEST)) for name in others):
            raise UnusableStore(f"{folder} is neither empty nor a backup: choose another folder")
    (folder / PARCELS).mkdir(mode=0o700, exist_ok=True)


def _copy_database(engine: Engine, target: Path, told: Callable[[int, int], object]) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    source, copy = engine.reader(), apsw.Connection(str(target))
    try:
        copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF").fetchall()
        # Without a transaction around it, a step would begin anew after each letter that comes.
        source.execute("BEGIN")
        page = int(source.pragma("page_size"))
        source.execute(sql_carrying.EPOCH).fetchall()  # the transaction begins with its first read
        with copy.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(PAGES)
                total = backup.page_count * page
                told(total - backup.remaining * page, total)
        source.execute("COMMIT")
    finally:
        copy.close()
        source.close()
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _describe(folder: Path, name: str, made: datetime) -> Manifest:
    database = folder / name
    db = Copied(database)
    try:
        counted: list[Any] = list(db.execute(sql_carrying.COUNTS).fetchall()[0])
        accounts, letters, octets = counted
        epoch = str(db.execute(sql_carrying.EPOCH).get)
    finally:
        db.close()
    named = parcels_of(database)
    return Manifest(
        made=made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        database=name,
        digest=digest_of(database).hex(),
        epoch=epoch,
        accounts=accounts,
        letters=letters,
        octets=octets,
        parcels=len(named),
        parcel_octets=sum(size for _, size in named),
    )


def _copy_parcels(
    parcels: Path, folder: Path, database: str, told: Callable[[int, int], object]
) -> None:
    named = parcels_of(folder / database)
    done = (folder / database).stat().st_size
    total = done + sum(octets for _, octets in named)
    for name, octets in named:
        target = folder / PARCELS / name
        there = False
        with suppress(FileNotFoundError):
            there = target.stat().st_size == octets
        if not there:
            copy_file(parcels / name, target)
        done += octets
        told(done, total)
    sync_folder(folder / PARCELS)


def _publish(folder: Path, manifest: Manifest) -> None:
    unfinished = folder / f"{MANIFEST}.new"
    unfinished.touch(mode=0o600)
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    unfinished.rename(folder / MANIFEST)
    sync_folder(folder)


def _clear(folder: Path, manifest: Manifest) -> None:
    """Remove what belonged to the backup before, and what a backup that was broken off has left."""
    for path in folder.glob("mailpost-*.db*"):
        if path.name != manifest.database:
            path.unlink(missing_ok=True)
    named = {name for name, _ in parcels_of(folder / manifest.database)}
    for path in (folder / PARCELS).iterdir():
        if path.name not in named:
            path.unlink(missing_ok=True)
