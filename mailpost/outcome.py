"""The three outcomes of everything: delivered, try later, refused.

Whatever happens to a letter, or to a question about one, ends as one of these three; each bears the
reply that the peer is given, and the latter two a reason for the log alone (RFC 5321 §4.2.1: 2yz, 4yz,
5yz). An unexpected exception is always *try later*, never *refused*: a fault of ours must not make a
sender give a letter up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.envelope import Destination, Group
from mailpost.wire import reply

if TYPE_CHECKING:
    from mailpost.wire.reply import Reply


@frozen
class Delivered:
    """The copy is durable and collectable: a 250 may be given."""

    reply: Reply = reply.OK


@frozen
class TryLater:
    """Not now: nothing of it was kept, and the sender shall come again."""

    reply: Reply = reply.STORE_FAILED
    reason: str = ""


@frozen
class Refused:
    """Never: the sender shall tell the author so."""

    reply: Reply
    reason: str = ""


Outcome = Delivered | TryLater | Refused

Sorted = Destination | Group | TryLater | Refused
"""What sorting says of a recipient."""


class TemporaryFailure(Exception):  # noqa: N818 - it names the outcome, as in TryLater
    """Something that should work does not just now; nothing is half done.

    Raised (or given to an errback) where a *question* fails rather than a delivery: opening a maildrop,
    reading a letter, letting letters go. Its text is for the log.
    """


class MaildropLocked(Exception):  # noqa: N818 - names the outcome, as the others do
    """The owner of the office has locked this maildrop: the password is right, and nothing is given for it.

    Its text is the reason, for whoever has logged in: US-ASCII on one line, perhaps ``""``.
    """


class LetterGone(TemporaryFailure):
    """A letter left its maildrop while a session had it listed; another session will not list it."""


class TooSoon(Exception):  # noqa: N818 - likewise, [LOGIN-DELAY]
    """The same user has collected too short a time ago (RFC 2449 §6.5)."""


class MaildropInUse(Exception):  # noqa: N818 - RFC 2449's own term, [IN-USE]
    """Another session holds this maildrop's lock (RFC 1939 §4)."""
