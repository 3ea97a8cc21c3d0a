"""Entering letters that were elsewhere before: the transaction of :mod:`mailpost.store.bringing`."""

from __future__ import annotations

import hashlib
import re
from enum import Enum
from typing import TYPE_CHECKING

from attrs import define, field

from mailpost.envelope import new_trace
from mailpost.store import schema, sql_carrying
from mailpost.store.errors import NoSuchName
from mailpost.store.pieces import PIECE
from mailpost.store.writer import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from mailpost.store.parcels import Parcels


class Fate(Enum):
    """What has become of a letter that was brought."""

    KEPT = "kept, under its old unique-id where it has one"
    NEW_UIDL = "kept, under a new unique-id: another letter has its old one"
    THERE = "there already"


@define
class Brought:
    """A letter on its way in.

    :ivar key: names it where it comes from; None: it may come as often as it likes.
    :ivar octets: of its body, which is in memory or in a parcel.
    :ivar arrived: seconds since 1970.
    :ivar uidl: its old unique-id.
    :ivar plain: octets as a client without UTF8 gets it, where that is another form.
    """

    key: bytes | None
    octets: int
    flags: int
    digest: bytes
    arrived: int
    uidl: str | None = None
    reverse_path: str | None = None
    trace: str = field(factory=new_trace)
    postmark: bytes = b""
    body: bytes | None = None
    parcel: str | None = None
    plain: int | None = None

    @property
    def extra(self) -> int:
        """Octets that collection adds: 2 where the final CRLF is missing."""
        return 2 if self.flags & schema.NO_FINAL_CRLF else 0

    @property
    def sent(self) -> int:
        """Octets as collection sends it."""
        return len(self.postmark) + self.octets + self.extra


class Bring(Operation["Sequence[Fate]"]):
    """Enter letters in a maildrop.

    :param epoch: the store's.
    :param now: seconds since 1970: for how long they are kept counts from here.
    """

    __slots__ = ("epoch", "letters", "maildrop", "now", "parcels")

    def __init__(
        self, maildrop: int, letters: Sequence[Brought], epoch: str, parcels: Parcels, now: int
    ) -> None:
        self.maildrop = maildrop
        self.letters = letters
        self.epoch = epoch
        self.parcels = parcels
        self.now = now

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Bring]) -> Sequence[Sequence[Fate]]:
        """One after the other."""
        return [bringing.one(db) for bringing in operations]

    def one(self, db: apsw.Connection) -> Sequence[Fate]:
        """All of them, under the next numbers of the maildrop."""
        place = db.execute(sql_carrying.PLACE, (self.maildrop,)).fetchone()
        if place is None or place[1]:
            raise NoSuchName("the maildrop has been removed")
        first = number = int(place[0])
        octets = 0
        fates = []
        for letter in self.letters:
            fate = self._fate(db, letter, first)
            fates.append(fate)
            if fate is not Fate.THERE:
                self._enter(db, letter, number, None if fate is Fate.NEW_UIDL else letter.uidl)
                octets += letter.sent
                number += 1
        moved = (number, number - first, octets, self.maildrop)
        db.execute(sql_carrying.MOVE_ON, moved)
        return fates

    def _fate(self, db: apsw.Connection, letter: Brought, first: int) -> Fate:
        key = b"" if letter.key is None else letter.key
        noted = db.execute(sql_carrying.NOTE, (self.maildrop, key)).get is not None
        if letter.key is not None and not noted:
            return Fate.THERE  # another process brings the same
        if letter.uidl is None:
            return Fate.KEPT
        holder, made_here = self.holder(db, letter.uidl)
        if holder is not None:
            return Fate.THERE if self._same(holder, letter) else Fate.NEW_UIDL
        return Fate.NEW_UIDL if made_here >= first else Fate.KEPT

    def holder(self, db: apsw.Connection, uidl: str) -> tuple[tuple[object, ...] | None, int]:
        """The letter that has this unique-id; the number in it, where it looks like one made here."""
        row = db.execute(sql_carrying.HOLDER, (self.maildrop, uidl)).fetchone()
        made_here = re.fullmatch(rf"{self.epoch}\.{self.maildrop:x}\.([0-9a-f]{{1,15}})", uidl)
        if made_here is None:
            return row, -1
        number = int(made_here[1], 16)
        if row is None:
            row = db.execute(sql_carrying.HOLDER_BY_NUMBER, (self.maildrop, number)).fetchone()
        return row, number

    def _same(self, holder: tuple[object, ...], letter: Brought) -> bool:
        """Whether the holder of a unique-id has the same octets, to a client that collects it."""
        octets, postmark, body, parcel, flags = holder
        assert isinstance(postmark, bytes)
        assert isinstance(flags, int)
        if octets != letter.sent:
            return False
        end = b"\r\n" if flags & schema.NO_FINAL_CRLF else b""
        if isinstance(body, bytes) and letter.body is not None:
            ends = b"\r\n" if letter.extra else b""
            return postmark + body + end == letter.postmark + letter.body + ends
        if not isinstance(parcel, str) or letter.parcel is None:
            return False
        theirs = _digest(self.parcels, postmark, parcel, end)
        return theirs == _digest(
            self.parcels, letter.postmark, letter.parcel, b"\r\n" if letter.extra else b""
        )

    def _enter(self, db: apsw.Connection, letter: Brought, number: int, uidl: str | None) -> None:
        kept = db.execute(
            sql_carrying.BRING_LETTER,
            (
                letter.trace,
                letter.reverse_path,
                letter.octets,
                letter.flags,
                letter.parcel,
                letter.digest,
            ),
        ).get
        if letter.body is not None:
            db.execute(sql_carrying.BRING_BODY, (kept, letter.body))
        entry = (letter.sent, letter.plain, letter.arrived, uidl, letter.postmark, self.now)
        db.execute(sql_carrying.BRING_ENTRY, (self.maildrop, number, kept, *entry))


def _digest(parcels: Parcels, before: bytes, name: str, after: bytes) -> bytes:
    sha256 = hashlib.sha256(before)
    with open(parcels.open(name), "rb") as file:  # noqa: PTH123 - a descriptor
        while piece := file.read(PIECE):
            sha256.update(piece)
    sha256.update(after)
    return sha256.digest()
