"""Contents: what a view shows, for whoever carries letters away. Nothing is locked, nothing let go of.

Everything here blocks: it is for the command line, where no reactor runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.store import sql_carrying
from mailpost.store.pieces import PIECE
from mailpost.store.snapshot import read_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

    from mailpost.store.parcels import Parcels
    from mailpost.store.readers import Readers


@frozen
class Shown:
    """A letter that a view shows.

    :ivar octets: as collection sends it.
    :ivar arrived: seconds since 1970.
    :ivar reverse_path: whom it came from; None is the null reverse-path ``<>``, or not known.
    """

    number: int
    octets: int
    uidl: str
    arrived: int
    reverse_path: str | None


class Contents:
    """What one view of a maildrop shows just now.

    :ivar letters: in their order.
    """

    def __init__(
        self, readers: Readers, parcels: Parcels, epoch: str, maildrop: int, view: int
    ) -> None:
        self._readers = readers
        self._parcels = parcels
        self._maildrop = maildrop
        self.letters: Sequence[Shown] = readers.call(_look, epoch, maildrop, view)

    def pieces(self, letter: Shown) -> Iterator[bytes]:
        """A letter as collection sends it, piece by piece.

        :raises TemporaryFailure: it has been taken away meanwhile.
        """
        found = self._readers.call(read_one, self._maildrop, letter.number)
        if isinstance(found, bytes):
            yield found
            return
        with open(self._parcels.open(found.name), "rb") as file:  # noqa: PTH123 - a descriptor
            yield found.postmark
            while piece := file.read(PIECE):
                yield piece
        yield found.end


def made_uidl(epoch: str, maildrop: int, number: int) -> str:
    """The unique-id of a letter that came here first: the store's epoch, the maildrop, the number."""
    return f"{epoch}.{maildrop:x}.{number:x}"


def _look(db: apsw.Connection, epoch: str, maildrop: int, view: int) -> Sequence[Shown]:
    return [
        Shown(number, octets, uidl or made_uidl(epoch, maildrop, number), arrived, reverse_path)
        for number, octets, uidl, arrived, reverse_path in db.execute(sql_carrying.SHOWN, (view,))
    ]
