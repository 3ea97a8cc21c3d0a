"""PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00): a name and a password, as they are.

They are offered where nobody listens: under TLS, or where the office's keeper says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire.sasl_events import Challenge, Reason
from mailpost.wire.sasl_exchange import Exchange, Refusal, offered_password, prepared_name

if TYPE_CHECKING:
    from mailpost.wire.sasl_events import Step

_NUL_COUNT = 2


class Plain(Exchange):
    """PLAIN: all in one response.

    An authorization identity is taken only where it is the user's own name: nobody acts for anybody here.
    """

    __slots__ = ()

    mechanism = "PLAIN"
    forbidden: ClassVar[re.Pattern[bytes]] = re.compile(rb"[\r\n]")

    def _take(self, response: bytes) -> Step:
        if response.count(0) != _NUL_COUNT:
            raise Refusal(Reason.MALFORMED)
        authorization, name, password = response.split(b"\0")
        offer = offered_password(name, password)
        if authorization and prepared_name(authorization) != offer.name:
            raise Refusal(Reason.NOT_THEIRS)
        return offer


class Login(Exchange):
    """LOGIN: the name, then the password. Clients look at neither prompt, but the draft fixes both."""

    __slots__ = ("_typed",)

    mechanism = "LOGIN"
    prompt = b"Username:"

    def __init__(self) -> None:
        super().__init__()
        self._typed: bytes | None = None

    def _take(self, response: bytes) -> Step:
        if self._typed is not None:
            return offered_password(self._typed, response)
        self.name = prepared_name(response)
        self._typed = response
        return Challenge(b"Password:")
