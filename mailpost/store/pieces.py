"""A parcel on its way out: read piece by piece, below its postmark.

A hop to a thread and back costs more than to copy a piece that the system has in memory already. So a
piece is read in the reactor's thread if that is possible without waiting for the disk (``RWF_NOWAIT``,
preadv2(2)), and in another if not; after a few pieces in a row in any case, so that everybody else has
their turn.
"""

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
IN_A_ROW = 4  # pieces that are read without a hop before the next is read in a thread

_NO_WAIT = getattr(os, "RWF_NOWAIT", None)  # Linux


class Parcelled(NamedTuple):
    """A letter whose body is a parcel: what goes before, its name, what goes after."""

    postmark: bytes
    name: str
    end: bytes


@implementer(IPieces)
class Pieces:
    """A letter too large to be held in memory, read piece by piece."""

    __slots__ = (
        "_begun",
        "_closed",
        "_end",
        "_file",
        "_in_a_row",
        "_name",
        "_octets",
        "_place",
        "_postmark",
        "_reading",
        "_room",
    )

    def __init__(self, room: Room, letter: Parcelled) -> None:
        self._room = room
        self._postmark, self._name, self._end = letter
        self._file = -1
        self._octets = self._place = 0  # of the file
        self._begun: bytes | None = None
        self._in_a_row = 0
        self._closed = False
        self._reading = False

    def begin(self) -> None:
        """Open the parcel and read its first piece, for whoever is in a thread just now.

        :raises TemporaryFailure: it cannot be read.
        """
        try:
            self._begun = self._read()
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes | Deferred[bytes]:
        """The next octets; ``b""`` after the last."""
        piece, self._begun = self._begun, None
        if piece is None:
            piece = self._read_at_once()
        if piece is not None:
            return piece
        self._in_a_row = 0
        self._reading = True
        return self._room.in_thread(self._read).addBoth(self._rest)

    def close(self) -> None:
        """Read no further."""
        self._closed = True
        self._begun = None
        if self._file >= 0 and not self._reading:
            os.close(self._file)
            self._file = -1

    def _rest(self, read: T) -> T:
        self._reading = False
        if self._closed:
            self.close()
        return read

    def _read_at_once(self) -> bytes | None:
        """The next octets, if it takes no waiting to get them."""
        if self._file < 0:
            return None
        if self._place >= self._octets:
            return self._with_ends(b"")
        if _NO_WAIT is None or self._in_a_row >= IN_A_ROW:
            return None
        buffer = self._room.buffer
        try:
            octets = os.preadv(self._file, [buffer], self._place, _NO_WAIT)
        except OSError:  # it would take waiting, or cannot be done: a thread will see
            return None
        self._in_a_row += 1
        return self._with_ends(bytes(memoryview(buffer)[:octets])) if octets else None

    def _read(self) -> bytes:
        if self._closed:
            raise TemporaryFailure("the letter is read no further")
        try:
            if self._file < 0:
                self._file = self._room.parcels.open(self._name)
                self._octets = os.fstat(self._file).st_size
            piece = os.pread(self._file, PIECE, self._place)
        except OSError as error:
            raise TemporaryFailure(f"parcel {self._name} cannot be read: {error}") from error
        if not piece and self._place < self._octets:
            raise TemporaryFailure(f"parcel {self._name} has become shorter")
        return self._with_ends(piece)

    def _with_ends(self, piece: bytes) -> bytes:
        self._place += len(piece)
        if self._postmark:
            piece, self._postmark = self._postmark + piece, b""
        if self._end and self._place >= self._octets:
            piece, self._end = piece + self._end, b""
        return piece


class PlainPieces(Pieces):
    """A parcel downgraded while it is read, which is always done in a thread."""

    __slots__ = ("_downgrader", "_first", "_over")

    def __init__(self, room: Room, letter: Parcelled) -> None:
        super().__init__(room, letter._replace(postmark=b""))
        self._first = downgraded(letter.postmark)
        self._downgrader = Downgrader()
        self._over = False

    def _read_at_once(self) -> None:
        return None

    def _read(self) -> bytes:
        given, self._first = self._first, b""
        while not (
            given or self._over
        ):  # a piece may end within a field: then there is nothing yet
            piece = super()._read()
            self._over = not piece
            given = self._downgrader.feed(piece) if piece else self._downgrader.end()
        return given
