"""The beginning of a letter, for a list that people read: its header, mostly.

Nothing else in the store looks into a letter, and nothing is decided by it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mailpost.store import sql_keeping

if TYPE_CHECKING:
    import apsw

    from mailpost.store.parcels import Parcels

HEAD = 16 * 1024  # octets


def head(db: apsw.Connection, parcels: Parcels, letter: int) -> bytes:
    """The first octets of a letter's body; none where it has gone meanwhile."""
    body, parcel = db.execute(sql_keeping.HEAD, (HEAD, letter)).get or (b"", None)
    if parcel is not None:
        with suppress(FileNotFoundError):
            file = parcels.open(parcel)
            try:
                return os.pread(file, HEAD, 0)
            finally:
                os.close(file)
    return bytes(body or b"")
