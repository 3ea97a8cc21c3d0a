"""The realm: from the id of an avatar to the maildrop that is its own (``twisted.cred``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from zope.interface import Interface, implementer

from mailpost.accounts.avatars import Known, asked_for
from mailpost.interfaces import IMaildrop, ISender
from mailpost.outcome import MaildropLocked
from mailpost.store.devices import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from mailpost.accounts.avatars import Asked
    from mailpost.accounts.checkers import AccountBook
    from mailpost.envelope import Address
    from mailpost.store.accounts import Account
    from mailpost.store.devices import Device


def nothing_to_do() -> None:
    """End a login: a maildrop of the office's own holds nothing until it is opened."""


@implementer(IRealm)
class OfficeRealm:
    """Gives each account its maildrop.

    :param maildrop: gives an account's maildrop.
    :param domains: the office's domains: a checker from outside may call an avatar by a whole
    address.
    :param lately: gives what an account got of late; None: nobody is given that.
    :param enter: told the mind of whoever logs in, the account's number and the device's; the mind's
        ``revoked`` is called when they are taken away.
    :param now: the time in seconds since 1970.
    :param belongs: whether an address is an account's own, given its name and its maildrop; None: its
        name at the office's domains is.
    """

    def __init__(
        self,
        book: AccountBook,
        maildrop: Callable[[Account, int | None], IMaildrop],
        domains: Container[str],
        lately: Callable[[Account], IMaildrop] | None = None,
        enter: Callable[[Any, int, int | None], None] | None = None,
        now: Callable[[], float] = time.time,
        belongs: Callable[[Address, str, int], bool] | None = None,
    ) -> None:
        self._belongs = belongs or self._named
        self._lately = lately
        self._enter = enter
        self._book = book
        self._maildrop = maildrop
        self._domains = domains
        self._now = now

    def requestAvatar(
        self,
        avatarId: bytes | str | tuple[()],
        mind: object,
        *interfaces: type[Interface],
    ) -> tuple[type[Interface], IMaildrop | ISender, Callable[[], None]]:
        """Give the maildrop of an account.

        :raises UnauthorizedLogin: the checker knows somebody who has no account here, or nobody.
        :raises MaildropLocked: the owner of the office has locked it.
        :raises NotImplementedError: something else than a maildrop was asked for.
        """
        if IMaildrop not in interfaces and ISender not in interfaces:
            raise NotImplementedError(
                "this realm gives IMaildrop and ISender of mailpost.interfaces"
            )
        asked, account = self._found(avatarId)
        right = Rights.COLLECT if IMaildrop in interfaces else Rights.SUBMIT
        device = self._device(account, asked.device, right) if asked.device else None
        number, view = (device.number, device.view) if device else (None, None)
        if account.locked is not None:
            raise MaildropLocked(account.locked)
        if mind is not None and self._enter is not None:
            self._enter(mind, account.number, number)
        if IMaildrop not in interfaces:
            return ISender, AccountSender(account, self._belongs), nothing_to_do
        if not asked.lately:
            return IMaildrop, self._maildrop(account, view), nothing_to_do
        if self._lately is None:
            raise UnauthorizedLogin("what came of late is not given")
        return IMaildrop, self._lately(account), nothing_to_do

    def _found(self, avatar_id: bytes | str | tuple[()]) -> tuple[Asked, Account]:
        if isinstance(avatar_id, Known):
            return avatar_id.asked, avatar_id.account
        login = avatar_id.encode(errors="replace") if isinstance(avatar_id, str) else avatar_id
        asked = asked_for(login, self._domains) if login else None
        account = self._book.find(asked.name) if asked else None
        if asked is None or account is None:
            raise UnauthorizedLogin("no account of this name")
        return asked, account

    def _named(self, address: Address, name: str, _maildrop: int) -> bool:
        return address.local.lower() == name and address.domain in self._domains

    def _device(self, account: Account, name: str, right: Rights) -> Device:
        for device in self._book.devices_of(account):
            if device.name == name and right & device.rights:
                self._book.seen(device.number, self._now())
                return device
        raise UnauthorizedLogin("there is no such device, or it may not do this")


@implementer(ISender)
class AccountSender:
    """An account that hands letters in, from its own addresses."""

    def __init__(self, account: Account, belongs: Callable[[Address, str, int], bool]) -> None:
        self.name = account.name
        self._maildrop = account.maildrop
        self._belongs = belongs

    def may_send_as(self, address: Address) -> bool:
        """Whether it is one of its own, as things are now."""
        return self._belongs(address, self.name, self._maildrop)
