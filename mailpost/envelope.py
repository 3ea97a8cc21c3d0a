"""The frozen values that travel with a letter: who sent it, how it came, to whom it goes.

They are made by ``intake``, completed by ``sorting``, kept by ``store``.
"""

from __future__ import annotations

import os

from attrs import field, frozen

from mailpost.wire.path import Address

__all__ = ["Address", "Copy", "Destination", "Envelope", "Group", "Report", "Traits", "new_trace"]


def new_trace() -> str:
    """A letter's trace id: 16 hexadecimal digits, all of them random."""
    return os.urandom(8).hex()


@frozen
class Envelope:
    """A letter's envelope (RFC 5321 §2.3.1) and how it came to the office.

    :ivar trace: the letter's trace id: in the 250, in Received, in the log and in the store.
    :ivar reverse_path: whom to tell if it fails; None is the null reverse-path ``<>``.
    :ivar protocol: the ``with`` word of Received: SMTP, ESMTP ... (RFC 3848).
    :ivar helo: what the peer calls itself, as given to EHLO or HELO.
    :ivar peer: the peer's IP address, ``""`` where there is none (a UNIX socket).
    """

    trace: str
    reverse_path: Address | None
    protocol: str = "ESMTP"
    helo: str = ""
    peer: str = ""


@frozen
class Destination:
    """Where sorting sends one recipient's copy: a maildrop, by its number in the store.

    :ivar maildrop: the maildrop's number.
    :ivar delivered_to: the address as the office knows it, for the Delivered-To line.
    :ivar always: the letter is to come in, however full the maildrop is.
    """

    maildrop: int
    delivered_to: str
    always: bool = False

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """This one; a :class:`Group` has several."""
        return (self,)


@frozen
class Group:
    """Where sorting sends the copies of one recipient that stands for several.

    :ivar destinations: two or more, each with a maildrop of its own.
    """

    destinations: tuple[Destination, ...]


@frozen
class Copy:
    """One recipient's copy of a letter: its maildrop, and the postmark that goes before the body.

    :ivar maildrop: the maildrop's number in the store.
    :ivar postmark: whole header lines, each with its CRLF; what collection sends before the body.
    :ivar always: it is to come in, however full the maildrop is.
    """

    maildrop: int
    postmark: bytes
    always: bool = False


@frozen
class Traits:
    """What was seen of a letter's octets as they went by, so that nobody need open it again.

    :ivar eight_bit: an octet above 0x7F occurs.
    :ivar utf8: the envelope came with SMTPUTF8 (RFC 6531).
    :ivar final_crlf: the body ends with CRLF (or is empty); if not, collection adds one.
    """

    eight_bit: bool = field(default=False)
    utf8: bool = field(default=False)
    final_crlf: bool = field(default=True)


@frozen
class Report:
    """A letter that the office itself has written about another, kept with that one or not at all.

    :ivar envelope: with the null reverse-path: nobody reports on a report (RFC 3461 §6.1).
    :ivar copies: for whoever sent the other letter: one, or several where it was sent in a group's name.
    :ivar body: its octets, ending with CRLF.
    """

    envelope: Envelope
    copies: tuple[Copy, ...]
    body: bytes
    traits: Traits
