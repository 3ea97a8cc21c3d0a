"""How large a store is: what is in it, and what it takes on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailpost.store import sql_figures

if TYPE_CHECKING:
    from pathlib import Path

    import apsw


@frozen
class Figures:
    """A store's size; octets, where not said otherwise.

    :ivar accounts: how many there are.
    :ivar letters: in all maildrops together; a letter to two of them counts twice.
    :ivar octets: of those letters, as they are collected.
    :ivar binned: how many letters lie in the bin.
    :ivar database: the file.
    :ivar log: the write-ahead log beside it.
    :ivar parcels: the bodies that are files of their own.
    """

    accounts: int
    letters: int
    octets: int
    binned: int
    database: int
    log: int
    parcels: int


def figures(db: apsw.Connection, path: Path, parcels: Path) -> Figures:
    """Count. The files are not opened, for that would drop SQLite's locks when they are closed."""
    row: Any = db.execute(sql_figures.FIGURES).fetchall()[0]
    accounts, letters, octets, binned = row
    taken = 0
    for entry in os.scandir(parcels):
        with suppress(FileNotFoundError):  # swept away just now
            taken += entry.stat().st_size
    log = path.with_name(path.name + "-wal")
    return Figures(accounts, letters, octets, binned, _size(path), _size(log), taken)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
