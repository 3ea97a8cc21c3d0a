"""Who of many has been silent for too long, for little memory and no timer each.

A listener's connections are looked over when the one that was silent for longest may be late, and not more
often than once in a second: for ten thousand that takes half a millisecond. In between a connection that is
heard only notes when. For the few that close, or shake hands, there is :class:`~mailpost.limits.IdleWatch`.
"""

from __future__ import annotations

from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

NEVER = inf
"""When somebody was heard who is not watched."""

_TICK = 1.0


class Heard(Protocol):
    """Somebody who may be watched.

    :ivar heard: when something came last, in seconds; :data:`NEVER`: they are not watched.
    """

    heard: float


T = TypeVar("T", bound=Heard)


class SilenceWatch(Generic[T]):
    """Tells who has been silent for too long.

    :param seconds: the patience.
    :param there: who is there, watched or not; kept by somebody else.
    :param expired: called with each whose time has come; it is watched no longer.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        there: Collection[T],
        expired: Callable[[T], None],
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._there = there
        self._expired = expired
        self._next: IDelayedCall | None = None

    def touch(self, who: T) -> None:
        """Somebody who is there was heard; watching begins with the first time."""
        who.heard = self._clock.seconds()
        if self._next is None:
            self._next = self._clock.callLater(self._seconds, self._look)

    def forget(self, who: T) -> None:
        """Watch somebody no longer. Harmless when repeated."""
        who.heard = NEVER

    def rest(self) -> None:
        """Nobody is there any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        now = self._clock.seconds()
        limit, first, late = now - self._seconds, NEVER, []
        for who in self._there:
            heard = who.heard
            if heard <= limit:
                late.append(who)
            elif heard < first:
                first = heard
        wait = _TICK if late else max(_TICK, first - limit)
        # Before anybody is told, since `expired` may touch or forget whom it likes, and may raise.
        self._next = self._clock.callLater(wait, self._look) if wait < NEVER else None
        for who in sorted(late, key=attrgetter("heard")):
            self.forget(who)
            self._expired(who)
