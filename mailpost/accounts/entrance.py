"""Where a session's logins come in, whichever protocol and mechanism they came by.

::

    LoginOffered, TokenOffered, ProofGiven --> credentials --> the Portal --> ISender or IMaildrop
    KeysAsked                              --> the checker that has the keys
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin

from mailpost.accounts.credentials import (
    DigestLogin,
    IBearerToken,
    IProof,
    Login,
    Offered,
    ProvenLogin,
    TokenLogin,
)
from mailpost.accounts.portal import login, login_to_send
from mailpost.wire.login import DigestOffered, LoginOffered, ProofGiven
from mailpost.wire.sasl import Checks, TokenTerms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.cred.portal import Portal

    from mailpost.interfaces import IMaildrop, ISender
    from mailpost.wire import login as wire
    from mailpost.wire.scram_keys import ScramKeys

_CHECKED: dict[Any, Checks] = {
    IUsernamePassword: Checks.PASSWORDS,
    IUsernameHashedPassword: Checks.PASSWORDS,
    IProof: Checks.KEYS,
    IBearerToken: Checks.TOKENS,
}


class Entrance:
    """Asks a Portal.

    :ivar checks: what its checkers can check; no mechanism is offered beyond that.
    :ivar told: what a client hears whose token was refused: its checker's attribute of this name.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.checks = Checks(0)
        self._checkers: dict[Any, Any] = portal.checkers
        for interface in self._checkers:
            self.checks |= _CHECKED.get(interface, Checks(0))
        tokens = self._checkers.get(IBearerToken)
        self.told: TokenTerms = getattr(tokens, "told", TokenTerms())

    def keys(self, name: str) -> Sequence[ScramKeys]:
        """Give the keys that a proof is checked against.

        :raises TemporaryFailure: they cannot be read just now.
        """
        keys: Sequence[ScramKeys] = self._checkers[IProof].keys(name)
        return keys

    async def to_collect(self, asked: wire.Login, peer: str) -> tuple[IMaildrop, str]:
        """Log in to collect: the maildrop, and who it is. Fails as :func:`~.portal.login` does."""
        credentials = _credentials(asked, peer)
        return await login(self._portal, credentials), credentials.account

    async def to_send(self, asked: wire.Login, peer: str) -> tuple[ISender, str]:
        """Log in to hand letters in: the sender, and who it is. Fails as :func:`~.portal.login` does."""
        credentials = _credentials(asked, peer)
        return await login_to_send(self._portal, credentials), credentials.account


def _credentials(asked: wire.Login, peer: str) -> Offered:
    """What was offered, for the Portal.

    :raises UnauthorizedLogin: it is known to be wrong.
    """
    name = asked.name.encode()
    if isinstance(asked, LoginOffered):
        return Login(name, asked.password, peer)
    if isinstance(asked, ProofGiven):
        if asked.keys is None:
            raise UnauthorizedLogin("name or password is wrong")
        return ProvenLogin(name, asked.keys, peer)
    if isinstance(asked, DigestOffered):
        return DigestLogin(name, asked.challenge, asked.digest, peer)
    return TokenLogin(name, asked.token, peer)
