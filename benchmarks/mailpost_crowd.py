"""Fill a post office with many accounts, letters, devices, aliases, through the store, in one process.

``python -m benchmarks.mailpost_crowd fill CONFIG ACCOUNTS LETTERS DEVICES ALIASES``: over SMTP and by the
commands it would take half an hour. Accounts without a password are there to be searched among. Two users
that exist have letters and devices: what they are for, :mod:`benchmarks.scale_rows` says.

``sleepers CONFIG COUNT`` makes accounts that log in and do nothing (:mod:`benchmarks.hostile`). Their
password is hashed as cheaply as can be: what ten thousand first logins cost is not what is measured.

``grow CONFIG PRESENT ACCOUNTS EACH USER LETTERS`` adds to an office that may be open: accounts up to so many,
each with some letters, and letters for one of its users (:mod:`benchmarks.growth`).
"""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.row import OPENING_USER
from benchmarks.systems import (
    DEVICE_PASSWORD,
    PASSWORD,
    alias_address,
    crowd_name,
    sleeper_name,
    user_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.store import Store
    from mailpost.store.accounts import Account
    from mailpost.store.addresses import AddressRegister

LEFT = 5  # letters that are still to be seen where nearly all have been let go of
AT_ONCE = 2048
BODY = b"Subject: one of many\r\n\r\n" + 12 * (b"X" * 76 + b"\r\n")


class Crowd:
    """An open store that is being filled."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_accounts(self, count: int, present: int = 0) -> list[Account]:
        """Make as many as there shall be, without a password; those that are new."""
        numbers = range(present, count)
        return [self._store.accounts.add(crowd_name(number)) for number in numbers]

    def add_aliases(self, count: int) -> None:
        """Make so many in one transaction, each for one of the users that are there, in turn."""
        from mailpost.store.addresses import Alias  # noqa: PLC0415 - as in mailpost_users

        def add(register: AddressRegister) -> None:
            for number in range(count):
                local, _, domain = alias_address(number).partition("@")
                register.add(Alias(domain, local, user_name(number % (OPENING_USER + 2))))

        self._store.addresses.change(add)

    def add_devices(self, account: Account, count: int) -> list[int]:
        """Give an account so many devices that hold all its letters; their views."""
        from mailpost.accounts.scram import device_digest  # noqa: PLC0415 - as in mailpost_users

        views = []
        for number in range(count):
            password = DEVICE_PASSWORD if number == count - 1 else secrets.token_hex()
            digest = device_digest(self._store.secret, account.name, password.encode())
            device = self._store.devices.add(account, f"device{number}", digest=digest)
            views.append(device.view)
        return views

    def deliver(self, account: Account, count: int) -> None:
        """Keep so many letters for an account."""
        from mailpost.envelope import Copy, Envelope, Traits  # noqa: PLC0415 - likewise

        copies = [Copy(account.maildrop, b"Return-Path: <>\r\n")]
        for start in range(0, count, AT_ONCE):
            for number in range(start, min(start + AT_ONCE, count)):
                draft = self._store.delivery.begin()
                draft.write(BODY)
                draft.commit(Envelope(f"{number:016x}", None), copies, Traits(), atomic=True)
            self._write()

    def let_go(self, account: Account, view: int) -> None:
        """Let go of all but the last few letters that a view shows."""
        opened: Any = self._store.maildrop(account, view).open()
        snapshot = getattr(opened, "result", opened)
        snapshot.let_go(range(len(snapshot.sizes) - LEFT))
        self._write()
        snapshot.close()
        self._write()

    def _write(self) -> None:
        while self._store.ledger.turn():
            pass


@contextmanager
def opened(config: str) -> Iterator[Store]:
    """Open an office's store, which is written to when we say so."""
    from twisted.internet.defer import execute  # noqa: PLC0415 - likewise
    from twisted.internet.task import Clock  # noqa: PLC0415

    from mailpost.config import load  # noqa: PLC0415
    from mailpost.store import open_store  # noqa: PLC0415

    clock = Clock()
    clock.advance(time.time())
    store = open_store(
        load(Path(config)).office.database,
        clock=clock,
        call_in_reactor=lambda function, *arguments: function(*arguments),
        defer_to_thread=execute,
    )
    try:
        yield store
    finally:
        store.close()


def fill(config: str, accounts: int, letters: int, devices: int, aliases: int) -> None:
    """Make the crowd."""
    with opened(config) as store:
        crowd = Crowd(store)
        crowd.add_accounts(accounts)
        crowd.add_aliases(aliases)
        found = [store.accounts.find(user_name(OPENING_USER + n)) for n in range(2)]
        few, many = (account for account in found if account is not None)
        crowd.deliver(few, letters)
        views = [few.view, *crowd.add_devices(few, devices)]
        for view in (views[0], views[-1]):
            crowd.let_go(few, view)
        crowd.deliver(many, letters)
        crowd.add_devices(many, devices)


def grow(config: str, present: int, accounts: int, each: int, user: int, letters: int) -> None:
    """Let the office have more accounts, and one of its users more letters."""
    with opened(config) as store:
        crowd = Crowd(store)
        for account in crowd.add_accounts(accounts, present):
            crowd.deliver(account, each)
        full = store.accounts.find(user_name(user))
        assert full is not None
        crowd.deliver(full, letters)


def sleepers(config: str, count: int) -> None:
    """Make those that are not there."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - likewise

    from mailpost.store.accounts import Add  # noqa: PLC0415 - likewise

    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with opened(config) as store:
        names = [name for name in map(sleeper_name, range(count)) if not store.accounts.find(name)]
        for start in range(0, len(names), AT_ONCE):  # of so many one commit
            for name in names[start : start + AT_ONCE]:
                store.ledger.submit(Add(name, cheap, None, None))
            while store.ledger.turn():
                pass


if __name__ == "__main__":
    ways: dict[str, Callable[..., None]] = {"fill": fill, "grow": grow, "sleepers": sleepers}
    does = ways[sys.argv[1]]
    does(sys.argv[2], *map(int, sys.argv[3:]))
