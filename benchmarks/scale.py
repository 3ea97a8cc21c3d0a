"""mailpost beside itself: an office with much in it, and the same office with next to nothing.

What a command or a login takes must hang on what it is about, and not on all that lies around it. So
the table's second system is an office of few accounts, and a target of 0.5x says that the large
one may take twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.mailpost_crowd import LEFT
from benchmarks.mailpost_system import Mailpost
from benchmarks.row import OPENING_USER

if TYPE_CHECKING:
    from pathlib import Path

USERS = OPENING_USER + 2  # the last two have the letters


@dataclass(frozen=True)
class Size:
    """How much is in an office: accounts, letters of a user, devices of that user, aliases."""

    accounts: int
    letters: int
    devices: int
    aliases: int


LARGE = Size(accounts=1_000, letters=100_000, devices=10, aliases=100_000)
SMALL = Size(accounts=USERS, letters=LEFT, devices=1, aliases=USERS)


class Crowded(Mailpost):
    """An office with accounts that never log in, beside its users."""

    crowd = 0


class Filled(Crowded):
    """An office of some size."""

    size: Size

    def __init__(self, folder: Path, users: int = USERS) -> None:
        super().__init__(folder, users)
        self.crowd = self.size.accounts - users

    def prepare(self) -> None:
        """Make it as anybody does, then put in what it shall have."""
        super().prepare()
        size = self.size
        crowd = (self.crowd, size.letters, size.devices, size.aliases)
        self.run("benchmarks.mailpost_crowd", "fill", self.config, *map(str, crowd))


class Large(Filled):
    """An office with much in it."""

    name = "large office"
    size = LARGE


class Small(Filled):
    """An office with next to nothing in it."""

    name = "small office"
    size = SMALL
