"""Checkers: whether a name and a password belong together, in the sense of ``twisted.cred``.

The office's own checker asks the account book. A password that was right of late is known again at
once; any other goes through the turnstile, and so does one for a name that does not exist, so that
neither the answer nor the time it takes tells who exists.
"""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from twisted.cred.checkers import (
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from mailpost.accounts import passwords
from mailpost.accounts.avatars import SEPARATOR, asked_for, avatar
from mailpost.accounts.credentials import DigestLogin, Offered
from mailpost.accounts.passwords import Remembered
from mailpost.accounts.scram import device_digest
from mailpost.store.accounts import Account

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from zope.interface.interface import InterfaceClass

    from mailpost.accounts.avatars import Asked, Known
    from mailpost.accounts.turnstile import Turnstile
    from mailpost.store.devices import Device


NOBODY = Account(0, "nobody", None, 0, 0)
"""Whom a checker looks for in place of somebody who does not exist, so that both cost the same."""


class AccountBook(Protocol):
    """What is asked of the store's accounts here."""

    def find(self, name: str) -> Account | None:
        """Find an account by its name, as it is now; None if there is none."""

    def devices_of(self, account: Account) -> Sequence[Device]:
        """Give the account's devices, as they are now."""

    def seen(self, device: int, when: float) -> None:
        """Note that a device has logged in, in seconds since 1970."""


@implementer(ICredentialsChecker)
class AccountChecker:
    """Checks against the account book.

    An avatar's id is the account's name; where it is a device's password, ``alice#phone``;
    :mod:`mailpost.accounts.avatars` has all of them.

    :param domains: the office's domains, with which a login name may end.
    :param secret: the office's key, for the digests of devices' passwords.
    :param separator: what users type between an account and its device.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        book: AccountBook,
        domains: Container[str],
        turnstile: Turnstile,
        secret: bytes,
        remembered: Remembered | None = None,
        separator: str = SEPARATOR,
    ) -> None:
        self._book = book
        self._domains = domains
        self._turnstile = turnstile
        self._secret = secret
        self._remembered = Remembered() if remembered is None else remembered
        self._separator = separator

    def counted_as(self, name: str) -> str:
        """As whom the guard counts logins of a name: all names of an account are one, who exists or not."""
        asked = asked_for(name.encode(), self._domains, self._separator)
        return asked.name if asked else name.lower()

    def requestAvatarId(self, credentials: IUsernamePassword) -> Any:  # at once, or by a Deferred
        """Find out whose password it is.

        :raises UnauthorizedLogin: nobody's; any other failure means that it could not be found out.
        """
        password: bytes = credentials.password
        asked = asked_for(credentials.username, self._domains, self._separator)
        account = self._book.find(asked.name) if asked else None
        encoded = account.password if account else None
        if asked:
            # What is known in memory comes first: devices cost a look into the store. For somebody who
            # does not exist the same is done, in vain.
            known = self._remembered.knows(asked.name, encoded or passwords.DUMMY, password)
            if known and account:
                return known_as(credentials, avatar(asked, self._book, account))
            device = self._device(account or NOBODY, password)
            if device and account:
                return known_as(credentials, avatar(asked, self._book, account, device))
        work = partial(passwords.matches, encoded or passwords.DUMMY, password)
        checked = self._turnstile.check(getattr(credentials, "peer", ""), work)
        return checked.addCallback(self._checked, asked, encoded, credentials)

    def _device(self, account: Account, password: bytes) -> str | None:
        digest = device_digest(self._secret, account.name, password)
        for device in self._book.devices_of(account):
            if hmac.compare_digest(device.digest, digest):
                return device.name
        return None

    def _checked(
        self,
        right: bool,  # noqa: FBT001 - a Deferred's result
        asked: Asked | None,
        encoded: str | None,
        credentials: IUsernamePassword,
    ) -> bytes:
        # Asked anew: the password may have been changed, or the account removed, in the meantime.
        now = self._book.find(asked.name) if asked else None
        if not right or asked is None or encoded is None or now is None or now.password != encoded:
            raise UnauthorizedLogin("name or password is wrong")
        self._remembered.add(now.name, encoded, credentials.password)
        return known_as(credentials, avatar(asked, self._book, now))


@implementer(ICredentialsChecker)
class SecretChecker:
    """Checks digests (APOP) against the secrets that a few accounts have chosen to have kept readable."""

    credentialInterfaces = (IUsernameHashedPassword,)

    def __init__(
        self, book: AccountBook, domains: Container[str], separator: str = SEPARATOR
    ) -> None:
        self._book = book
        self._domains = domains
        self._separator = separator

    def requestAvatarId(self, credentials: DigestLogin) -> Any:  # octets
        """Find out whose secret it is.

        :raises UnauthorizedLogin: nobody's, or of somebody who has none.
        """
        asked = asked_for(credentials.username, self._domains, self._separator)
        account = self._book.find(asked.name) if asked else None
        secret = account.secret if account else None
        right = credentials.checkPassword(secret or "")
        if not right or not secret or account is None or asked is None:
            raise UnauthorizedLogin("name or password is wrong")
        return known_as(credentials, avatar(asked, self._book, account))


def known_as(credentials: object, who: Known) -> Known:
    """Note who it turned out to be, for the log; the avatar's id."""
    if isinstance(credentials, Offered):
        credentials.account = who.decode()
    return who


@implementer(ICredentialsChecker)
class AnyOf:
    """Several checkers, asked in their order until one says yes.

    A login is wrong only where all say so; where one could not tell, it may be right later.
    """

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers
        interfaces: list[InterfaceClass] = []
        for checker in checkers:
            interfaces += checker.credentialInterfaces
        self.credentialInterfaces = tuple(dict.fromkeys(interfaces))

    def requestAvatarId(self, credentials: object) -> Deferred[bytes | tuple[()]]:
        """Ask one after the other."""
        return Deferred.fromCoroutine(self._ask(credentials))

    async def _ask(self, credentials: object) -> bytes | tuple[()]:
        failure: Exception = UnauthorizedLogin("name or password is wrong")
        for checker in self._checkers:
            if not any(one.providedBy(credentials) for one in checker.credentialInterfaces):
                continue
            try:
                return await maybeDeferred(checker.requestAvatarId, credentials)
            except UnauthorizedLogin:
                continue
            except Exception as error:  # noqa: BLE001 - a plugin of somebody else's
                if isinstance(failure, UnauthorizedLogin):
                    failure = error
        raise failure


def in_octets(checker: ICredentialsChecker) -> ICredentialsChecker:
    """Make a checker take names as they come off the wire.

    Twisted's own plugin ``memory:`` keeps the names it was given as text, and would know nobody.
    """
    if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
        users: dict[Any, bytes] = checker.users
        checker.users = {
            name.encode() if isinstance(name, str) else name: password
            for name, password in users.items()
        }
    return checker
