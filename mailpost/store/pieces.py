"""A parcel on its way out: read piece by piece, below its postmark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from zope.interface import implementer

from mailpost.interfaces import IPieces
from mailpost.outcome import TemporaryFailure
from mailpost.wire.downgrade import Downgrader, downgraded

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from mailpost.store.snapshot import Room

T = TypeVar("T")
PIECE = 256 * 1024


class Parcelled(NamedTuple):
    """A letter whose body is a parcel: what goes before, its name, what goes after."""

    postmark: bytes
    name: str
    end: bytes


@implementer(IPieces)
class Pieces:
    """A letter too large to be held in memory, read piece by piece in a thread."""

    __slots__ = ("_closed", "_end", "_file", "_name", "_postmark", "_reading", "_room")

    def __init__(self, room: Room, letter: Parcelled) -> None:
        self._room = room
        self._postmark, self._name, self._end = letter
        self._file = -1
        self._closed = False
        self._reading = False

    def read(self) -> Deferred[bytes]:
        """The next octets; ``b""`` after the last."""
        self._reading = True
        return self._room.in_thread(self._read).addBoth(self._rest)

    def close(self) -> None:
        """Read no further."""
        self._closed = True
        if self._file >= 0 and not self._reading:
            os.close(self._file)
            self._file = -1

    def _rest(self, read: T) -> T:
        self._reading = False
        if self._closed:
            self.close()
        return read

    def _read(self) -> bytes:
        if self._closed:
            raise TemporaryFailure("the letter is read no further")
        try:
            if self._file < 0:
                self._file = self._room.parcels.open(self._name)
            piece = os.read(self._file, PIECE)
        except OSError as error:
            raise TemporaryFailure(f"parcel {self._name} cannot be read: {error}") from error
        if self._postmark:
            piece, self._postmark = self._postmark + piece, b""
        if not piece:
            piece, self._end = self._end, b""
        return piece


class PlainPieces(Pieces):
    """A parcel downgraded while it is read."""

    __slots__ = ("_downgrader", "_first", "_over")

    def __init__(self, room: Room, letter: Parcelled) -> None:
        super().__init__(room, letter._replace(postmark=b""))
        self._first = downgraded(letter.postmark)
        self._downgrader = Downgrader()
        self._over = False

    def _read(self) -> bytes:
        given, self._first = self._first, b""
        while not (
            given or self._over
        ):  # a piece may end within a field: then there is nothing yet
            piece = super()._read()
            self._over = not piece
            given = self._downgrader.feed(piece) if piece else self._downgrader.end()
        return given
