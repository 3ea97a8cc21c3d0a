"""The names that are in a store, read without opening it as a whole: a shell waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.store import sql_desk
from mailpost.store.sqlite import Engine

if TYPE_CHECKING:
    from pathlib import Path


def all_names(path: Path) -> list[tuple[str, str]]:
    """Every account with each of its devices, and first with ``""``; by their names.

    :raises apsw.Error: it cannot be read.
    """
    db = Engine(path).reader()
    try:
        return [(str(account), str(device)) for account, device in db.execute(sql_desk.NAMES)]
    finally:
        db.close()
