"""Logging in by proof (SCRAM): whose keys are asked for, and whose password was proven.

::

    KeysAsked  --> ProofChecker.keys --> the engine checks the proof --> ProofGiven
    ProofGiven --> the Portal, ProofChecker.requestAvatarId          --> the account

Between the two an account may have lost its password or have gone; so what was proven is looked up again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.avatars import SEPARATOR, asked_for, avatar
from mailpost.accounts.checkers import NOBODY, known_as
from mailpost.accounts.credentials import IProof, ProvenLogin
from mailpost.accounts.scram import BadKeys, decode, encode

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from mailpost.accounts.checkers import AccountBook
    from mailpost.accounts.scram import KeyMaker
    from mailpost.store.accounts import Account
    from mailpost.wire.scram_keys import ScramKeys

_log = Logger()


@implementer(ICredentialsChecker)
class ProofChecker:
    """Knows the keys of the office's accounts.

    :param domains: the office's domains, with which a login name may end.
    """

    credentialInterfaces = (IProof,)

    def __init__(
        self,
        book: AccountBook,
        domains: Container[str],
        maker: KeyMaker,
        separator: str = SEPARATOR,
    ) -> None:
        self._book = book
        self._domains = domains
        self._maker = maker
        self._separator = separator
        # Whose keys are read in place of those of somebody who does not exist: both cost the same.
        self._nobody = evolve(NOBODY, scram=encode(maker.known("", ())[0]))

    def keys(self, name: str) -> Sequence[ScramKeys]:
        """Give the keys to check somebody against; made-up ones where there is nobody of this name.

        :raises TemporaryFailure: the store cannot be read just now.
        """
        asked = asked_for(name.encode(), self._domains, self._separator)
        if asked is None:
            return self._maker.known(name, ())
        kept = self._kept(self._book.find(asked.name))
        return self._maker.known(asked.name, [keys for keys, _ in kept])

    def requestAvatarId(self, credentials: ProvenLogin) -> Any:  # octets
        """Tell whose password was proven.

        :raises UnauthorizedLogin: it is nobody's any more.
        """
        asked = asked_for(credentials.username, self._domains, self._separator)
        account = self._book.find(asked.name) if asked else None
        for keys, own in self._kept(account):
            if keys == credentials.keys and asked and account:
                return known_as(credentials, avatar(asked, self._book, account, own))
        raise UnauthorizedLogin("name or password is wrong")

    def _kept(self, account: Account | None) -> list[tuple[ScramKeys, str | None]]:
        """An account's keys, and the device that each of them is of; None: of the main password."""
        found = self._read(account or self._nobody)
        return found if account else []

    def _read(self, account: Account) -> list[tuple[ScramKeys, str | None]]:
        kept: list[tuple[str | None, str | None]] = [(account.scram, None)]
        kept += [(one.scram, one.name) for one in self._book.devices_of(account)]
        found = []
        for text, own in kept:
            try:
                if text is not None:
                    found.append((decode(text), own))
            except BadKeys as error:
                whose = f"{account.name}{SEPARATOR}{own}" if own else account.name
                _log.error("the keys of {user} cannot be used: {why}", user=whose, why=error)
        return found
