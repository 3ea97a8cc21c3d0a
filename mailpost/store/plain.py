"""The form of a letter for a POP3 client that did not say UTF8, and its size (RFC 6856 §2).

A letter with UTF-8 in its headers is measured once, when it is committed, in a thread: LIST must tell what
RETR will give, and opening a maildrop must not read letters. The form itself is made when it is
fetched. The postmark and the body are downgraded each for itself, since one body has many postmarks.

Whoever changes what :mod:`mailpost.wire.downgrade` makes of a letter adds a step to the schema that forgets
the sizes taken before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from mailpost.store.pieces import PIECE
from mailpost.wire.downgrade import Downgrader, downgraded
from mailpost.wire.mime import may_have_more

if TYPE_CHECKING:
    from mailpost.envelope import Traits
    from mailpost.store.parcels import Parcels


class Plain(NamedTuple):
    """What was found of a body.

    :ivar octets: how long it is downgraded, with its final CRLF.
    :ivar changed: it is not the same downgraded.
    """

    octets: int
    changed: bool

    def below(self, postmark: bytes) -> int | None:
        """Octets of the whole letter downgraded; None where it is sent as it came."""
        if not self.changed and postmark.isascii():
            return None
        return len(downgraded(postmark)) + self.octets


def concerned(traits: Traits, body: bytes) -> bool:
    """Whether a body in memory is to be measured: nearly none is, so that nearly none goes to a thread."""
    if traits.utf8 or not traits.eight_bit:
        return traits.utf8
    header = body.partition(b"\r\n\r\n")[0]
    return not header.isascii() or may_have_more(header, body)


def of_body(body: bytes, extra: int) -> Plain:
    """Measure a body that is in memory.

    :param extra: 2 where the final CRLF is missing.
    """
    downgrader = Downgrader()
    whole = body + b"\r\n" if extra else body
    octets = len(downgrader.feed(whole)) + len(downgrader.end())
    return Plain(octets, downgrader.changed)


def of_parcel(parcels: Parcels, name: str, extra: int) -> Plain:
    """Measure a parcel; called in a thread. What cannot have another form is not read.

    :raises OSError: it cannot be read.
    """
    downgrader = Downgrader()
    octets = 0
    file = parcels.open(name)
    try:
        left = os.fstat(file).st_size
        while not downgrader.settled and (piece := os.read(file, PIECE)):
            left -= len(piece)
            octets += len(downgrader.feed(piece))
    finally:
        os.close(file)
    if extra:
        octets += len(downgrader.feed(b"\r\n"))
    return Plain(octets + left + len(downgrader.end()), downgrader.changed)
