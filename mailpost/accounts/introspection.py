"""The issuer's word on a token: RFC 7662, as its client.

Asked over HTTPS, answered in JSON; redirects are not followed, for the token is for nobody else, and an
answer has an end. Whether and how often to ask is for :mod:`mailpost.accounts.tokens`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus, urlsplit

from attrs import field, frozen
from twisted.cred.error import UnauthorizedLogin

from mailpost.accounts.names import login_name

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from twisted.internet.defer import Deferred

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_MAX_ANSWER = 1 << 16  # octets; an answer has some hundred
_OK = 200


class HTTP(Protocol):
    """What is asked of treq here."""

    @property
    def post(self) -> Callable[..., Deferred[Any]]:
        """POST to a URL, and fire with the response."""


def treq_client(reactor: Any, timeout: float) -> HTTP:
    """Make an HTTP client of treq; the issuer's certificate is checked against the system's roots.

    :param timeout: seconds that connecting may take.
    """
    from treq.client import HTTPClient  # noqa: PLC0415 - few offices need it, and it is heavy
    from twisted.web.client import Agent  # noqa: PLC0415 - the same

    return HTTPClient(Agent(reactor, connectTimeout=timeout))


@frozen
class Introspection:
    """Where and how tokens are asked about.

    :ivar endpoint: the introspection endpoint's URL: ``https``, or ``http`` on this machine.
    :ivar client_id: what the office is called there, for HTTP's Basic authentication.
    :ivar client_secret: its password there.
    :ivar scope: what a token must be good for, several separated by spaces; ``""`` would take any token
        that the issuer has given to anybody for anything.
    :ivar discovery: the URL of the issuer's OpenID configuration, for clients whose token was refused;
        ``""``: nothing is said of it.
    :ivar claim: where the answer names the user: ``username``, ``sub``, ``email`` or another.
    :ivar timeout: seconds that an answer may take.
    :ivar believed: seconds that an answer is believed, where the token does not end sooner. A token that
        is revoked is good for so long.
    :ivar remembered: how many tokens are remembered.
    :ivar asked: how many may be asked about at a time.
    :ivar asked_by_peer: how many of them for one peer's address.
    :raises ValueError: the token would be sent where others can read it.
    """

    endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    discovery: str = ""
    claim: str = "username"
    timeout: float = 10.0
    believed: float = 300.0
    remembered: int = 10_000
    asked: int = 64
    asked_by_peer: int = 16

    def __attrs_post_init__(self) -> None:
        url = urlsplit(self.endpoint)
        safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
        if not safe or not url.hostname:
            raise ValueError("a token is asked about over https, or http on this machine")


async def introspect(http: HTTP, terms: Introspection, token: str) -> Mapping[str, Any]:
    """Ask the issuer about a token (RFC 7662 §2).

    :returns: what it says; that may be that the token is not active.
    :raises Exception: there is no answer, or none that makes sense.
    """
    response = await http.post(
        terms.endpoint,
        data={"token": token, "token_type_hint": "access_token"},
        # RFC 6749 §2.3.1: encoded before they are joined by a colon
        auth=(quote_plus(terms.client_id), quote_plus(terms.client_secret)),
        headers={"Accept": "application/json"},
        allow_redirects=False,
        unbuffered=True,
    )
    answer = bytearray()

    def take(piece: bytes) -> None:
        if len(answer) + len(piece) > _MAX_ANSWER:
            raise ValueError("the answer has no end")
        answer.extend(piece)

    await response.collect(take)
    if response.code != _OK:
        raise ValueError(f"the issuer says {response.code}")
    claims = json.loads(answer, parse_constant=_no_constant)
    if not isinstance(claims, dict):
        raise TypeError("the answer is no JSON object")
    return claims


def account_of(
    claims: Mapping[str, Any], terms: Introspection, domains: Container[str], now: float
) -> str:
    """Tell whose token the issuer has described.

    :param now: seconds since 1970.
    :returns: an account's name; there may be no such account.
    :raises UnauthorizedLogin: the token is not active, not for this office, or of nobody here.
    """
    if claims.get("active") is not True:
        raise UnauthorizedLogin("the token is not active")
    if end_of(claims, now + 1) <= now or _number(claims, "nbf", now) > now:
        raise UnauthorizedLogin("the token is over, or has not begun")
    scope = claims.get("scope")
    if not set(terms.scope.split()).issubset(scope.split() if isinstance(scope, str) else ()):
        raise UnauthorizedLogin("the token is not for this")
    # OpenID Connect Core §5.1: where it says that the address is not verified, anybody may have written it.
    if terms.claim == "email" and claims.get("email_verified", True) is not True:
        raise UnauthorizedLogin("the address in the token is not verified")
    user = claims.get(terms.claim)
    account = login_name(user.encode(), domains) if isinstance(user, str) else None
    if account is None:
        raise UnauthorizedLogin("the token is of nobody here")
    return account


def end_of(claims: Mapping[str, Any], otherwise: float) -> float:
    """Tell when a token ends, in seconds since 1970, or ``otherwise`` where the issuer does not say."""
    return _number(claims, "exp", otherwise)


def _number(claims: Mapping[str, Any], claim: str, otherwise: float) -> float:
    value = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return value


def _no_constant(name: str) -> Any:
    """Refuse NaN and the infinities, which Python takes and JSON does not know."""
    raise ValueError(f"{name} is no JSON")
