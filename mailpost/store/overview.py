"""An overview of maildrops for people: what is in each, and how each of its views stands to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailpost.store import sql_desk
from mailpost.store.devices import Rights

if TYPE_CHECKING:
    import apsw


@frozen
class ListedMaildrop:
    """A maildrop. Moments are in seconds since 1970.

    :ivar letters: that are kept in it, whoever has collected them.
    :ivar octets: of those letters.
    :ivar oldest: when the oldest of them came; None: there is none.
    :ivar collected: when it was last opened or a letter fetched, to about a day; None: it never was.
    :ivar locked: since when it is locked by hand; None: it is not.
    :ivar reason: why it is.
    """

    account: str
    letters: int
    octets: int
    oldest: int | None
    collected: int | None
    locked: int | None
    reason: str | None


@frozen
class ListedView:
    """A view of a maildrop.

    :ivar device: whose it is; None: it is the main password's.
    :ivar collects: whether its login may collect at all.
    :ivar waiting: how many letters it shows.
    :ivar floor: everything up to this number it has let go of.
    :ivar opened: when it was last opened or a letter fetched, to about a day; None: it never was.
    :ivar living: whether letters are held for it.
    """

    device: str | None
    collects: bool
    waiting: int
    floor: int
    opened: int | None
    living: bool


def list_maildrops(db: apsw.Connection) -> list[ListedMaildrop]:
    """Every account's maildrop, by the account's name."""
    rows: list[Any] = db.execute(sql_desk.MAILDROPS).fetchall()
    return [
        ListedMaildrop(name, letters, octets, oldest, _latest(opened, fetched), locked, reason)
        for name, letters, octets, oldest, opened, fetched, locked, reason in rows
    ]


def list_views(db: apsw.Connection, maildrop: int) -> list[ListedView]:
    """The views of a maildrop: the main password's, then the devices by age."""
    rows: list[Any] = db.execute(sql_desk.VIEWS, (maildrop,)).fetchall()
    views = []
    for device, rights, seen, floor, living, opened, fetched, waiting in rows:
        collects = device is None or Rights.COLLECT in Rights(rights)
        # A device's opening is noted when it is made, and so tells less than that it was never seen.
        last = fetched if device is not None and seen is None else _latest(opened, fetched)
        views.append(ListedView(device, collects, waiting, floor, last, bool(living)))
    return views


def _latest(*moments: int | None) -> int | None:
    return max((one for one in moments if one is not None), default=None)
