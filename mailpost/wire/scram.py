"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; channel bindings: RFC 5929, RFC 9266).

::

    C: n,,n=alice,r=<nonce>              who it is                  -> KeysAsked
    S: r=<nonce and ours>,s=<salt>,i=<count>
    C: c=<binding>,r=<nonce>,p=<proof>   the proof of its password
    S: v=<signature>                     the proof that we have its keys
    C:                                                              -> Accepted

SMTP and POP3 have no room for the signature in their last reply (RFC 4954 §4, RFC 5034 §4): it is a
challenge, answered with nothing. No ``e=`` is said: a failure is the protocol's own reply, the same for all,
and says nothing of who exists.

The password itself is never sent. With a binding the proof holds for this TLS connection alone: who sits
between two of them gains nothing, nor does one who hides the binding from the client (flag ``y``).
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire.sasl_base64 import encode_base64
from mailpost.wire.sasl_events import Accepted, Challenge, KeysAsked, Reason
from mailpost.wire.sasl_exchange import Exchange, Refusal
from mailpost.wire.scram_keys import ScramKeys, proves, server_signature
from mailpost.wire.scram_messages import ClientFinal, ClientFirst, parse_final, parse_first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailpost.wire.sasl_events import Step


def fresh_nonce() -> str:
    """Make our part of a nonce: 144 bits, in characters that it may have."""
    return secrets.token_urlsafe(18)


class Scram(Exchange):
    """SCRAM-SHA-256, without channel binding.

    :param bindings: what the ``-PLUS`` variant, where it is offered too, could bind to: the name of a binding
        (``tls-exporter``, ``tls-unique``) and its octets for this connection.
    :param nonce: makes our part of the nonce.
    """

    __slots__ = ("_bindings", "_first", "_keys", "_make_nonce", "_passed", "_server_first")

    mechanism: ClassVar[str] = "SCRAM-SHA-256"
    proven = True

    def __init__(self, bindings: Mapping[str, bytes], nonce: Callable[[], str]) -> None:
        super().__init__()
        self._bindings = bindings
        self._make_nonce = nonce
        self._first: ClientFirst | None = None
        self._server_first = b""
        self._keys: Sequence[ScramKeys] = ()
        self._passed: ScramKeys | None = None

    def _take(self, response: bytes) -> Step:
        if self._first is None:
            first = self._first = parse_first(response)
            self._check_flag(first)
            return KeysAsked(first.name)
        if self._passed is not None:
            if response:
                raise Refusal(Reason.MALFORMED)
            return Accepted(self.name, self._passed)
        return self._check(self._first, parse_final(response))

    def _check_flag(self, first: ClientFirst) -> None:
        """Refuse a first message whose flag does not go with the mechanism (RFC 5802 §6)."""
        if first.header.flag == "p":
            raise Refusal(Reason.MALFORMED)
        if first.header.flag == "y" and self._bindings:
            raise Refusal(Reason.DOWNGRADED)

    def _given(self, keys: Sequence[ScramKeys]) -> Step:
        assert self._first is not None
        if len({(one.salt, one.iterations) for one in keys}) != 1:
            raise RuntimeError(
                "a user's keys have one salt and one count, and there is one at least"
            )
        self._keys = keys
        salt, count = encode_base64(keys[0].salt), keys[0].iterations
        nonce = self._first.nonce + self._make_nonce().encode("ascii")
        self._server_first = b"r=%b,s=%b,i=%d" % (nonce, salt, count)
        return Challenge(self._server_first)

    def _check(self, first: ClientFirst, final: ClientFinal) -> Step:
        nonce = self._server_first[2:].partition(b",")[0]
        if not hmac.compare_digest(final.nonce, nonce):
            raise Refusal(Reason.MALFORMED)
        bound = self._bindings[first.header.binding] if first.header.binding else b""
        if not hmac.compare_digest(final.binding, first.header.octets + bound):
            raise Refusal(Reason.UNBOUND)
        message = b",".join((first.bare, self._server_first, final.without_proof))
        # All of them are tried, whichever fits: time does not tell which.
        fitting = [keys for keys in self._keys if proves(keys, final.proof, message)]
        if not fitting:
            raise Refusal(Reason.WRONG)
        self._passed = fitting[0]
        return Challenge(b"v=" + encode_base64(server_signature(fitting[0], message)))


class ScramPlus(Scram):
    """SCRAM-SHA-256-PLUS: the proof is bound to the connection's TLS."""

    __slots__ = ()

    mechanism = "SCRAM-SHA-256-PLUS"

    def _check_flag(self, first: ClientFirst) -> None:
        if first.header.flag != "p":
            raise Refusal(Reason.MALFORMED)
        if first.header.binding not in self._bindings:
            raise Refusal(Reason.UNBOUND)
