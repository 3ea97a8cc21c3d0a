"""Occupancy: how many connections each worker has at each listener, for all workers to see.

It is a table of numbers in memory that the processes share: a row for each worker, a column for each
listener. A worker writes its own row and reads those of the others, without a lock: what is a moment old
serves just as well. A row is cleared by the supervisor when its worker has ended, however it ended.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile

SLACK = 4
"""A worker has room as long as it has not more than the emptiest one and one in so many on top of that."""


class Occupancy:
    """The table.

    :param memory: a descriptor of the memory; it is this object's now.
    :param workers: how many rows there are.
    :param listeners: how many columns.
    """

    def __init__(self, memory: int, workers: int, listeners: int) -> None:
        self.memory = memory
        self.workers = workers
        self.listeners = listeners
        octets = mmap.mmap(memory, _octets(workers, listeners))
        self._numbers = memoryview(octets).cast("Q")  # one more than the connections; 0: nobody

    @classmethod
    def make(cls, workers: int, listeners: int) -> Occupancy:
        """A new table, of workers that are not there yet."""
        if sys.platform == "linux":
            memory = os.memfd_create("mailpost")
        else:
            with tempfile.TemporaryFile() as file:
                memory = os.dup(file.fileno())
        os.ftruncate(memory, _octets(workers, listeners))
        return cls(memory, workers, listeners)

    def share(self, worker: int, listener: int) -> Share:
        """One worker's part in one listener."""
        return Share(self._numbers[listener :: self.listeners], worker)

    def clear(self, worker: int) -> None:
        """The worker has ended."""
        for listener in range(self.listeners):
            self._numbers[worker * self.listeners + listener] = 0

    def close(self) -> None:
        """Nobody else is given the memory any more. Harmless when repeated."""
        if self.memory >= 0:
            os.close(self.memory)
            self.memory = -1


class Share:
    """A worker's part in a listener that all of them have.

    :param numbers: the listener's column.
    :param worker: whose number in it is this one's.
    """

    __slots__ = ("_numbers", "_worker")

    def __init__(self, numbers: memoryview, worker: int) -> None:
        self._numbers = numbers
        self._worker = worker

    def has(self, connections: int) -> None:
        """So many connections are open here now."""
        self._numbers[self._worker] = connections + 1

    def room(self) -> int:
        """How many more may come here until another worker would have clearly fewer; 0: none."""
        numbers = self._numbers.tolist()
        here = numbers.pop(self._worker)
        emptiest = min((number for number in numbers if number), default=sys.maxsize)
        return max(0, emptiest + emptiest // SLACK + 1 - here)


def _octets(workers: int, listeners: int) -> int:
    return workers * listeners * 8
