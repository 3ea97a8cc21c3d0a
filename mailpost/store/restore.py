"""Restoring from a backup: all of it into an empty place, or one account's letters into an open store.

A store that was restored has a new epoch, and the letters that it had keep the unique-ids that clients know:
a number given after the backup was made, and given again now, is never one unique-id for two letters.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING

import apsw
from attrs import define, field

from mailpost.store import sql_carrying
from mailpost.store.backup import PARCELS, Copied, Manifest, copy_file, parcels_of
from mailpost.store.contents import made_uidl
from mailpost.store.entering import Brought, Fate
from mailpost.store.errors import NoSuchName, UnusableStore
from mailpost.store.pieces import PIECE
from mailpost.store.sqlite import new_epoch, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailpost.store.bringing import Bringing

BATCH = 64  # letters to a transaction


def restore(
    folder: Path,
    place: Path,
    told: Callable[[int, int], object] = lambda done, of: None,  # noqa: ARG005 - nobody listens
) -> Manifest:
    """Make a store of a backup. It should have been verified. Blocks.

    :param place: where the database shall be; nothing of a store may be there.
    :param told: called now and then with octets that are done, and how many there are.
    :raises UnusableStore: something is there already, or the backup cannot be used.
    :raises OSError: it cannot be read or written.
    """
    manifest = Manifest.read(folder)
    parcels = place.with_name(f"{place.name}.parcels")
    named = parcels_of(folder / manifest.database)
    _must_be_empty(place, parcels, {name for name, _ in named})
    for broken_off in place.parent.glob(f"{place.name}.*.new"):
        broken_off.unlink()
    unfinished = place.with_name(f"{place.name}.{secrets.token_hex(4)}.new")
    total = sum(octets for _, octets in named)
    done = 0
    try:
        # Made empty first, so that it is its owner's from the start.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        shutil.copyfile(folder / manifest.database, unfinished)
        _renew(unfinished)
        parcels.mkdir(mode=0o700, exist_ok=True)
        for name, octets in named:
            copy_file(folder / PARCELS / name, parcels / name)
            done += octets
            told(done, total)
        sync_folder(parcels)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.link(unfinished, place)  # unlike rename(2), never over another
        sync_folder(place.parent)
    except FileExistsError:
        raise UnusableStore(f"{place} exists already: restore into an empty place") from None
    except apsw.Error as error:
        raise UnusableStore(f"{folder} cannot be restored: {error}") from error
    finally:
        for left in ("", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + left).unlink(missing_ok=True)
    return manifest


def _must_be_empty(place: Path, parcels: Path, named: set[str]) -> None:
    """See that nothing of a store is there, but for what the same restore has left when it was broken off."""
    beside = [place.with_name(place.name + part) for part in ("", "-wal", "-shm")]
    there = [path for path in beside if path.exists()]
    if parcels.exists():
        there += [path for path in parcels.iterdir() if path.name.removesuffix(".new") not in named]
    if there:
        raise UnusableStore(f"{there[0]} exists already: restore into an empty place")


def _renew(database: Path) -> None:
    """Give the store a new epoch; its letters keep their unique-ids."""
    db = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        db.execute("PRAGMA journal_mode=DELETE").fetchall()
        with db:
            epoch = db.execute(sql_carrying.EPOCH).get
            db.execute(sql_carrying.KEEP_UIDLS, (epoch,))
            db.execute(sql_carrying.NEW_EPOCH, (new_epoch(),))
        db.execute("PRAGMA journal_mode=WAL").fetchall()
    finally:
        db.close()


@define
class Restored:
    """What has become of an account's letters in a backup.

    :ivar back: how many are in the maildrop again, with ``octets``.
    :ivar there: how many were there still.
    :ivar new_uidl: how many of those that are back have a new unique-id, since another letter has theirs.
    :ivar damaged: the unique-ids of those that are not as they came, and so were left out.
    """

    back: int = 0
    octets: int = 0
    there: int = 0
    new_uidl: int = 0
    damaged: list[str] = field(factory=list)


def restore_letters(
    folder: Path,
    name: str,
    bringing: Bringing,
    maildrop: int,
    told: Callable[[int], object],
) -> Restored:
    """Append what an account had when a backup was made, and has no more. Blocks.

    :param name: the account's, in the backup.
    :param maildrop: which they are appended to.
    :param told: called after each letter with its octets.
    :raises NoSuchName: there is no such account in the backup.
    :raises UnusableStore: there is no backup in the folder.
    :raises TemporaryFailure: the store does not take them just now.
    """
    manifest = Manifest.read(folder)
    restored = Restored()
    db = Copied(folder / manifest.database)
    try:
        batch: list[Brought] = []
        for letter in _letters_of(db, name, manifest.epoch):
            told(letter.sent)
            if bringing.has(maildrop, letter):
                restored.there += 1
                continue
            if not _is_whole(letter, folder, bringing):
                restored.damaged.append(str(letter.uidl))
                continue
            batch.append(letter)
            if len(batch) >= BATCH:
                _keep(bringing, maildrop, batch, restored)
                batch = []
        _keep(bringing, maildrop, batch, restored)
    finally:
        db.close()
    return restored


def octets_of(folder: Path, name: str) -> tuple[int, int]:
    """How many letters an account has in a backup, and how many octets.

    :raises NoSuchName: there is no such account in the backup.
    :raises UnusableStore: there is no backup in the folder.
    """
    db = Copied(folder / Manifest.read(folder).database)
    try:
        rows = db.execute(sql_carrying.LETTERS_OF, (_maildrop_of(db, name),))
        sizes = [int(row[1]) for row in rows]
    finally:
        db.close()
    return len(sizes), sum(sizes)


def _maildrop_of(db: apsw.Connection, name: str) -> int:
    found = db.execute(sql_carrying.ACCOUNT, (name,)).get
    if found is None:
        raise NoSuchName(f"there is no account {name} in the backup")
    return int(found)


def _letters_of(db: apsw.Connection, name: str, epoch: str) -> Iterator[Brought]:
    was = _maildrop_of(db, name)
    for row in db.execute(sql_carrying.LETTERS_OF, (was,)):
        (
            number,
            _,
            uidl,
            arrived,
            plain,
            postmark,
            trace,
            sender,
            octets,
            flags,
            digest,
            parcel,
            body,
        ) = row
        yield Brought(
            key=None,
            octets=octets,
            flags=flags,
            digest=digest,
            arrived=arrived,
            uidl=uidl or made_uidl(epoch, was, number),
            reverse_path=sender,
            trace=trace,
            postmark=postmark,
            body=body,
            parcel=parcel,
            plain=plain,
        )


def _is_whole(letter: Brought, folder: Path, bringing: Bringing) -> bool:
    """Whether a letter is as it came; a parcel is copied into the store for that."""
    if letter.parcel is None:
        return letter.body is not None and hashlib.sha256(letter.body).digest() == letter.digest
    letter.parcel = bringing.copy(_pieces(folder / PARCELS / letter.parcel), letter.digest)
    return letter.parcel is not None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _keep(bringing: Bringing, maildrop: int, letters: list[Brought], restored: Restored) -> None:
    if not letters:
        return
    fates = bringing.keep(maildrop, letters)
    for letter, fate in zip(letters, fates, strict=True):
        if fate is Fate.THERE:
            restored.there += 1
        else:
            restored.back += 1
            restored.octets += letter.sent
            restored.new_uidl += fate is Fate.NEW_UIDL
