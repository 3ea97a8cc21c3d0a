"""What glibc is told of memory, so that an office at rest holds no more than it needs (mallopt(3))."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.task import LoopingCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

LARGE_BLOCK = 1 << 20
"""Octets from which a block goes back to the system as soon as it is free.

Hashing a password takes 19 MiB for a moment; left to itself glibc learns from it to keep such blocks, and an
office at rest holds some 80 MiB that it needs no more.
"""

ARENAS = 2
"""Heaps that all threads share.

Left to itself glibc gives each thread one of its own, which keeps the most that this thread has ever needed:
memory grows for hours, a step at a time.
"""

GIVEN_BACK_EVERY = 60.0
"""Seconds from one time to the next that free memory is given back to the system.

A moment with much to do leaves holes that nobody may need for hours, and the next such moment leaves others.
"""

_M_MMAP_THRESHOLD = -3  # malloc.h
_M_ARENA_MAX = -8


def set_limits() -> None:
    """Tell glibc; another C library is left as it is."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give back what is free, in whole pages (malloc_trim(3)). Takes some milliseconds at the most."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_small(clock: Any, in_thread: Callable[..., Deferred[Any]]) -> LoopingCall:
    """Give free memory back from time to time, until the call is stopped.

    :param in_thread: runs a callable in a thread: the heaps are locked only one after the other meanwhile.
    """
    giving = LoopingCall(in_thread, give_back)
    giving.clock = clock
    giving.start(GIVEN_BACK_EVERY, now=False)
    return giving
