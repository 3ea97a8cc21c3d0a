"""The rota: whoever asks for more than one turn's worth goes on in turns, so that nobody waits long.

A peer can send ten thousand commands in one segment, and so can a hundred peers: answered one after the
other, these keep everybody else waiting for seconds. So a connection acts on a few of them at once, which is
all that most peers ever send. With what is left it waits here, and all who wait are served in turn, for a
slice of time in each round of the reactor. Between two slices the reactor hears everybody else.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

SLICE_SECONDS = 0.001
"""How long in each round of the reactor those are served who wait here."""

TURN = 16
"""Events that one connection acts on before it is another's turn."""


class Waiting(Protocol):
    """Somebody who has more to say."""

    def take_turn(self) -> None:
        """Do a turn's worth; to go on later, wait again."""


class Rota:
    """Serves those who wait, in their order.

    :param clock: for the rounds of the reactor, and the time in them.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Waiting] = deque()
        self._called = False

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, who: Waiting) -> None:
        """Have a turn in one of the next rounds. Once at a time."""
        self._waiting.append(who)
        self._call()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._clock.callLater(0, self._serve)

    def _serve(self) -> None:
        self._called = False
        waiting, seconds = self._waiting, self._clock.seconds
        # No more turns than there were: with a clock that stands still a round ends, too.
        turns, end = len(waiting), seconds() + SLICE_SECONDS
        try:
            while turns and waiting:
                turns -= 1
                waiting.popleft().take_turn()
                if seconds() >= end:
                    break
        finally:
            if waiting:
                self._call()
