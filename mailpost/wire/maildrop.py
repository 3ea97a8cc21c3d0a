"""A maildrop as a POP3 session sees it: its letters by number, and those marked as deleted.

Marks are the session's alone (RFC 1939 §5): they keep the numbers as they are, RSET takes them away, and
nothing is deleted by them before UPDATE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mailpost.wire import reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mailpost.wire.reply import Response

_MAX_DIGITS = 16  # no maildrop has as many letters


class Listing(Protocol):
    """An open maildrop as far as the protocol looks into it; letters are counted from 0."""

    @property
    def sizes(self) -> Sequence[int]:
        """Octets of each letter as it will be given."""

    def uidl(self, index: int) -> bytes:
        """A letter's unique-id."""


class MarkedMaildrop:
    """A listing, and which of its letters are marked.

    :ivar letters: how many are not marked.
    :ivar octets: the size of those, as they will be given.
    """

    __slots__ = ("_listing", "_marked", "letters", "octets")

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._marked: set[int] | None = None  # None costs an idle session nothing
        self._count()

    def _count(self) -> None:
        self.letters = len(self._listing.sizes)
        self.octets = sum(self._listing.sizes)

    @property
    def contents(self) -> str:
        """How much there is, in words."""
        return f"{self.letters} letters, {self.octets} octets"

    def find(self, number: bytes) -> int | Response:
        """The letter that an argument names, counted from 0, or what is wrong with it."""
        if not number.isdigit():
            return reply.POP_NEEDS_NUMBER
        index = int(number) - 1 if len(number) <= _MAX_DIGITS else -1
        if not 0 <= index < len(self._listing.sizes):
            return reply.POP_NO_SUCH_LETTER
        if self._marked and index in self._marked:
            return reply.POP_LETTER_DELETED
        return index

    @property
    def all_letters(self) -> int:
        """How many there are, marked or not."""
        return len(self._listing.sizes)

    def octets_of(self, index: int) -> int:
        """A letter's size, as it will be given."""
        return self._listing.sizes[index]

    def size_of(self, index: int) -> str:
        """A line of LIST."""
        return f"{index + 1} {self._listing.sizes[index]}"

    def uidl_of(self, index: int) -> str:
        """A line of UIDL."""
        return f"{index + 1} {self._listing.uidl(index).decode('ascii')}"

    def lines(self, line: Callable[[int], str]) -> Iterator[bytes]:
        """Such a line for each letter that is not marked, with its CRLF."""
        marked = self._marked or ()
        return (
            f"{line(index)}\r\n".encode("ascii")
            for index in range(len(self._listing.sizes))
            if index not in marked
        )

    def mark(self, index: int) -> None:
        """DELE."""
        if self._marked is None:
            self._marked = set()
        self._marked.add(index)
        self.letters -= 1
        self.octets -= self._listing.sizes[index]

    def unmark_all(self) -> None:
        """RSET."""
        self._marked = None
        self._count()

    @property
    def marked(self) -> Sequence[int]:
        """The marked letters, in their order."""
        return sorted(self._marked) if self._marked else ()
