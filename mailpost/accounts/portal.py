"""The way in: the office's Portal, and a login through this one or any other.

Whatever a Portal's realm gives - the office's own :class:`~mailpost.interfaces.IMaildrop`, or the
:class:`twisted.mail.pop3.IMailbox` of a realm written for Twisted's POP3 server - collection gets
an ``IMaildrop``; whatever goes wrong, it gets one of three failures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.mail.interfaces import IMailboxPOP3

from mailpost.accounts.checkers import AccountChecker, AnyOf, SecretChecker, in_octets
from mailpost.accounts.guest import Guest
from mailpost.accounts.mailbox import MailboxMaildrop
from mailpost.accounts.proofs import ProofChecker
from mailpost.accounts.realm import OfficeRealm, nothing_to_do
from mailpost.accounts.scram import KeyMaker
from mailpost.accounts.turnstile import Turnstile
from mailpost.interfaces import IMaildrop, ISender
from mailpost.outcome import MaildropInUse, MaildropLocked, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from twisted.cred.checkers import ICredentialsChecker
    from twisted.cred.credentials import ICredentials
    from twisted.python.failure import Failure

    from mailpost.accounts.checkers import AccountBook
    from mailpost.config import Office
    from mailpost.envelope import Address
    from mailpost.store.accounts import Account

_log = Logger()
_TOLD = (UnauthorizedLogin, MaildropLocked, MaildropInUse, TemporaryFailure, CancelledError)
MAX_LANES = 4  # each takes 19 MiB


class Logins(Protocol):
    """What is asked of the store's watch over logins here."""

    def enter(self, session: Any, account: int, device: int | None = None) -> None:
        """Have a session's ``revoked`` called when the account, or the device, is taken away."""


class AccountStore(Protocol):
    """What is asked of the store here."""

    @property
    def accounts(self) -> AccountBook:
        """Who has an account."""

    @property
    def secret(self) -> bytes:
        """The office's key."""

    @property
    def iterations(self) -> int:
        """SCRAM's count for all of its accounts."""

    @property
    def logins(self) -> Logins:
        """Who is logged in."""

    def maildrop(self, account: Account, view: int | None = None) -> IMaildrop:
        """Give the maildrop of an account, or of one of its devices."""

    def lately(self, account: Account) -> IMaildrop:
        """Give what an account got of late."""


def make_portal(
    store: AccountStore,
    office: Office,
    defer_to_thread: Callable[..., Deferred[Any]],
    checkers: Sequence[ICredentialsChecker] = (),
    tokens: ICredentialsChecker | None = None,
    domains: Container[str] | None = None,
    belongs: Callable[[Address, str, int], bool] | None = None,
) -> Portal:
    """Make the Portal through which the office's users come to their maildrops.

    :param defer_to_thread: runs a callable in a thread; a Deferred of its result.
    :param checkers: other checkers (those of ``twistd --auth``), asked in turn in place of the
        office's own. Who they let in needs an account of that name, its password is not asked for.
    :param tokens: who checks bearer tokens; None: nobody does.
    :param domains: the office's domains, with which a login name may end; None: the configuration's.
    :param belongs: whether an account may send from an address; see :class:`OfficeRealm`.
    """
    domains = frozenset(office.domains) if domains is None else domains
    book, separator = store.accounts, office.device_separator
    realm = OfficeRealm(
        book,
        store.maildrop,
        domains,
        store.lately,
        store.logins.enter,
        belongs=belongs,
    )
    portal = Portal(realm)
    if checkers:
        portal.registerChecker(AnyOf([in_octets(checker) for checker in checkers]))
    else:
        turnstile = Turnstile(defer_to_thread, lanes=min(MAX_LANES, os.cpu_count() or 1))
        portal.registerChecker(
            AccountChecker(book, domains, turnstile, store.secret, separator=separator)
        )
        portal.registerChecker(SecretChecker(book, domains, separator))
        keys = KeyMaker(store.secret, store.iterations)
        portal.registerChecker(ProofChecker(book, domains, keys, separator))
    if tokens is not None:
        portal.registerChecker(tokens)
    return portal


def login(portal: Portal, credentials: ICredentials, session: object = None) -> Deferred[IMaildrop]:
    """Log in, and fire with the maildrop.

    Whoever gets it opens it; when the opening fails, or at the snapshot's ``close``, the login ends
    and its logout is called. Cancelled before it has fired, it ends as well.

    Fails with UnauthorizedLogin (name or password is wrong), MaildropLocked (by the office's owner),
    MaildropInUse, TemporaryFailure (what has happened is in the log), or CancelledError where it was
    cancelled.

    :param session: whose ``revoked`` is called when the login is taken away.
    """
    # The older interface comes first: there are realms that look at no other.
    avatar = portal.login(credentials, session, IMailboxPOP3, IMaildrop)
    return avatar.addCallbacks(_admit, _turn_away)


def login_to_send(
    portal: Portal, credentials: ICredentials, session: object = None
) -> Deferred[ISender]:
    """Log in to hand letters in. Fails as :func:`login` does."""
    avatar = portal.login(credentials, session, ISender)
    return avatar.addCallbacks(_sender, _turn_away)


def _sender(avatar: tuple[object, object, Callable[[], None]]) -> ISender:
    _, aspect, _ = avatar  # its login ends with the connection, and there is nothing to end
    return ISender(aspect)


def _admit(avatar: tuple[object, object, Callable[[], None]]) -> IMaildrop:
    interface, aspect, logout = avatar
    ours = MailboxMaildrop(aspect) if interface is IMailboxPOP3 else aspect
    maildrop: IMaildrop = IMaildrop(ours)
    return maildrop if logout is nothing_to_do else Guest(maildrop, logout)


def _turn_away(failure: Failure) -> Failure:
    if isinstance(failure.value, _TOLD):
        return failure
    _log.failure("a login failed for a reason of ours", failure)
    raise TemporaryFailure("a login failed for a reason of ours")
