"""Verifying a backup: the database is sound, and each letter has the octets that it should have."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import apsw
from attrs import frozen

from mailpost.store import sql_carrying
from mailpost.store.backup import PARCELS, Copied, Manifest, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@frozen
class Verdict:
    """What was found.

    :ivar faults: one line each; none: the backup is whole.
    """

    manifest: Manifest
    faults: list[str]


def verify(
    folder: Path,
    told: Callable[[int, int], object] = lambda done, of: None,  # noqa: ARG005 - nobody listens
) -> Verdict:
    """Read a whole backup. Blocks.

    :param told: called now and then with octets that are done, and how many there are.
    :raises UnusableStore: there is no backup in the folder.
    :raises OSError: it cannot be read.
    """
    manifest = Manifest.read(folder)
    return Verdict(manifest, list(_faults(folder, manifest, told)))


def _faults(folder: Path, manifest: Manifest, told: Callable[[int, int], object]) -> Iterator[str]:
    path = folder / manifest.database
    try:
        if digest_of(path).hex() != manifest.digest:
            yield f"{path} is not as it was written"
    except FileNotFoundError:
        yield f"{path} is missing"
        return
    db = Copied(path)
    try:
        for (fault,) in db.execute("PRAGMA integrity_check"):
            if fault != "ok":
                yield f"{path}: {fault}"
        for maildrop, number in db.execute(sql_carrying.MISFITS):
            yield f"{path}: letter {number} of maildrop {maildrop} is not as long as its parts"
        yield from _letters(db, folder, manifest, told)
    except apsw.Error as error:
        yield f"{path} cannot be read: {error}"
    finally:
        db.close()


def _letters(
    db: apsw.Connection, folder: Path, manifest: Manifest, told: Callable[[int, int], object]
) -> Iterator[str]:
    done = found = 0
    for letter, octets, digest, parcel, body in db.execute(sql_carrying.BODIES):
        found += 1
        if parcel is None:
            if body is None or len(body) != octets or hashlib.sha256(body).digest() != digest:
                yield f"letter {letter} is not as it came"
        else:
            try:
                if digest_of(folder / PARCELS / parcel) != digest:
                    yield f"parcel {parcel} is not as it came"
            except FileNotFoundError:
                yield f"parcel {parcel} is missing"
        done += octets
        told(done, manifest.octets)
    if found != manifest.letters:
        yield f"there are {found} letters, and there should be {manifest.letters}"
