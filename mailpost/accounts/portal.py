"""The way in: the office's Portal, and a login through this one or any other.

Whatever a Portal's realm gives - the office's own :class:`~mailpost.interfaces.IMaildrop`, or the
:class:`twisted.mail.pop3.IMailbox` of a realm written for Twisted's POP3 server - collection gets
an ``IMaildrop``; whatever goes wrong, it gets one of three failures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.mail.interfaces import IMailboxPOP3
from twisted.python.failure import Failure

from mailpost.accounts.avatars import Known
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
    from zope.interface import Interface

    from mailpost.accounts.checkers import AccountBook
    from mailpost.config import Office
    from mailpost.envelope import Address
    from mailpost.store.accounts import Account

T = TypeVar("T")
_Avatar = tuple[object, object, "Callable[[], None]"]

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
    portal = OfficePortal(realm)
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


class OfficePortal(Portal):
    """twisted.cred's own; whoever can wait for a Deferred, but need not, may :meth:`ask`."""

    def ask(self, credentials: ICredentials, mind: object, *interfaces: type[Interface]) -> Any:
        """Log in, as :meth:`login` does, but where the answer is known at once it is no Deferred.

        Nearly all passwords are remembered, and three Deferreds would be a tenth of what a session takes.
        """
        for interface, checker in self.checkers.items():
            if interface.providedBy(credentials):
                who: Any = checker.requestAvatarId(credentials)
                if isinstance(who, Known):
                    return self.realm.requestAvatar(who, mind, *interfaces)
                known = maybeDeferred(_as_it_is, who)
                return known.addCallback(self.realm.requestAvatar, mind, *interfaces)
        return self.login(credentials, mind, *interfaces)  # it says that nobody can check these


def _as_it_is(who: Any) -> Any:
    return who


def login(
    portal: Portal, credentials: ICredentials, session: object = None
) -> IMaildrop | Deferred[IMaildrop]:
    """Log in: the maildrop, perhaps by a Deferred.

    Whoever gets it opens it; when the opening fails, or at the snapshot's ``close``, the login ends
    and its logout is called. Cancelled before it has fired, it ends as well.

    :param session: whose ``revoked`` is called when the login is taken away.
    :raises UnauthorizedLogin: name or password is wrong.
    :raises MaildropLocked: by the office's owner.
    :raises MaildropInUse: it is a mailbox of somebody else's realm, and in use.
    :raises TemporaryFailure: what has happened is in the log. All of these also through the Deferred, and
        CancelledError where that was cancelled.
    """
    # The older interface comes first: there are realms that look at no other.
    return _enter(_admit, portal, credentials, session, IMailboxPOP3, IMaildrop)


def login_to_send(
    portal: Portal, credentials: ICredentials, session: object = None
) -> ISender | Deferred[ISender]:
    """Log in to hand letters in. Fails as :func:`login` does."""
    return _enter(_sender, portal, credentials, session, ISender)


def _enter(
    admit: Callable[[_Avatar], T],
    portal: Portal,
    credentials: ICredentials,
    session: object,
    *interfaces: type[Interface],
) -> T | Deferred[T]:
    ask = portal.ask if isinstance(portal, OfficePortal) else portal.login
    try:
        avatar = ask(credentials, session, *interfaces)
    except _TOLD:
        raise
    except Exception:
        _turn_away(Failure())  # as by a Deferred
        raise
    if isinstance(avatar, Deferred):
        return avatar.addCallbacks(admit, _turn_away)
    return admit(avatar)


def _sender(avatar: _Avatar) -> ISender:
    _, aspect, _ = avatar  # its login ends with the connection, and there is nothing to end
    return ISender(aspect)


def _admit(avatar: _Avatar) -> IMaildrop:
    interface, aspect, logout = avatar
    ours = MailboxMaildrop(aspect) if interface is IMailboxPOP3 else aspect
    maildrop: IMaildrop = IMaildrop(ours)
    return maildrop if logout is nothing_to_do else Guest(maildrop, logout)


def _turn_away(failure: Failure) -> Failure:
    if isinstance(failure.value, _TOLD):
        return failure
    _log.failure("a login failed for a reason of ours", failure)
    raise TemporaryFailure("a login failed for a reason of ours")
