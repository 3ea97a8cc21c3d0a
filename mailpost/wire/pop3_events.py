"""What a POP3 peer asks, as values: the events of :class:`~mailpost.wire.pop3.POP3Server`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailpost.wire.login import LoginOffered
from mailpost.wire.session import Question

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LetterAsked", "LoginOffered", "TLSAsked", "UpdateAsked"]


@dataclass(frozen=True, slots=True)
class LetterAsked(Question):
    """RETR or TOP: answered with ``give``; with ``begin_pieces`` and what follows it; or ``refuse``.

    :ivar index: which letter, counted from 0.
    :ivar more: the letters of the RETRs that have come with it, as many as may be sent at once: whoever has
        them at hand gives them as well, the others are asked for one by one.
    """

    index: int
    more: Sequence[int] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class UpdateAsked(Question):
    """QUIT: let these letters go. Answered with ``updated``.

    :ivar indexes: which letters, counted from 0, in their order.
    """

    indexes: Sequence[int]


@dataclass(frozen=True, slots=True)
class TLSAsked(Question):
    """STLS: answered with ``begin_tls``, then the connection goes on encrypted."""
