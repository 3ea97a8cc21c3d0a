"""A snapshot: an open maildrop, as it was when it was opened (RFC 1939 §4).

It holds numbers and sizes, no letters. A client fetches letters in their order, so the next few are
read in one hop to a thread, and handed out from memory once each; an idle session holds nothing.
"""

from __future__ import annotations

from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mailpost.interfaces import IDowngrading, IRemembering
from mailpost.outcome import LetterGone, TemporaryFailure
from mailpost.store import schema, sql, sql_keeping
from mailpost.store.fetched import RUNS, Note, runs_of
from mailpost.store.pieces import PIECE, Parcelled, Pieces, PlainPieces
from mailpost.store.views import LetGo
from mailpost.wire.downgrade import downgraded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw
    from twisted.internet.interfaces import IReactorTime

    from mailpost.interfaces import IPieces
    from mailpost.store.ledger import Ledger
    from mailpost.store.locks import LockFile
    from mailpost.store.parcels import Parcels
    from mailpost.store.readers import Readers
    from mailpost.store.views import Places

T = TypeVar("T")
AHEAD = 256 * 1024  # octets to read ahead
LETTERS = 64  # letters to read ahead, at most
ALONE = 64 * 1024  # a letter larger than this is not read ahead with others


class Room:
    """What snapshots share: where letters are read and let go of.

    :ivar finder: a connection for short looks in the reactor's own thread.
    :ivar let_go: told the maildrop, after letters were let go of.
    :ivar keeps: for how many days a maildrop keeps its letters at least; 0: for ever.
    :ivar buffer: for a piece that is being read in the reactor's own thread.
    """

    __slots__ = (
        "buffer",
        "clock",
        "epoch",
        "finder",
        "in_thread",
        "keeps",
        "ledger",
        "let_go",
        "locks",
        "parcels",
        "readers",
    )

    def __init__(  # noqa: PLR0913 - all that they share
        self,
        *,
        clock: IReactorTime,
        epoch: str,
        finder: apsw.Connection,
        ledger: Ledger,
        readers: Readers,
        locks: LockFile,
        parcels: Parcels,
        in_thread: Callable[..., Deferred[Any]],
        let_go: Callable[[int], None],
        keeps: Callable[[int], int],
    ) -> None:
        self.clock = clock
        self.epoch = epoch.encode("ascii")
        self.finder = finder
        self.ledger = ledger
        self.readers = readers
        self.locks = locks
        self.parcels = parcels
        self.in_thread = in_thread
        self.let_go = let_go
        self.keeps = keeps
        self.buffer = bytearray(PIECE)


