"""What an SMTP client's session tells whoever drives it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mailpost.wire.session import Event, Question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailpost.wire.path import Address
    from mailpost.wire.reply import Reply


class TLSPolicy(Enum):
    """When TLS is begun by STARTTLS (RFC 3207)."""

    NEVER = "never"
    OFFERED = "if offered"
    REQUIRED = "required"


class Reason(Enum):
    """Why a session is over."""

    QUIT = "we said QUIT"
    CLOSED = "the server closed it with 421"
    REFUSED = "the server refused the greeting or the hello"
    NO_TLS = "TLS is required and not to be had"
    NO_MECHANISM = "no way to log in that the credentials and the policy allow"
    LOGIN = "the login was refused"
    DISTRUST = "the server did not prove itself in the login"
    PROTOCOL = "the server does not keep to the protocol"
    BAD_LETTER = "the letter cannot be sent as it is"
    LOST = "the connection is gone"


@dataclass(frozen=True, slots=True)
class Ready(Event):
    """A letter may be sent now.

    :ivar extensions: what was announced, by keyword in upper case, each with its parameters; empty after
        HELO.
    """

    extensions: Mapping[str, str]


class BeginTLS(Question):
    """Begin TLS as a client, check the certificate as the policy asks, then call ``tls_begun``."""

    __slots__ = ()


class BodyWanted(Question):
    """The next piece of the letter is wanted: call ``give``, now or later."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter for one recipient.

    :ivar reply: 2yz: the server has it. 4yz: try later. 5yz: refused. None: nobody knows, the session ended
        before it was told; try later.
    :ivar local: the reply is our own: the server was not asked, since it cannot take the letter.
    """

    recipient: Address
    reply: Reply | None
    local: bool = False


@dataclass(frozen=True, slots=True)
class LetterDone(Event):
    """The letter is through; another may be sent, unless :class:`Ended` follows.

    :ivar outcomes: one for each recipient, in their order.
    """

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The session is over: send what is there, then close the connection.

    :ivar reply: the server's last word, where it led here.
    :ivar detail: more for the log, ``""`` for nothing.
    """

    reason: Reason
    reply: Reply | None = None
    detail: str = ""
