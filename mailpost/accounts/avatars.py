"""Who somebody asks to be: an account, perhaps one of its devices, perhaps only what came of late.

::

    alice                 with a device's password: that device
    alice#phone           the device phone, with its own password or the main one
    recent:alice          the letters of the last 30 days, of which nothing can be let go
    alice@example.org     likewise, with a domain of the office in each of these

An avatar's id is written in the same way, without the domain, and with ``#`` whatever users type for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twisted.cred.error import UnauthorizedLogin

from mailpost.accounts.names import login_name

if TYPE_CHECKING:
    from collections.abc import Container

    from mailpost.accounts.checkers import AccountBook
    from mailpost.store.accounts import Account

SEPARATOR = "#"
LATELY = "recent:"


class Asked(NamedTuple):
    """Who somebody asks to be.

    :ivar device: the device that was named; ``""``: none.
    :ivar lately: whether it is for the letters of late alone.
    """

    name: str
    device: str
    lately: bool


class Known(bytes):
    """The id of an avatar, from a checker that has found its account: the realm need not look again.

    :ivar asked: what the id says.
    :ivar account: as it was found just now, in this turn of the reactor.
    """

    asked: Asked
    account: Account


def asked_for(login: bytes, domains: Container[str], separator: str = SEPARATOR) -> Asked | None:
    """Tell who is asked for; None if it can be nobody.

    :param domains: the office's domains.
    :param separator: what stands between an account and its device.
    """
    lately = login[: len(LATELY)].lower() == LATELY.encode()
    local, divided, named = login[len(LATELY) * lately :].partition(separator.encode())
    device, at, domain = named.partition(b"@")
    name = login_name(local + at + domain, domains)
    if name is None or (divided and not device) or not device.isascii():
        return None
    return Asked(name, device.decode().lower(), lately)


def avatar(asked: Asked, book: AccountBook, account: Account, own: str | None = None) -> Known:
    """The id of the avatar that somebody becomes.

    :param own: the device whose password was given; None: the main password was.
    :raises UnauthorizedLogin: it was another device's password, or there is no such device.
    """
    if own is None and asked.device:
        if all(device.name != asked.device for device in book.devices_of(account)):
            raise UnauthorizedLogin("there is no such device")
    elif asked.device and asked.device != own:
        raise UnauthorizedLogin("the password is another device's")
    device = own or asked.device
    named = f"{account.name}{SEPARATOR}{device}" if device else account.name
    known = Known((f"{LATELY}{named}" if asked.lately else named).encode())
    known.asked = asked if device == asked.device else asked._replace(device=device)
    known.account = account
    return known


def account_of(avatar_id: str) -> str:
    """The account's name alone, out of an avatar's id."""
    avatar_id = avatar_id.removeprefix(LATELY)
    return avatar_id.partition(SEPARATOR)[0]
