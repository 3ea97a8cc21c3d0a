"""What a SASL exchange leads to, as values: the steps of :class:`~mailpost.wire.sasl_exchange.Exchange`.

Secrets stand in none of their ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mailpost.wire.session import Question

if TYPE_CHECKING:
    from mailpost.wire.scram_keys import ScramKeys


class Reason(Enum):
    """Why somebody was not let in; the value is for the log."""

    MALFORMED = "the response is not what the mechanism asks for"
    WRONG = "name, password or token is wrong"
    NOT_THEIRS = "one user asks to act as another"
    UNBOUND = "the channel binding does not fit this connection"
    DOWNGRADED = "the client was not shown the channel binding that is offered"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Say this, in base64, and give the response to ``step``."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class PasswordOffered(Question):
    """Whether this is their password: answered with ``admit`` or ``refuse``.

    :ivar name: prepared by SASLprep, not empty.
    :ivar password: UTF-8 as it was typed, not prepared; not empty, no NUL, CR or LF.
    """

    name: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenOffered(Question):
    """Whether this bearer token is theirs: answered with ``admit`` or ``refuse``.

    :ivar name: prepared by SASLprep; ``""``: the token itself tells who it is (OAUTHBEARER alone).
    :ivar token: of the characters of RFC 6750 §2.1, not empty.
    """

    name: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysAsked(Question):
    """What this user's keys are: answered with ``give``, with made-up ones where there is no such user.

    :ivar name: prepared by SASLprep, not empty.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """They are who they say they are.

    :ivar name: as ``admit`` told it, otherwise as they gave it.
    :ivar keys: in SCRAM, those of the keys given whose password they know; otherwise None.
    """

    name: str
    keys: ScramKeys | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """They are not let in."""

    reason: Reason


Step = Challenge | PasswordOffered | TokenOffered | KeysAsked | Accepted | Rejected
