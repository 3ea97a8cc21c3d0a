"""A snapshot: an open maildrop, as it was when it was opened (RFC 1939 §4).

It holds numbers and sizes, no letters. A client fetches letters in their order, so the next few are
read in one hop to a thread, and handed out from memory once each; an idle session holds nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mailpost.interfaces import IPieces, ISnapshot
from mailpost.outcome import TemporaryFailure
from mailpost.store import schema, sql
from mailpost.store.views import LetGo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from mailpost.store.ledger import Ledger
    from mailpost.store.locks import LockFile
    from mailpost.store.parcels import Parcels
    from mailpost.store.readers import Readers
    from mailpost.store.views import Places

T = TypeVar("T")
AHEAD = 256 * 1024  # octets to read ahead
LETTERS = 64  # letters to read ahead, at most
PIECE = 256 * 1024
ALONE = 64 * 1024  # a letter larger than this is not read ahead with others


class Room:
    """What snapshots share: where letters are read and let go of.

    :ivar finder: a connection for short looks in the reactor's own thread.
    :ivar let_go: told the maildrop, after letters were let go of.
    """

    __slots__ = ("epoch", "finder", "in_thread", "ledger", "let_go", "locks", "parcels", "readers")

    def __init__(
        self,
        *,
        epoch: str,
        finder: apsw.Connection,
        ledger: Ledger,
        readers: Readers,
        locks: LockFile,
        parcels: Parcels,
        in_thread: Callable[..., Deferred[Any]],
        let_go: Callable[[int], None],
    ) -> None:
        self.epoch = epoch.encode("ascii")
        self.finder = finder
        self.ledger = ledger
        self.readers = readers
        self.locks = locks
        self.parcels = parcels
        self.in_thread = in_thread
        self.let_go = let_go


@implementer(ISnapshot)
class Snapshot:
    """An open maildrop."""

    __slots__ = ("_ahead", "_maildrop", "_open", "_places", "_room", "_view", "sizes")

    def __init__(self, room: Room, maildrop: int, view: int, places: Places) -> None:
        self._room = room
        self._maildrop = maildrop
        self._view = view
        self._places = places
        self.sizes = places.sizes
        self._ahead: dict[int, bytes] | None = None
        self._open = True

    def uidl(self, index: int) -> bytes:
        """The unique-id of a letter: the store's epoch, the maildrop, the number."""
        number = self._places.numbers[index]
        override = self._places.overrides.get(number)
        if override is not None:
            return override.encode("ascii")
        return b"%s.%x.%x" % (self._room.epoch, self._maildrop, number)

    def fetch(self, index: int) -> bytes | Deferred[bytes | IPieces]:
        """A letter as it is to be sent."""
        number = self._places.numbers[index]
        if self._ahead is not None:
            letter = self._ahead.pop(number, None)
            if letter is not None:
                return letter
        self._ahead = None
        last = self._last_ahead(index)
        if last == index:
            alone = self._room.readers.defer(read_one, self._maildrop, number)
            return alone.addCallback(self._take_one)
        numbers = self._places.numbers[index : last + 1]
        sizes = self.sizes[index : last + 1]
        reading = self._room.readers.defer(read_ahead, self._maildrop, numbers, sizes)
        return reading.addCallback(self._take, number)

    def _last_ahead(self, index: int) -> int:
        sizes = self.sizes
        octets = sizes[index]
        last = index
        end = min(len(sizes), index + LETTERS)
        while last + 1 < end and octets + sizes[last + 1] <= AHEAD:
            last += 1
            octets += sizes[last]
            if sizes[last] > ALONE or sizes[index] > ALONE:
                return last - 1
        return last

    def _take(self, ahead: dict[int, bytes], number: int) -> bytes:
        self._ahead = ahead if self._open else None
        letter = ahead.pop(number, None)
        if letter is None:
            raise TemporaryFailure("the letter is not in the store any more")
        return letter

    def _take_one(self, letter: bytes | Parcelled) -> bytes | IPieces:
        return letter if isinstance(letter, bytes) else Pieces(self._room, letter)

    def let_go(self, indexes: Sequence[int]) -> Deferred[None]:
        """Delete these letters from this view, in one synced transaction."""
        if not indexes:
            return succeed(None)
        going = self._room.ledger.submit(LetGo(self._view, self._places, indexes))

        def gone(_: None) -> None:
            self._room.let_go(self._maildrop)

        return going.addCallback(gone)

    def close(self) -> None:
        """Release the lock."""
        if self._open:
            self._open = False
            self._ahead = None
            self._room.locks.free(self._view)


class Parcelled(NamedTuple):
    """A letter whose body is a parcel: what goes before, its name, what goes after."""

    postmark: bytes
    name: str
    end: bytes


def read_ahead(
    db: apsw.Connection, maildrop: int, numbers: Sequence[int], sizes: Sequence[int]
) -> dict[int, bytes]:
    """Letters that stand in rows, cut out of the one row they come in."""
    listed, octets = sql.told(db, sql.LETTERS, (maildrop, numbers[0], numbers[-1]))
    letters: dict[int, bytes] = {}
    if listed == list(numbers) and octets is not None and len(octets) == sum(sizes):
        start = 0
        for number, size in zip(numbers, sizes, strict=True):
            letters[number] = octets[start : start + size]
            start += size
        return letters
    # Between them are letters that this view has let go of, or some are gone: each by itself.
    for number in numbers:
        with suppress(TemporaryFailure):
            letter = read_one(db, maildrop, number)
            if isinstance(letter, bytes):
                letters[number] = letter
    return letters


def read_one(db: apsw.Connection, maildrop: int, number: int) -> bytes | Parcelled:
    """One letter."""
    row = db.execute(sql.LETTER, (maildrop, number)).get
    if row is None:
        raise TemporaryFailure("the letter is not in the store any more")
    postmark, body, flags, parcel = row
    end = b"\r\n" if flags & schema.NO_FINAL_CRLF else b""
    return Parcelled(postmark, parcel, end) if body is None else postmark + body + end


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
