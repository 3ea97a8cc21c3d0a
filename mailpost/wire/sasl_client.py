"""A SASL exchange as the client sees it (RFC 4422): a challenge in, the response out.

::

    mechanism = choose(what is offered, credentials, ...)
    login = begin(mechanism, credentials, ...)
    login.initial             the initial response; None where the mechanism has none
    login.respond(challenge)  the response to a challenge
    login.complete            whether a success may be believed

The mechanisms are those of :mod:`mailpost.wire.sasl`, strongest first.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailpost.wire.sasl import CLEARTEXT, MECHANISMS
from mailpost.wire.sasl_base64 import decode_base64, encode_base64
from mailpost.wire.saslprep import saslprep
from mailpost.wire.scram import fresh_nonce
from mailpost.wire.scram_keys import prove

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MIN_ITERATIONS = 4096  # RFC 7677 §4: fewer would make a captured proof cheap to guess from
MAX_ITERATIONS = 1_000_000  # about a quarter of a second; a hostile server could ask for hours

_FORBIDDEN = re.compile(r"[\0\x01\r\n]")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1
_SERVER_FIRST = re.compile(
    rb"r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,[A-Za-z]=[^,]+)*"
)
_SERVER_FINAL = re.compile(rb"v=([A-Za-z0-9+/=]+)(?:,[A-Za-z]=[^,]+)*")
_NO_BINDINGS: Mapping[str, bytes] = MappingProxyType({})
_TOKENS = ("OAUTHBEARER", "XOAUTH2")
_PLUS = "SCRAM-SHA-256-PLUS"


class Distrust(Exception):  # noqa: N818 - it names the outcome
    """What the server said does not fit the exchange: give it up, and believe no success."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in, and with what.

    :ivar token: a bearer token; ``""`` for none.
    :ivar mechanisms: those that may be used. A server may keep keys for some passwords and offer SCRAM for
        all; nothing weaker is tried by itself after a refusal, so say PLAIN alone where that is known.
    :raises ValueError: a control character that would end a field, or what is no token.
    """

    name: str
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    mechanisms: tuple[str, ...] = MECHANISMS

    def __post_init__(self) -> None:
        if not self.name or _FORBIDDEN.search(self.name + self.password):
            raise ValueError("a name, and no NUL, ^A, CR or LF in it or in the password")
        if self.token and not _TOKEN.fullmatch(self.token):
            raise ValueError("that is no bearer token")


def choose(
    offered: Collection[str],
    credentials: Credentials,
    *,
    cleartext: bool,
    bindings: Mapping[str, bytes] = _NO_BINDINGS,
) -> str | None:
    """Choose the strongest mechanism offered that these credentials allow; None: there is none.

    :param offered: in upper case.
    :param cleartext: whether a secret may be said as it is: under TLS, or where that was allowed.
    :param bindings: this connection's channel bindings by name.
    """
    for mechanism in MECHANISMS:
        has = credentials.token if mechanism in _TOKENS else credentials.password
        if (
            mechanism in offered
            and mechanism in credentials.mechanisms
            and has
            and (cleartext or mechanism not in CLEARTEXT)
            and (bindings or mechanism != _PLUS)
        ):
            return mechanism
    return None


class ClientExchange:
    """One exchange; a mechanism says what follows a challenge."""

    __slots__ = ("complete", "initial")

    def __init__(self, initial: bytes | None) -> None:
        self.initial = initial
        self.complete = True

    def respond(self, challenge: bytes) -> bytes:
        """Respond to a challenge.

        :raises Distrust: it does not fit.
        """
        raise Distrust(f"a challenge where none belongs, of {len(challenge)} octets")


class _Login(ClientExchange):
    """LOGIN: whatever the prompts say, the name is asked for and then the password."""

    __slots__ = ("_left",)

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(None)
        self.complete = False
        self._left = [credentials.password.encode(), credentials.name.encode()]

    def respond(self, challenge: bytes) -> bytes:
        if not self._left:
            return super().respond(challenge)
        response = self._left.pop()
        self.complete = not self._left
        return response


class _Bearer(ClientExchange):
    """OAUTHBEARER and XOAUTH2: a challenge tells why the token failed, and wants a dummy response."""

    __slots__ = ("_dummy",)

    def __init__(self, initial: bytes, dummy: bytes) -> None:
        super().__init__(initial)
        self._dummy = dummy

    def respond(self, challenge: bytes) -> bytes:
        if not self.complete:
            return super().respond(challenge)
        self.complete = False
        return self._dummy


class _Scram(ClientExchange):
    """SCRAM-SHA-256, with a channel binding or without (RFC 5802 §5, RFC 7677)."""

    __slots__ = ("_bare", "_bound", "_nonce", "_password", "_signature")

    def __init__(self, credentials: Credentials, header: bytes, bound: bytes, nonce: str) -> None:
        name = saslprep(credentials.name).replace("=", "=3D").replace(",", "=2C").encode()
        self._nonce = nonce.encode("ascii")
        self._bare = b"n=%b,r=%b" % (name, self._nonce)
        self._bound = header + bound
        self._password = saslprep(credentials.password).encode()
        self._signature = b""
        super().__init__(header + self._bare)
        self.complete = False

    def respond(self, challenge: bytes) -> bytes:
        if self.complete:
            return super().respond(challenge)
        return self._verify(challenge) if self._signature else self._prove(challenge)

    def _prove(self, challenge: bytes) -> bytes:
        match = _SERVER_FIRST.fullmatch(challenge)
        if match is None:
            raise Distrust("that is no first message of a SCRAM server")
        nonce, salt, iterations = match[1], decode_base64(match[2]), int(match[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not salt:
            raise Distrust("the server's nonce or salt is not as it must be")
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise Distrust(f"the server asks for {iterations} iterations")
        final = b"c=%b,r=%b" % (encode_base64(self._bound), nonce)
        message = b",".join((self._bare, challenge, final))
        proof, self._signature = prove(self._password, salt, iterations, message)
        return final + b",p=" + encode_base64(proof)

    def _verify(self, challenge: bytes) -> bytes:
        match = _SERVER_FINAL.fullmatch(challenge)
        signature = decode_base64(match[1]) if match else None
        if signature is None or not hmac.compare_digest(signature, self._signature):
            raise Distrust("the server does not know the password's keys")
        self.complete = True
        return b""


def begin(
    mechanism: str,
    credentials: Credentials,
    *,
    offered: Collection[str] = (),
    bindings: Mapping[str, bytes] = _NO_BINDINGS,
    nonce: Callable[[], str] = fresh_nonce,
) -> ClientExchange:
    """Begin an exchange.

    :param mechanism: what :func:`choose` gave.
    :param offered: all that the server offers: with it SCRAM tells the server whether the ``-PLUS``
        variant was hidden from us (RFC 5802 §6).
    :raises ValueError: there is no such mechanism, no binding, or no form of the name or password
        by SASLprep.
    """
    name, token = credentials.name, credentials.token
    match mechanism:
        case "PLAIN":
            return ClientExchange(b"\0%b\0%b" % (name.encode(), credentials.password.encode()))
        case "LOGIN":
            return _Login(credentials)
        case "OAUTHBEARER":
            known = name.replace("=", "=3D").replace(",", "=2C")
            return _Bearer(f"n,a={known},\x01auth=Bearer {token}\x01\x01".encode(), b"\x01")
        case "XOAUTH2":
            return _Bearer(f"user={name}\x01auth=Bearer {token}\x01\x01".encode(), b"")
        case "SCRAM-SHA-256":
            flag = b"y,," if bindings and _PLUS not in offered else b"n,,"
            return _Scram(credentials, flag, b"", nonce())
        case "SCRAM-SHA-256-PLUS" if bindings:
            kind, bound = next(iter(bindings.items()))
            return _Scram(credentials, f"p={kind},,".encode("ascii"), bound, nonce())
    raise ValueError(f"{mechanism} cannot be begun")
