"""Where a session's logins come in, whichever protocol and mechanism they came by.

::

    LoginOffered, DigestOffered,
    TokenOffered, ProofGiven      --> credentials --> the Portal --> ISender or IMaildrop
    KeysAsked                     --> the checker that has the keys
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

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
from mailpost.outcome import TemporaryFailure
from mailpost.wire.login import DigestOffered, LoginOffered, ProofGiven
from mailpost.wire.sasl import Checks, TokenTerms
from mailpost.wire.sasl_events import TokenOffered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.cred.portal import Portal
    from twisted.internet.interfaces import IReactorTime

    from mailpost.guard import Guard
    from mailpost.interfaces import IMaildrop, ISender
    from mailpost.wire import login as wire
    from mailpost.wire.scram_keys import ScramKeys

Avatar = TypeVar("Avatar")

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

    def __init__(self, portal: Portal, clock: IReactorTime) -> None:
        self._portal = portal
        self._clock = clock
        self.checks = Checks(0)
        self._checkers: dict[Any, Any] = portal.checkers
        for interface in self._checkers:
            self.checks |= _CHECKED.get(interface, Checks(0))
        passwords = self._checkers.get(IUsernamePassword)
        self._counted_as: Callable[[str], str] = getattr(passwords, "counted_as", str.lower)
        tokens = self._checkers.get(IBearerToken)
        self.told: TokenTerms = getattr(tokens, "told", TokenTerms())

    def keys(self, name: str) -> Sequence[ScramKeys]:
        """Give the keys that a proof is checked against.

        :raises TemporaryFailure: they cannot be read just now.
        """
        keys: Sequence[ScramKeys] = self._checkers[IProof].keys(name)
        return keys

    async def to_collect(
        self,
        asked: wire.Login,
        peer: str,
        guard: Guard | None = None,
        session: object = None,
    ) -> tuple[IMaildrop, str]:
        """Log in to collect: the maildrop, and who it is. Fails as :func:`~.portal.login` does.

        :param guard: says how long whoever guesses has to wait; None: nobody does.
        :param session: whose ``revoked`` is called when the login is taken away.
        """
        return await self._enter(partial(login, session=session), asked, peer, guard)

    async def to_send(
        self,
        asked: wire.Login,
        peer: str,
        guard: Guard | None = None,
        session: object = None,
    ) -> tuple[ISender, str]:
        """The same to hand letters in: the sender, and who it is."""
        return await self._enter(partial(login_to_send, session=session), asked, peer, guard)

    async def _enter(
        self,
        enter: Callable[[Portal, Offered], Avatar | Deferred[Avatar]],
        asked: wire.Login,
        peer: str,
        guard: Guard | None,
    ) -> tuple[Avatar, str]:
        if guard is None:
            credentials = _credentials(asked, peer)
            return await _entered(enter(self._portal, credentials)), credentials.account
        _turn_away(guard, peer)
        account = self._counted_as(asked.name)
        if seconds := guard.slow(peer, account):
            await self._wait(seconds)
            _turn_away(guard, peer)  # its neighbours may have guessed on meanwhile
        try:
            credentials = _credentials(asked, peer)
            avatar = await _entered(enter(self._portal, credentials))
        except LoginFailed:
            await self._wait(guard.wrong(peer, asked.name, _guess(asked), account))
            raise
        guard.right(peer, account)
        return avatar, credentials.account

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await deferLater(self._clock, seconds)


async def _entered(entering: Avatar | Deferred[Avatar]) -> Avatar:
    return await entering if isinstance(entering, Deferred) else entering


def _turn_away(guard: Guard, peer: str) -> None:
    """Let nobody go on whose address is banned.

    :raises TemporaryFailure: it is.
    """
    if guard.banned(peer):
        raise TemporaryFailure("its address is banned")


def _guess(asked: wire.Login) -> bytes | None:
    """What tells one guess from another; None for a proof and a digest, which say nothing of it."""
    if isinstance(asked, LoginOffered):
        return asked.password
    return asked.token.encode() if isinstance(asked, TokenOffered) else None


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
