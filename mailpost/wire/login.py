"""Logging in with SASL, the same for SMTP (RFC 4954) and POP3 (RFC 5034) but for the words around it.

A response is a line of base64, ``*`` gives up, ``=`` is an empty initial response. Whatever the mechanism,
it comes to one of these questions, answered in the same way, now or later::

    LoginOffered    a name and a password: USER and PASS lead to it as well
    TokenOffered    a bearer token
    DigestOffered   APOP's
    ProofGiven      SCRAM's: the proof was checked here, against the keys that KeysAsked asked for
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailpost.wire.sasl import (
    CLEARTEXT,
    Checks,
    TokenTerms,
    decode_base64,
    encode_base64,
    offered,
    start,
)
from mailpost.wire.sasl_events import (
    Accepted,
    Challenge,
    KeysAsked,
    PasswordOffered,
    Reason,
    Rejected,
    TokenOffered,
)
from mailpost.wire.scram import fresh_nonce
from mailpost.wire.session import MASKED, NEED_OCTETS, Event, Question, ServerSession
from mailpost.wire.transcript import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailpost.wire.sasl_events import Step
    from mailpost.wire.sasl_exchange import Exchange
    from mailpost.wire.scram_keys import ScramKeys

MAX_RESPONSE = 12_288 + 2  # RFC 4954 §4, with its CRLF
_UNBOUND: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Access:
    """How somebody may come in: what there is of TLS, and what the office can check.

    :ivar can_tls: whether TLS can begin on request.
    :ivar tls: whether it is spoken from the first octet.
    :ivar cleartext: whether a password may be said without TLS.
    :ivar checks: what can be checked; nothing: nobody can log in.
    :ivar tokens: what a client is told whose token was refused.
    :ivar nonce: makes the office's part of SCRAM's nonces, as :func:`~mailpost.wire.sasl.start` takes it.
    """

    can_tls: bool = False
    tls: bool = False
    cleartext: bool = True
    checks: Checks = Checks.PASSWORDS
    tokens: TokenTerms = TokenTerms()  # noqa: RUF009 - frozen
    nonce: Callable[[], str] = fresh_nonce


@dataclass(frozen=True, slots=True)
class LoginOffered(Question):
    """A name and a password: may they in?"""

    name: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProofGiven(Question):
    """A proof came: may they in?

    :ivar keys: those of the keys given whose password is known; None: of none, so they may not, and all
        that is asked is when they are to hear of it.
    """

    name: str
    keys: ScramKeys | None


@dataclass(frozen=True, slots=True)
class DigestOffered(Question):
    """APOP (RFC 1939 §7): the MD5 of what the greeting said and of a secret; may they in?

    :ivar challenge: the timestamp of the greeting, with its angle brackets.
    :ivar digest: 32 hexadecimal digits, in lower case.
    """

    name: str
    challenge: str
    digest: str = field(repr=False)


Login = LoginOffered | TokenOffered | ProofGiven | DigestOffered
"""What a login comes to."""


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
    :ivar bindings: tells what of the connection's TLS a login can be bound to, by name (RFC 5056).
    """

    __slots__ = ("_access", "_exchange", "_login_begun", "bindings", "tls")

    def __init__(self, max_errors: int, access: Access) -> None:
        super().__init__(max_errors)
        self._access = access
        self._exchange: Exchange | None = None
        self._login_begun = False  # AUTH was the last command that is known here
        self.bindings: Callable[[], Mapping[str, bytes]] = _no_bindings
        self.tls = access.tls

    def give_keys(self, keys: Sequence[ScramKeys]) -> None:
        """Answer :class:`KeysAsked`: one for each password that the user has, of one salt and count."""
        asked, self._asked = self._asked, None
        assert isinstance(asked, KeysAsked)
        assert self._exchange is not None
        self._go_on(self._exchange.give(keys))

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is offered just now."""
        access = self._access
        binding = self.tls and Checks.KEYS in access.checks and bool(self.bindings())
        return offered(access.checks, tls=self.tls, binding=binding, cleartext=access.cleartext)

    @property
    def can_begin_tls(self) -> bool:
        """Whether TLS can begin now."""
        return self._access.can_tls and not self.tls

    @property
    def may_say_password(self) -> bool:
        """Whether a password may be said as it is."""
        return self.tls or self._access.cleartext

    def _note_command(self, line: bytes) -> None:
        """Note a command, what may be a secret in it masked, however it is misspelled.

        What follows a refused AUTH, and is no command, is a response that its client did not wait to send.
        """
        if self.transcript is None:
            return
        verb = line.partition(b" ")[0].upper()
        if self._is_command(verb):
            self._login_begun = verb == b"AUTH"
        elif self._login_begun:
            self._note(MASKED)
            return
        self._note(shown(line))

    def _is_command(self, verb: bytes) -> bool:
        """Whether there is such a command; ``verb`` is in upper case."""
        raise NotImplementedError

    def _authenticate(self, argument: str) -> Event | None:
        """AUTH with an argument: the mechanism, perhaps its initial response."""
        name, _, initial = argument.partition(" ")
        mechanism = name.upper()
        if mechanism not in self.mechanisms:
            if mechanism in CLEARTEXT and not self.may_say_password:
                return self._login_trouble(LoginTrouble.CLEARTEXT)
            return self._login_trouble(LoginTrouble.UNKNOWN_MECHANISM)
        bindings = self.bindings() if self.tls else _UNBOUND
        self._exchange = exchange = start(
            mechanism, bindings=bindings, nonce=self._access.nonce, terms=self._access.tokens
        )
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
        exchange = self._exchange
        assert exchange is not None
        if isinstance(step, Challenge):
            self._challenge(encode_base64(step.octets))
            return None
        if isinstance(step, KeysAsked | TokenOffered):
            return step
        self._exchange = None
        if isinstance(step, PasswordOffered):
            return LoginOffered(step.name, step.password)
        if isinstance(step, Accepted):
            return ProofGiven(step.name, step.keys)
        return self._rejected(step, exchange)

    def _rejected(self, rejected: Rejected, exchange: Exchange) -> Event | None:
        if rejected.reason is Reason.WRONG and exchange.proven:
            return ProofGiven(exchange.name, None)
        return self._login_trouble(LoginTrouble.REFUSED)

    def _let_in(self, name: str) -> str:
        """A login is answered with yes; who it is.

        :param name: what the office calls them; ``""``: as they did.
        """
        asked, self._asked = self._asked, None
        if not isinstance(asked, Login):
            raise RuntimeError(f"that does not answer {asked!r}")  # noqa: TRY004 - our misuse
        self._exchange = None
        return name or asked.name

    def _turn_away(self, asked: Question, *, wrong: bool) -> bool:
        """A login is answered with no; whether that may be said now.

        :param wrong: whether it is for good. Whose token is wrong is told so by the mechanism first, and
            has to say something to that (RFC 7628 §3.2.3).
        """
        exchange = self._exchange
        if wrong and isinstance(asked, TokenOffered) and exchange is not None:
            self._go_on(exchange.refuse())
            return False
        self._exchange = None
        return True

    def _challenge(self, line: bytes) -> None:
        """Say a challenge."""
        raise NotImplementedError

    def _login_trouble(self, trouble: LoginTrouble) -> Event | None:
        """Say that nobody is logged in."""
        raise NotImplementedError


def _no_bindings() -> Mapping[str, bytes]:
    return _UNBOUND
