"""What a worker inherits from the supervisor: the listeners, and a place among the workers.

Descriptors are handed down behind the standard ones, and what each of them is by the environment. A worker
that was forked (:mod:`mailpost.forkserver`) has the keys of TLS session tickets as well.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.occupancy import Occupancy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailpost.tls.tickets import TicketKeys

_WORKER = "MAILPOST_WORKER"  # its place, the number of places, the number of listeners
_FIRST = (
    3  # the descriptor of the first listener, behind the standard ones; the last is the table's
)


@frozen
class Inheritance:
    """What one worker is given.

    :ivar listeners: descriptors, in the order of the configuration.
    :ivar occupancy: the table of who has how many connections.
    :ivar place: the worker's own row there.
    :ivar tickets: the keys that all workers have; None: it makes its own.
    """

    listeners: Sequence[int]
    occupancy: Occupancy
    place: int
    tickets: TicketKeys | None = None

    @property
    def descriptors(self) -> Mapping[int, int]:
        """Which descriptor of the supervisor's becomes which of the worker's."""
        return dict(enumerate((*self.listeners, self.occupancy.memory), _FIRST))

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells the worker."""
        return {_WORKER: f"{self.place} {self.occupancy.workers} {len(self.listeners)}"}


def inherited() -> Inheritance | None:
    """What this process was given, if it is a worker; None elsewhere. Once."""
    told = os.environ.pop(_WORKER, None)
    if told is None:
        return None
    place, workers, listeners = map(int, told.split())
    memory = _FIRST + listeners
    occupancy = Occupancy(memory, workers, listeners)
    occupancy.close()  # it is mapped
    return Inheritance(range(_FIRST, memory), occupancy, place)
