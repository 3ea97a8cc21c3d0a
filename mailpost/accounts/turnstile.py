"""The turnstile before the password hashing: a few at a time, each peer address in its turn.

Hashing is dear on purpose, so whoever guesses a thousand passwords at once must not make the others
wait a thousand times as long. Each address has a queue of its own, the queues are served in turn,
and all of them together are bounded: when they are full, the longest gives up its last.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from attrs import define
from twisted.internet.defer import Deferred

from mailpost.limits import neighbourhood
from mailpost.outcome import TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    Work = Callable[[], bool]


class TooBusy(TemporaryFailure):
    """So many logins wait that this one cannot be let in."""


@define(eq=False)
class _Waiting:
    work: Work
    answer: Deferred[bool]


class Turnstile:
    """Lets a bounded number of checks run, and a bounded number wait.

    :param run: runs one check elsewhere, on a thread, and fires with what it returned.
    :param lanes: how many run at a time.
    :param room: how many may wait, from all addresses together.
    """

    def __init__(
        self, run: Callable[[Work], Deferred[bool]], *, lanes: int = 2, room: int = 1024
    ) -> None:
        self._run = run
        self._free = lanes
        self._room = room
        self._count = 0
        self._queues: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    def check(self, peer: str, work: Work) -> Deferred[bool]:
        """Have a check done when it is this peer's turn.

        Fires with its result, or fails with what it raised. Fails with :class:`TooBusy` where there
        is no room. Cancelled while it waits, it never runs.
        """
        queue_name = neighbourhood(peer)
        waiting = _Waiting(work, Deferred(lambda _: self._leave(queue_name, waiting)))
        if self._free:
            self._start(waiting)
        elif self._count < self._room or self._make_room(queue_name):
            self._queues.setdefault(queue_name, deque()).append(waiting)
            self._count += 1
        else:
            waiting.answer.errback(TooBusy("too many logins are waiting"))
        return waiting.answer

    def _start(self, waiting: _Waiting) -> None:
        self._free -= 1
        self._run(waiting.work).addBoth(self._done, waiting.answer)

    def _done(self, result: bool | Failure, answer: Deferred[bool]) -> None:  # noqa: FBT001 - the check's own answer
        self._free += 1
        if self._queues:
            name, queue = self._queues.popitem(last=False)
            waiting = queue.popleft()
            self._count -= 1
            if queue:
                self._queues[name] = queue  # behind all the others
            self._start(waiting)
        if not answer.called:  # it may have been cancelled while its check ran
            answer.callback(result)

    def _make_room(self, newcomer: str) -> bool:
        """Send the last of the longest queue away, unless that is the newcomer's own."""
        longest = max(self._queues.values(), key=len)
        if len(longest) <= len(self._queues.get(newcomer, ())) + 1:
            return False
        self._count -= 1
        longest.pop().answer.errback(TooBusy("its address has too many logins waiting"))
        return True

    def _leave(self, name: str, waiting: _Waiting) -> None:
        queue = self._queues.get(name)
        if queue and waiting in queue:
            queue.remove(waiting)
            self._count -= 1
            if not queue:
                del self._queues[name]
