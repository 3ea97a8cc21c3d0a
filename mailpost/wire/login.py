"""Logging in with SASL, the same for SMTP (RFC 4954) and POP3 (RFC 5034) but for the words around it.

A response is a line of base64, ``*`` gives up, ``=`` is an empty initial response. A name and a password
become the one question that USER and PASS lead to as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from mailpost.wire.sasl import CLEARTEXT, Checks, decode_base64, encode_base64, offered, start
from mailpost.wire.sasl_events import Challenge, PasswordOffered
from mailpost.wire.session import NEED_OCTETS, Event, Question, ServerSession

if TYPE_CHECKING:
    from mailpost.wire.sasl_events import Step
    from mailpost.wire.sasl_exchange import Exchange

MAX_RESPONSE = 12_288 + 2  # RFC 4954 §4, with its CRLF
MASKED = "********"


@dataclass(frozen=True, slots=True)
class LoginOffered(Question):
    """A name and a password: may they in?"""

    name: str
    password: bytes = field(repr=False)


class LoginTrouble(Enum):
    """Why an AUTH command came to nothing before anybody was asked."""

    UNKNOWN_MECHANISM = auto()
    CLEARTEXT = auto()
    MALFORMED = auto()
    CANCELLED = auto()
    REFUSED = auto()


class LoginSession(ServerSession):
    """The part of a session in which somebody logs in, and in which TLS may begin.

    :ivar tls: whether the connection is encrypted.
    :param can_tls: whether TLS can begin on request.
    :param cleartext: whether a password may be said without TLS.
    :param can_log_in: whether there is anybody to ask.
    """

    __slots__ = ("_can_tls", "_checks", "_cleartext", "_exchange", "tls")

    def __init__(
        self,
        max_errors: int,
        *,
        can_tls: bool = False,
        tls: bool = False,
        cleartext: bool = True,
        can_log_in: bool = True,
    ) -> None:
        super().__init__(max_errors)
        self._can_tls = can_tls
        self._cleartext = cleartext
        self._checks = Checks.PASSWORDS if can_log_in else Checks(0)
        self._exchange: Exchange | None = None
        self.tls = tls

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is offered just now."""
        return offered(self._checks, tls=self.tls, binding=False, cleartext=self._cleartext)

    @property
    def may_say_password(self) -> bool:
        """Whether a password may be said as it is."""
        return self.tls or self._cleartext

    def _authenticate(self, argument: str) -> Event | None:
        """AUTH with an argument: the mechanism, perhaps its initial response."""
        name, _, initial = argument.partition(" ")
        mechanism = name.upper()
        if mechanism not in self.mechanisms:
            if mechanism in CLEARTEXT and not self.may_say_password:
                return self._login_trouble(LoginTrouble.CLEARTEXT)
            return self._login_trouble(LoginTrouble.UNKNOWN_MECHANISM)
        self._exchange = exchange = start(mechanism)
        if not initial:
            return self._go_on(exchange.step(None))
        return self._take_response(exchange, b"" if initial == "=" else initial.encode())

    def _step(self) -> Event | None:
        exchange = self._exchange
        if exchange is None:
            return super()._step()
        line = self._input.take_line(MAX_RESPONSE)
        if line is None:
            return NEED_OCTETS
        if not isinstance(line, bytes):
            self._exchange = None
            return self._complain(line)
        self._note(MASKED)
        if line == b"*":
            self._exchange = None
            return self._login_trouble(LoginTrouble.CANCELLED)
        return self._take_response(exchange, line)

    def _take_response(self, exchange: Exchange, line: bytes) -> Event | None:
        response = decode_base64(line)
        if response is None:
            self._exchange = None
            return self._login_trouble(LoginTrouble.MALFORMED)
        return self._go_on(exchange.step(response))

    def _go_on(self, step: Step) -> Event | None:
        if isinstance(step, Challenge):
            self._challenge(encode_base64(step.octets))
            return None
        self._exchange = None
        if isinstance(step, PasswordOffered):
            return LoginOffered(step.name, step.password)
        return self._login_trouble(LoginTrouble.REFUSED)

    def _challenge(self, line: bytes) -> None:
        """Say a challenge."""
        raise NotImplementedError

    def _login_trouble(self, trouble: LoginTrouble) -> Event | None:
        """Say that nobody is logged in."""
        raise NotImplementedError
