"""How a listener is secured: what of TLS it offers, and what may be said without.

Asked by the rooms for each peer that comes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.limits import is_loopback
from mailpost.wire.login import Access
from mailpost.wire.sasl import TokenTerms

if TYPE_CHECKING:
    from mailpost.tls.server import ServerTLS
    from mailpost.wire.sasl import Checks


@frozen
class Security:
    """What of TLS a listener offers, and what it allows without.

    :ivar tls: the server's side of TLS; None: there is none.
    :ivar implicit: it is spoken from the first octet (RFC 8314); if not, on request.
    :ivar cleartext: a password may be said without it, wherever the peer is; on this machine it always may.
    """

    tls: ServerTLS | None = None
    implicit: bool = False
    cleartext: bool = True

    def access_from(self, peer: str, checks: Checks, tokens: TokenTerms = TokenTerms()) -> Access:  # noqa: B008
        """How this peer may come in.

        :param checks: what the office can check.
        :param tokens: what a client is told whose token was refused.
        """
        can_tls = self.tls is not None and not self.implicit
        cleartext = self.cleartext or is_loopback(peer)
        return _access(can_tls, self.implicit, cleartext, checks, tokens)


@lru_cache  # every session holds one, and there are few that differ
def _access(
    can_tls: bool,  # noqa: FBT001 - by position, for the cache
    tls: bool,  # noqa: FBT001
    cleartext: bool,  # noqa: FBT001
    checks: Checks,
    tokens: TokenTerms,
) -> Access:
    return Access(can_tls=can_tls, tls=tls, cleartext=cleartext, checks=checks, tokens=tokens)
