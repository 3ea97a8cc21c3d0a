"""Space: a reserve of free disk that intake may not touch.

Letting letters go must be able to write too, or a full disk would stay full; so intake is refused (452
4.3.1) while there is still room for the write-ahead log of everything that empties maildrops. Free
pages within the database are not counted: a letter is written to the log before it can fill one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.internet.interfaces import IReactorTime

RESERVE = 64 * 1024 * 1024
FRESH = 1.0  # seconds for which an answer is good


class Space:
    """Free disk where the store is.

    :param reserve: octets to be left free.
    """

    def __init__(self, folder: Path, clock: IReactorTime, reserve: int = RESERVE) -> None:
        self._folder = folder
        self._clock = clock
        self.reserve = reserve
        self._asked = float("-inf")
        self._left = 0  # above the reserve, when the system was asked
        self._taken = 0  # since then

    def enough(self) -> bool:
        """Whether the reserve is untouched; asks the system about once a second.

        It is asked anew as soon as what was taken since might have used up what there was: a fast
        disk is filled in less than a second.
        """
        now = self._clock.seconds()
        if not 0 <= now - self._asked < FRESH or self._taken > self._left >= 0:
            self._asked = now
            self._taken = 0
            self._left = self.free() - self.reserve
        return self._left >= 0

    @property
    def short(self) -> bool:
        """Whether the reserve will soon be touched, as far as the latest :meth:`enough` knew."""
        return self._left < self.reserve // 4

    def ample(self) -> bool:
        """Whether as much as the reserve is free above it; asks the system anew."""
        self._asked = float("-inf")
        self.enough()
        return self._left >= self.reserve

    def take(self, octets: int) -> None:
        """So much more is about to be written, at most."""
        self._taken += octets

    def free(self) -> int:
        """Octets of disk that the store's owner may still use."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize
