"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's): a bearer token (RFC 6750) in place of a password.

::

    OAUTHBEARER   n,a=alice@example.org,^Ahost=mx.example.org^Aport=587^Aauth=Bearer <token>^A^A
    XOAUTH2       user=alice@example.org^Aauth=Bearer <token>^A^A        (^A is the octet 0x01)

A token that is refused is answered with a challenge in JSON that says why, and which scope it needs; the
client has to say something to that, and only then it has failed (RFC 7628 §3.2.3).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire.gs2 import parse_header
from mailpost.wire.sasl_events import Challenge, Reason, Rejected, TokenOffered
from mailpost.wire.sasl_exchange import Exchange, Refusal, prepared_name

if TYPE_CHECKING:
    from mailpost.wire.sasl_events import Step

_PAIRS = re.compile(rb"(?:[A-Za-z]+=[\t -~]*\x01)*")
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)  # RFC 6750 §2.1


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a client is told whose token was refused.

    :ivar scope: the scope that a token needs; ``""``: nothing is said of it.
    :ivar discovery: the URL of the issuer's OpenID configuration, for clients that get a token from there.
    """

    scope: str = ""
    discovery: str = ""


class OAuthBearer(Exchange):
    """OAUTHBEARER."""

    __slots__ = ("_failed", "_terms")

    mechanism: ClassVar[str] = "OAUTHBEARER"
    max_response = 9216  # what RFC 4954 §4.1's 12,288 octets of base64 hold

    def __init__(self, terms: TokenTerms) -> None:
        super().__init__()
        self._terms = terms
        self._failed = False

    def _take(self, response: bytes) -> Step:
        if self._failed:  # whatever it is, a dummy ^A by the book
            return Rejected(Reason.WRONG)
        name, authorization = self._read(response)
        match = _BEARER.fullmatch(authorization)
        if match is None:  # RFC 7628 §3.2.2: who has no token learns where to get one
            self.name = name
            return self._refused()
        return TokenOffered(name, match[1].decode("ascii"))

    def _read(self, response: bytes) -> tuple[str, bytes]:
        """Part a response into who it is, perhaps ``""``, and what would be HTTP's Authorization."""
        header, rest = parse_header(response)
        if header.flag == "p" or rest[:1] != b"\x01":
            raise Refusal(Reason.MALFORMED)
        return header.authorization, _pairs(rest[1:])[b"auth"]

    def _refused(self) -> Step:
        self._failed = True
        return Challenge(json.dumps(self._complaint()).encode("ascii"))

    def _complaint(self) -> dict[str, str]:
        complaint = {"status": "invalid_token"}
        if self._terms.scope:
            complaint["scope"] = self._terms.scope
        if self._terms.discovery:
            complaint["openid-configuration"] = self._terms.discovery
        return complaint


class XOAuth2(OAuthBearer):
    """XOAUTH2: the same with a simpler message, which many clients still speak."""

    __slots__ = ()

    mechanism = "XOAUTH2"

    def _read(self, response: bytes) -> tuple[str, bytes]:
        user, _, rest = response.partition(b"\x01")
        if not user.startswith(b"user="):
            raise Refusal(Reason.MALFORMED)
        return prepared_name(user[5:]), _pairs(rest)[b"auth"]

    def _complaint(self) -> dict[str, str]:
        complaint = {"status": "401", "schemes": "bearer"}
        if self._terms.scope:
            complaint["scope"] = self._terms.scope
        return complaint


def _pairs(octets: bytes) -> dict[bytes, bytes]:
    """Read key=value pairs, each ended by ^A, all of them ended by another; ``auth`` is among them.

    :raises Refusal: they are none.
    """
    if octets[-1:] != b"\x01" or not _PAIRS.fullmatch(octets[:-1]):
        raise Refusal(Reason.MALFORMED)
    items = [pair.split(b"=", 1) for pair in octets[:-1].split(b"\x01") if pair]
    pairs = {key.lower(): value for key, value in items}
    if len(pairs) != len(items) or b"auth" not in pairs:
        raise Refusal(Reason.MALFORMED)
    return pairs
