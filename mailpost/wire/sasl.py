"""SASL as this office speaks it (RFC 4422): which mechanisms there are, and how an exchange begins.

::

    mechanism           source                  what the office must be able to check   needs
    SCRAM-SHA-256-PLUS  RFC 5802, 7677, 9266    keys                                    a TLS binding
    SCRAM-SHA-256       RFC 5802, 7677          keys
    OAUTHBEARER         RFC 7628                tokens                                  no listeners
    XOAUTH2             Google's                tokens                                  no listeners
    PLAIN               RFC 4616                passwords                               no listeners
    LOGIN               draft-murchison         passwords                               no listeners

SMTP (RFC 4954) and POP3 (RFC 5034) frame the exchange: base64, ``=`` for an empty initial response, ``*`` to
give up. Drive it so::

    step = start("PLAIN").step(initial response or None)
    Challenge         say it, give what comes back to exchange.step
    a question        find out, then exchange.admit, .refuse or .give, which return the next step
    Accepted          they are in
    Rejected          they are not
"""

from __future__ import annotations

from enum import Flag, auto
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailpost.wire.sasl_base64 import decode_base64, encode_base64
from mailpost.wire.sasl_oauth import OAuthBearer, TokenTerms, XOAuth2
from mailpost.wire.sasl_plain import Login, Plain
from mailpost.wire.scram import Scram, ScramPlus, fresh_nonce

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailpost.wire.sasl_exchange import Exchange

__all__ = [
    "CLEARTEXT",
    "MECHANISMS",
    "Checks",
    "TokenTerms",
    "decode_base64",
    "encode_base64",
    "offered",
    "start",
]


class Checks(Flag):
    """What the office is able to check."""

    PASSWORDS = auto()
    KEYS = auto()
    TOKENS = auto()


_NEEDED = {  # the strongest first: many a client takes the first that it knows
    ScramPlus.mechanism: Checks.KEYS,
    Scram.mechanism: Checks.KEYS,
    OAuthBearer.mechanism: Checks.TOKENS,
    XOAuth2.mechanism: Checks.TOKENS,
    Plain.mechanism: Checks.PASSWORDS,
    Login.mechanism: Checks.PASSWORDS,
}

MECHANISMS = tuple(_NEEDED)
"""All that there are, whether offered or not."""

CLEARTEXT = frozenset((OAuthBearer.mechanism, XOAuth2.mechanism, Plain.mechanism, Login.mechanism))
"""Those that send a secret as it is: without TLS they are refused, SMTP's 538 5.7.11 (RFC 4954 §6)."""

_NO_BINDINGS: Mapping[str, bytes] = MappingProxyType({})


@cache  # asked at every greeting, and there are few answers
def offered(checks: Checks, *, tls: bool, binding: bool, cleartext: bool) -> tuple[str, ...]:
    """Tell which mechanisms a peer is offered just now, the strongest first.

    :param checks: what the office is able to check.
    :param tls: whether TLS is spoken on this connection.
    :param binding: whether there is something in that TLS to bind to.
    :param cleartext: whether secrets may be sent without TLS: loopback, or a proxy that ends TLS.
    """
    secret = tls or cleartext
    return tuple(
        mechanism
        for mechanism, needed in _NEEDED.items()
        if needed & checks
        and (secret or mechanism not in CLEARTEXT)
        and (binding or mechanism != ScramPlus.mechanism)
    )


def start(
    mechanism: str,
    *,
    bindings: Mapping[str, bytes] = _NO_BINDINGS,
    nonce: Callable[[], str] = fresh_nonce,
    terms: TokenTerms = TokenTerms(),  # noqa: B008 - frozen
) -> Exchange:
    """Begin an exchange.

    :param mechanism: one of those that :func:`offered` gives, in upper case.
    :param bindings: the channel bindings of this connection, by name: ``tls-exporter`` in TLS 1.3,
        ``tls-unique`` before. They are given for SCRAM-SHA-256 as well wherever the -PLUS variant is
        offered: that is how a client is found out to whom somebody else did not show it.
    :param nonce: makes SCRAM's nonces: printable US-ASCII without a comma.
    :param terms: what a client is told whose token was refused.
    :raises ValueError: there is no such mechanism.
    """
    match mechanism:
        case Plain.mechanism:
            return Plain()
        case Login.mechanism:
            return Login()
        case Scram.mechanism:
            return Scram(bindings, nonce)
        case ScramPlus.mechanism:
            return ScramPlus(bindings, nonce)
        case OAuthBearer.mechanism:
            return OAuthBearer(terms)
        case XOAuth2.mechanism:
            return XOAuth2(terms)
    raise ValueError(f"there is no mechanism {mechanism}")
