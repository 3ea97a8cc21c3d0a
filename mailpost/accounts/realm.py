"""The realm: from the id of an avatar to the maildrop that is its own (``twisted.cred``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from zope.interface import Interface, implementer

from mailpost.accounts.names import login_name
from mailpost.interfaces import IMaildrop, ISender
from mailpost.store.devices import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from mailpost.accounts.checkers import AccountBook
    from mailpost.envelope import Address
    from mailpost.store.accounts import Account


def nothing_to_do() -> None:
    """End a login: a maildrop of the office's own holds nothing until it is opened."""


@implementer(IRealm)
class OfficeRealm:
    """Gives each account its maildrop.

    :param maildrop: gives an account's maildrop.
    :param domains: the office's domains: a checker from outside may call an avatar by a whole
    address.
    :param now: the time in seconds since 1970.
    """

    def __init__(
        self,
        book: AccountBook,
        maildrop: Callable[[Account, int | None], IMaildrop],
        domains: Container[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._maildrop = maildrop
        self._domains = domains
        self._now = now

    def requestAvatar(
        self,
        avatarId: bytes | str | tuple[()],
        mind: object,  # noqa: ARG002 - IRealm's
        *interfaces: type[Interface],
    ) -> tuple[type[Interface], IMaildrop | ISender, Callable[[], None]]:
        """Give the maildrop of an account.

        :raises UnauthorizedLogin: the checker knows somebody who has no account here, or nobody.
        :raises NotImplementedError: something else than a maildrop was asked for.
        """
        if IMaildrop not in interfaces and ISender not in interfaces:
            raise NotImplementedError(
                "this realm gives IMaildrop and ISender of mailpost.interfaces"
            )
        login = avatarId.encode(errors="replace") if isinstance(avatarId, str) else avatarId
        known, _, device = login.partition(b"#") if login else (b"", b"", b"")
        name = login_name(known, self._domains)
        account = self._book.find(name) if name else None
        if account is None:
            raise UnauthorizedLogin("no account of this name")
        asked = Rights.COLLECT if IMaildrop in interfaces else Rights.SUBMIT
        view = self._device_s_view(account, device, asked) if device else None
        if IMaildrop in interfaces:
            return IMaildrop, self._maildrop(account, view), nothing_to_do
        return ISender, AccountSender(account.name, self._domains), nothing_to_do

    def _device_s_view(self, account: Account, name: bytes, asked: Rights) -> int:
        for device in self._book.devices_of(account):
            if device.name.encode() == name and asked & device.rights:
                self._book.seen(device.number, self._now())
                return device.view
        raise UnauthorizedLogin("there is no such device, or it may not do this")


@implementer(ISender)
class AccountSender:
    """An account that hands letters in: its own addresses are its name at the office's domains."""

    def __init__(self, name: str, domains: Container[str]) -> None:
        self.name = name
        self._domains = domains

    def may_send_as(self, address: Address) -> bool:
        """Whether it is one of its own."""
        return address.local.lower() == self.name and address.domain in self._domains
