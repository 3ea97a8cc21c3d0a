"""Logging in by proof (SCRAM): whose keys are asked for, and whose password was proven.

::

    KeysAsked  --> ProofChecker.keys --> the engine checks the proof --> ProofGiven
    ProofGiven --> the Portal, ProofChecker.requestAvatarId          --> the account

Between the two an account may have lost its password or have gone; so what was proven is looked up again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.checkers import known_as
from mailpost.accounts.credentials import IProof, ProvenLogin
from mailpost.accounts.names import login_name
from mailpost.accounts.scram import BadKeys, decode

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from mailpost.accounts.checkers import AccountBook
    from mailpost.accounts.scram import KeyMaker
    from mailpost.wire.scram_keys import ScramKeys

_log = Logger()


@implementer(ICredentialsChecker)
class ProofChecker:
    """Knows the keys of the office's accounts.

    :param domains: the office's domains, with which a login name may end.
    """

    credentialInterfaces = (IProof,)

    def __init__(self, book: AccountBook, domains: Container[str], maker: KeyMaker) -> None:
        self._book = book
        self._domains = domains
        self._maker = maker

    def keys(self, name: str) -> Sequence[ScramKeys]:
        """Give the keys to check somebody against; made-up ones where there is nobody of this name.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        account = login_name(name.encode(), self._domains)
        return self._maker.known(account or name, [keys for keys, _ in self._kept(account)])

    def requestAvatarId(self, credentials: ProvenLogin) -> Any:  # octets
        """Tell whose password was proven.

        :raises UnauthorizedLogin: it is nobody's any more.
        """
        account = login_name(credentials.username, self._domains)
        for keys, avatar in self._kept(account):
            if keys == credentials.keys:
                return known_as(credentials, avatar)
        raise UnauthorizedLogin("name or password is wrong")

    def _kept(self, name: str | None) -> list[tuple[ScramKeys, str]]:
        """An account's keys, and to whom each of them leads."""
        account = self._book.find(name) if name else None
        if account is None:
            return []
        kept = [(account.scram, account.name)]
        kept += [
            (one.scram, f"{account.name}#{one.name}") for one in self._book.devices_of(account)
        ]
        found = []
        for text, avatar in kept:
            try:
                if text is not None:
                    found.append((decode(text), avatar))
            except BadKeys as error:
                _log.error("the keys of {user} cannot be used: {why}", user=avatar, why=error)
        return found
