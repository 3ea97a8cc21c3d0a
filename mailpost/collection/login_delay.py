"""LOGIN-DELAY (RFC 2449 §6.5): how soon the same maildrop may be opened again, enforced as announced.

It is for offices where clients look for mail too often. It is kept in this process alone: after a restart
everybody may come at once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


class LoginDelay:
    """Remembers who has come within the time, and nobody else.

    :param seconds: between two logins that open the same maildrop; 0: as often as they like.
    """

    def __init__(self, seconds: int, clock: IReactorTime) -> None:
        self.seconds = seconds
        self._clock = clock
        self._came: OrderedDict[str, float] = OrderedDict()

    def too_soon(self, name: str) -> bool:
        """Whether somebody who may come in comes too soon after the last time."""
        self._forget()
        return name in self._came

    def came(self, name: str) -> None:
        """The maildrop was opened: the time runs from now on."""
        if self.seconds:
            self._came[name] = self._clock.seconds()
            self._came.move_to_end(name)

    def _forget(self) -> None:
        """The longest ago stand in front: each is looked at once, when its time is over."""
        over = self._clock.seconds() - self.seconds
        while self._came and next(iter(self._came.values())) <= over:
            self._came.popitem(last=False)
