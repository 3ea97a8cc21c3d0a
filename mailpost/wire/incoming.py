"""A letter on its way in, by DATA or in chunks: what its end is, and what is wrong with it.

Both ways lead through the same inspection; they differ in how the end is known. RFC 5321 §4.5.2 searches
for it, RFC 3030 §2 counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.wire.chunk import ChunkReader
from mailpost.wire.content import Inspector
from mailpost.wire.dots import Unstuffer

if TYPE_CHECKING:
    from mailpost.wire.reply import Reply


class IncomingLetter:
    """Takes a letter's octets; a new one for each letter.

    :ivar inspector: what is known of the letter so far.
    :ivar last: no chunk follows the one at hand: it ends the letter.
    """

    __slots__ = ("_reader", "inspector", "last")

    def __init__(self, max_octets: int) -> None:
        self.inspector = Inspector(max_octets)
        self._reader: Unstuffer | ChunkReader | None = None
        self.last = False

    def begin_data(self) -> None:
        """The letter follows, up to its dot."""
        self._reader = Unstuffer()
        self.last = True

    def begin_chunk(self, octets: int, *, last: bool) -> None:
        """A chunk of it follows."""
        self._reader = ChunkReader(octets)
        self.last = last

    @property
    def rest(self) -> bytes | None:
        """What came after the end of this part; None: it has not ended."""
        return self._reader.rest if self._reader is not None else None

    def feed(self, octets: bytes) -> tuple[bytes, Reply | None]:
        """Take octets: what of them is the letter's, and what was found wrong with it just now.

        What comes after a refusal is still read, to its true end, so that none of it is taken for
        commands; it is no piece any more.
        """
        assert self._reader is not None
        piece = self._reader.feed(octets)
        if not piece or self.inspector.refusal is not None:
            return b"", None
        return piece, self.inspector.look(piece)
