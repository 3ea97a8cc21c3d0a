"""What an SMTP peer does, as values: the events of :class:`~mailpost.wire.smtp.SMTPServer`.

Each question is answered with a :class:`~mailpost.wire.reply.Reply`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailpost.wire.parameters import (
    NO_MAIL_PARAMETERS,
    NO_RECIPIENT_PARAMETERS,
    MailParameters,
    RecipientParameters,
)
from mailpost.wire.session import Event, Question

if TYPE_CHECKING:
    from mailpost.wire.path import Address
    from mailpost.wire.reply import Reply


@dataclass(frozen=True, slots=True)
class SenderOffered(Question):
    """MAIL: may a letter from here begin?

    :ivar reverse_path: None for ``<>``.
    """

    reverse_path: Address | None
    parameters: MailParameters = NO_MAIL_PARAMETERS


@dataclass(frozen=True, slots=True)
class RecipientOffered(Question):
    """RCPT: may the letter go there?"""

    recipient: Address
    parameters: RecipientParameters = NO_RECIPIENT_PARAMETERS


@dataclass(frozen=True, slots=True)
class LetterReceived(Question):
    """The letter is whole: is it kept? Every piece of it was told before.

    :ivar octets: the size of its body.
    :ivar eight_bit: whether any octet was above 0x7F.
    :ivar dated: whether its header has a Date.
    :ivar identified: whether its header has a Message-ID.
    :ivar final_crlf: whether it ends with CRLF, as every letter does that came by DATA.
    """

    octets: int
    eight_bit: bool
    final_crlf: bool = True
    dated: bool = True
    identified: bool = True


@dataclass(frozen=True, slots=True)
class PieceReceived(Event):
    """The next octets of the letter's body, dots unstuffed."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class TransactionAborted(Event):
    """What there is of this letter, and its envelope, is to be forgotten.

    :ivar refusal: the reply that the peer will have at the letter's end; None: it changed its mind.
    """

    refusal: Reply | None = None


@dataclass(frozen=True, slots=True)
class TLSAsked(Question):
    """STARTTLS: answered with ``begin_tls``, then the connection goes on encrypted."""
