"""Bringing: letters that come from elsewhere, as files or from another server, are entered in a maildrop.

They keep their octets, the date of their arrival and, where they have one, their unique-id, so that no client
takes them for new. Each has a key that names it where it comes from. The key is written in the same
transaction as the letter, so that nothing is brought twice, however often a command is run or killed.

Everything here blocks: it is for the command line, where no reactor runs.
"""

from __future__ import annotations

import hashlib
import re
from itertools import chain
from typing import TYPE_CHECKING

from mailpost.envelope import Traits
from mailpost.store import plain, sql_carrying
from mailpost.store.delivery import ROW, flags_of
from mailpost.store.entering import Bring, Brought, Fate
from mailpost.store.errors import DiskFull, InDoubt
from mailpost.store.posting import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw
    from twisted.internet.interfaces import IReactorTime

    from mailpost.store.ledger import Ledger
    from mailpost.store.parcels import Parcels
    from mailpost.store.readers import Readers
    from mailpost.store.space import Space

UIDL = re.compile(r"[!-~]{1,70}")  # RFC 1939 §7
KEY = 16  # octets of a key: a digest of the name


def key_of(name: str) -> bytes:
    """The key of what has this name where it comes from."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=KEY).digest()


class Bringing:
    """The store's face to whoever brings letters.

    :param epoch: the store's: what goes before the number in every unique-id made here.
    """

    def __init__(
        self,
        ledger: Ledger,
        readers: Readers,
        parcels: Parcels,
        space: Space,
        clock: IReactorTime,
        epoch: str,
    ) -> None:
        self._ledger = ledger
        self._readers = readers
        self._parcels = parcels
        self._space = space
        self._clock = clock
        self._epoch = epoch

    def known(self, maildrop: int) -> set[bytes]:
        """The keys of all that was brought into a maildrop, also of what has been let go of since."""
        return self._readers.call(_known, maildrop)

    def take(
        self,
        pieces: Iterable[bytes],
        *,
        key: bytes,
        arrived: int,
        uidl: str | None = None,
        reverse_path: str | None = None,
    ) -> Brought:
        """Read a letter; what is large goes to a parcel at once. Nothing of it is promised yet.

        :param pieces: its octets, with CRLF at each line's end. What they raise goes through.
        :raises DiskFull: the rest of the disk is a reserve.
        """
        held = b""
        source = iter(pieces)
        for piece in source:
            held += piece
            if len(held) > ROW:
                return self._parcelled(held, source, key, arrived, uidl, reverse_path)
        self._claim(len(held))
        traits = Traits(eight_bit=not held.isascii(), final_crlf=not held or held.endswith(b"\r\n"))
        brought = Brought(
            key, len(held), flags_of(traits), digest(held), arrived, uidl, reverse_path, body=held
        )
        if plain.concerned(traits, held):
            brought.plain = plain.of_body(held, brought.extra).below(b"")
        return brought

    def _parcelled(
        self,
        held: bytes,
        rest: Iterable[bytes],
        key: bytes,
        arrived: int,
        uidl: str | None,
        reverse_path: str | None,
    ) -> Brought:
        file = self._parcels.begin()
        octets, ascii_only, end = 0, True, b""
        try:
            for piece in chain((held,), rest):
                self._claim(len(piece))
                file.write([piece])
                octets += len(piece)
                ascii_only = ascii_only and piece.isascii()
                end = (end + piece)[-2:]
            sha256 = file.keep()
            traits = Traits(eight_bit=not ascii_only, final_crlf=end == b"\r\n")
            brought = Brought(
                key, octets, flags_of(traits), sha256, arrived, uidl, reverse_path, parcel=file.name
            )
            if traits.eight_bit:
                measured = plain.of_parcel(self._parcels, file.name, brought.extra)
                brought.plain = measured.below(b"")
        except BaseException:
            file.discard()
            raise
        return brought

    def has(self, maildrop: int, letter: Brought) -> bool:
        """Whether a view shows a letter of the same unique-id and length, which is not read for it."""
        return self._readers.call(_has, self._bring(maildrop, []), letter)

    def copy(self, pieces: Iterable[bytes], digest: bytes) -> str | None:
        """Copy a parcel from elsewhere, to be named by a letter; None where it is not what it was.

        :param digest: the SHA-256 that it should have.
        :raises DiskFull: the rest of the disk is a reserve.
        """
        file = self._parcels.begin()
        try:
            for piece in pieces:
                self._claim(len(piece))
                file.write([piece])
            if file.keep() == digest:
                return file.name
        except FileNotFoundError:
            pass
        except BaseException:
            file.discard()
            raise
        file.discard()
        return None

    def keep(self, maildrop: int, letters: Sequence[Brought]) -> Sequence[Fate]:
        """Enter letters, all in one transaction; what has become of each.

        :raises NoSuchName: the maildrop has been removed.
        :raises TemporaryFailure: nothing of them was kept.
        """
        try:
            fates = self._ledger.run(self._bring(maildrop, letters))
        except InDoubt:
            raise  # a crash might yet show them: the sweeper will see to their parcels
        except BaseException:
            self.discard(letters)
            raise
        self.discard([one for one, fate in zip(letters, fates, strict=True) if fate is Fate.THERE])
        return fates

    def discard(self, letters: Sequence[Brought]) -> None:
        """Forget letters that were taken and not kept."""
        for letter in letters:
            if letter.parcel is not None:
                self._parcels.remove(letter.parcel)

    def _bring(self, maildrop: int, letters: Sequence[Brought]) -> Bring:
        now = int(self._clock.seconds())
        return Bring(maildrop, letters, self._epoch, self._parcels, now)

    def _claim(self, octets: int) -> None:
        self._space.take(2 * octets)  # as in delivery
        if not self._space.enough():
            raise DiskFull("the rest of the disk is a reserve (disk_reserve)")


def _has(db: apsw.Connection, bring: Bring, letter: Brought) -> bool:
    holder, _ = bring.holder(db, letter.uidl or "")
    return holder is not None and holder[0] == letter.sent


def _known(db: apsw.Connection, maildrop: int) -> set[bytes]:
    return {row[0] for row in db.execute(sql_carrying.KNOWN, (maildrop,))}