@implementer(IDowngrading, IRemembering)
class Snapshot:
    """An open maildrop.

    :param view: the view it is seen through; None: through none, so nothing is locked, nor let go of.
    :ivar numbers: as :class:`~.views.Places` has them.
    :ivar exceptions: likewise.
    :ivar sizes: octets of each letter as it will be given.
    """

    __slots__ = (
        "_ahead",
        "_given",
        "_going",
        "_gone",
        "_maildrop",
        "_open",
        "_others",
        "_overrides",
        "_plain",
        "_plain_sizes",
        "_room",
        "_stored_sizes",
        "_view",
        "exceptions",
        "numbers",
        "sizes",
    )

    def __init__(self, room: Room, maildrop: int, view: int | None, places: Places) -> None:
        self._room = room
        self._maildrop = maildrop
        self._view = view
        self.numbers = places.numbers
        self.exceptions = places.exceptions
        self.sizes = self._stored_sizes = places.sizes
        self._plain_sizes = places.plain
        self._overrides = places.overrides
        self._others = places.others
        self._ahead: dict[int, bytes] | None = None
        self._open = True
        self._plain = False
        self._given: bytearray | None = None
        self._gone: Sequence[int] = ()
        self._going = False  # letters are being let go of

    def downgrade(self) -> None:
        """From here on letters are given and counted for a peer without UTF8."""
        plain = self._plain_sizes
        if plain:
            self._plain = True
            self.sizes = array("q", map(plain.get, self.numbers, self._stored_sizes))

    def uidl(self, index: int) -> bytes:
        """The unique-id of a letter: the store's epoch, the maildrop, the number."""
        number = self.numbers[index]
        override = self._overrides.get(number)
        if override is not None:
            return override.encode("ascii")
        return b"%s.%x.%x" % (self._room.epoch, self._maildrop, number)

    def fetch(self, index: int) -> bytes | Deferred[bytes | IPieces]:
        """A letter as it is to be sent."""
        number = self.numbers[index]
        if self._plain and number in self._plain_sizes:
            return self._room.readers.defer(read_plain, self._room, self._maildrop, number)
        if self._ahead is not None:
            letter = self._ahead.pop(number, None)
            if letter is not None:
                return letter
        self._ahead = None
        last = self._last_ahead(index)
        if last == index:
            return self._room.readers.defer(read_alone, self._room, self._maildrop, number)
        numbers = self.numbers[index : last + 1]
        sizes = self._stored_sizes[index : last + 1]  # as the rows have them
        reading = self._room.readers.defer(read_ahead, self._maildrop, numbers, sizes)
        return reading.addCallback(self._take, number)

    def at_hand(self, indexes: Sequence[int]) -> Sequence[bytes]:
        """Those of these letters, from the first on, that were read ahead."""
        letters: list[bytes] = []
        ahead = self._ahead
        if ahead:
            numbers = self.numbers
            other_form = self._plain_sizes if self._plain else ()
            for index in indexes:
                number = numbers[index]
                if number not in ahead or number in other_form:
                    break
                letters.append(ahead.pop(number))
        return letters

    def _last_ahead(self, index: int) -> int:
        sizes = self._stored_sizes
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
            raise LetterGone("it has left the maildrop meanwhile")
        return letter

    def let_go(self, indexes: Sequence[int]) -> Deferred[None]:
        """Delete these letters from this view, in one synced transaction."""
        if not indexes or self._view is None:
            return succeed(None)
        going = self._room.ledger.submit(LetGo(self._view, self, indexes))
        self._going = True

        def gone(_: None) -> None:
            self._gone = indexes
            self._room.let_go(self._maildrop)

        def settled(result: T) -> T:
            self._going = False
            if not self._open:
                self._leave()
            return result

        return going.addCallback(gone).addBoth(settled)

    @property
    def days(self) -> int:
        """For how many days letters are kept at least."""
        return self._room.keeps(self._maildrop)

    def given(self, marks: bytearray) -> None:
        """These letters were given whole."""
        self._given = marks

    def close(self) -> None:
        """Release the lock; have it noted what was collected.

        While letters are being let go of both wait for that: whoever opens the view next sees it done.
        """
        if self._open:
            self._open = False
            self._ahead = None
            if not self._going:
                self._leave()

    def _leave(self) -> None:
        if self._view is not None:
            self._note(self._view)
            self._room.locks.free(self._view)

    def _note(self, view: int) -> None:
        marks, gone = self._given, self._gone
        numbers = self.numbers
        if self._others:  # for them it is kept, and to let go of it was to have it
            if gone and marks is None:
                marks = bytearray(len(numbers))
            others = b"\1"
        else:
            others = b"\0"
        if marks is None:
            return
        if len(gone) == len(numbers):
            marks = bytearray(others * len(numbers))
        else:
            for index in gone:
                marks[index] = others[0]
        runs = list(runs_of(marks, numbers))
        when = int(self._room.clock.seconds())
        for start in range(0, len(runs), RUNS):
            noting = self._room.ledger.submit(Note(view, runs[start : start + RUNS], when))
            noting.addErrback(lambda _: None)  # it is taken for not collected then


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
    letter, body = _read(db, maildrop, number)
    return letter if body is None else letter.postmark + body + letter.end


def read_alone(db: apsw.Connection, room: Room, maildrop: int, number: int) -> bytes | IPieces:
    """One letter; a parcel's first piece is read with it."""
    letter = read_one(db, maildrop, number)
    if isinstance(letter, bytes):
        return letter
    pieces = Pieces(room, letter)
    pieces.begin()
    return pieces


def read_plain(db: apsw.Connection, room: Room, maildrop: int, number: int) -> bytes | IPieces:
    """One letter for a peer without UTF8; a parcel is downgraded while it is read."""
    letter, body = _read(db, maildrop, number)
    if body is not None:
        return downgraded(letter.postmark) + downgraded(body + letter.end)
    pieces = PlainPieces(room, letter)
    pieces.begin()
    return pieces


def _read(db: apsw.Connection, maildrop: int, number: int) -> tuple[Parcelled, bytes | None]:
    place = (maildrop, number)
    # What went while a session has it listed is still in the bin.
    row = db.execute(sql.LETTER, place).get or db.execute(sql_keeping.LETTER_IN_BIN, place).get
    if row is None:
        raise LetterGone("it has left the maildrop meanwhile")
    postmark, body, flags, parcel = row
    end = b"\r\n" if flags & schema.NO_FINAL_CRLF else b""
    return Parcelled(postmark, parcel, end), body
