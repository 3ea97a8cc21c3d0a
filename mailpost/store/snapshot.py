"""A snapshot: an open maildrop, as it was when it was opened (RFC 1939 §4).

It holds numbers and sizes, no letters. A client fetches letters in their order, so the next few are read in
one hop to a thread, and handed out from memory once each; an idle session holds nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailpost.interfaces import IPieces, ISnapshot
from mailpost.outcome import TemporaryFailure
from mailpost.store import schema, sql
from mailpost.store.views import LetGo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import apsw

    from mailpost.store.ledger import Ledger
    from mailpost.store.locks import LockFile
    from mailpost.store.parcels import Parcels
    from mailpost.store.readers import Readers
    from mailpost.store.views import Places

AHEAD = 256 * 1024  # octets to read ahead
LETTERS = 64  # letters to read ahead, at most
PIECE = 256 * 1024
ALONE = 64 * 1024  # a letter larger than this is not read ahead with others


class Room:
    """What snapshots share: where letters are read and let go of.

    :ivar let_go: told the maildrop, after letters were let go of.
    """

    __slots__ = ("epoch", "in_thread", "ledger", "let_go", "locks", "parcels", "readers")

    def __init__(  # noqa: PLR0913
        self,
        *,
        epoch: str,
        ledger: Ledger,
        readers: Readers,
        locks: LockFile,
        parcels: Parcels,
        in_thread: Callable[..., Deferred[Any]],
        let_go: Callable[[int], None],
    ) -> None:
        self.epoch = epoch
        self.ledger = ledger
        self.readers = readers
        self.locks = locks
        self.parcels = parcels
        self.in_thread = in_thread
        self.let_go = let_go


@implementer(ISnapshot)
class Snapshot:
    """An open maildrop."""

    __slots__ = (
        "_ahead",
        "_maildrop",
        "_numbers",
        "_open",
        "_overrides",
        "_room",
        "_view",
        "sizes",
    )

    def __init__(self, room: Room, maildrop: int, view: int, places: Places) -> None:
        self._room = room
        self._maildrop = maildrop
        self._view = view
        self._numbers = places.numbers
        self.sizes = places.sizes
        self._overrides: Mapping[int, str] | None = places.overrides or None
        self._ahead: dict[int, bytes] | None = None
        self._open = True

    def uidl(self, index: int) -> bytes:
        """The unique-id of a letter: the store's epoch, the maildrop, the number."""
        number = self._numbers[index]
        if self._overrides is not None and number in self._overrides:
            return self._overrides[number].encode("ascii")
        return b"%s.%x.%x" % (self._room.epoch.encode("ascii"), self._maildrop, number)

    def fetch(self, index: int) -> bytes | Deferred[bytes | Pieces]:
        """A letter as it is to be sent."""
        number = self._numbers[index]
        if self._ahead is not None:
            letter = self._ahead.pop(number, None)
            if not self._ahead:
                self._ahead = None
            if letter is not None:
                return letter
        last = self._last_ahead(index)
        reading = self._room.readers.defer(_read, self._maildrop, number, self._numbers[last])
        return reading.addCallback(self._take, number)

    def _last_ahead(self, index: int) -> int:
        octets = self.sizes[index]
        last = index
        while last + 1 < min(len(self.sizes), index + LETTERS):
            octets += self.sizes[last + 1]
            if octets > AHEAD or self.sizes[last + 1] > ALONE:
                break
            last += 1
        return last

    def _take(self, read: dict[int, bytes | Pieces], number: int) -> bytes | Pieces:
        try:
            letter = read.pop(number)
        except KeyError:
            raise TemporaryFailure("the letter is not in the store any more") from None
        if isinstance(letter, Pieces):
            letter.attach(self._room)
            return letter
        ahead = {key: value for key, value in read.items() if isinstance(value, bytes)}
        self._ahead = ahead if ahead and self._open else None
        return letter

    def let_go(self, indexes: Sequence[int]) -> Deferred[None]:
        """Delete these letters from this view, in one synced transaction."""
        going = self._room.ledger.submit(LetGo(self._maildrop, self._view, self._numbers, indexes))

        def gone(_: None) -> None:
            self._room.let_go(self._maildrop)

        return going.addCallback(gone)

    def close(self) -> None:
        """Release the lock."""
        if self._open:
            self._open = False
            self._ahead = None
            self._room.locks.free(self._view)


def _read(db: apsw.Connection, maildrop: int, first: int, last: int) -> dict[int, bytes | Pieces]:
    letters: dict[int, bytes | Pieces] = {}
    for number, postmark, body, flags, parcel in db.execute(sql.LETTERS, (maildrop, first, last)):
        end = b"\r\n" if flags & schema.NO_FINAL_CRLF else b""
        if parcel is None:
            letters[number] = postmark + body + end
        else:
            letters[number] = Pieces(parcel, postmark, end)
    return letters


@implementer(IPieces)
class Pieces:
    """A letter too large to be held in memory, read piece by piece in a thread."""

    __slots__ = ("_closed", "_end", "_file", "_name", "_postmark", "_room")

    def __init__(self, name: str, postmark: bytes, end: bytes) -> None:
        self._name = name
        self._postmark = postmark
        self._end = end
        self._file = -1
        self._closed = False
        self._room: Room | None = None

    def attach(self, room: Room) -> None:
        """Where it is read."""
        self._room = room

    def read(self) -> Deferred[bytes]:
        """The next octets; ``b""`` after the last."""
        assert self._room is not None
        return self._room.in_thread(self._read)

    def close(self) -> None:
        """Read no further."""
        self._closed = True
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self) -> bytes:
        assert self._room is not None
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
