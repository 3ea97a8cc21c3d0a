"""An account book in memory, and a way to hash without threads."""

from __future__ import annotations

from twisted.internet.defer import Deferred, maybeDeferred

from mailpost.store import Account, Device


class Book:
    """Accounts by their name; ``broken`` makes every question fail."""

    def __init__(self, **passwords: str | None) -> None:
        self.devices: dict[str, list[Device]] = {}
        self.noted: list[tuple[int, float]] = []
        self.broken: Exception | None = None
        self.asked: list[str] = []
        self.accounts = {
            name: Account(number, name, password, number, number)
            for number, (name, password) in enumerate(passwords.items(), 1)
        }

    def find(self, name: str) -> Account | None:
        self.asked.append(name)
        if self.broken is not None:
            raise self.broken
        return self.accounts.get(name)

    def devices_of(self, account: Account) -> list[Device]:
        return self.devices.get(account.name, [])

    def seen(self, device: int, when: float) -> None:
        self.noted.append((device, when))

    def change(self, name: str, password: str | None, scram: str | None = None) -> None:
        old = self.accounts[name]
        self.accounts[name] = Account(old.number, name, password, old.maildrop, old.view, scram)


def at_once(work, *args):
    """Run where one stands, as a thread would elsewhere."""
    return maybeDeferred(work, *args)


class Held:
    """Runs nothing until told to."""

    def __init__(self) -> None:
        self.running: list[tuple[object, Deferred]] = []

    def __call__(self, work):
        done: Deferred = Deferred()
        self.running.append((work, done))
        return done

    def finish(self) -> None:
        work, done = self.running.pop(0)
        maybeDeferred(work).chainDeferred(done)
