"""What glibc is told of memory, so that an office at rest holds no more than it needs (mallopt(3))."""

from __future__ import annotations

import ctypes
from contextlib import suppress

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

_M_MMAP_THRESHOLD = -3  # malloc.h
_M_ARENA_MAX = -8


def set_limits() -> None:
    """Tell glibc; another C library is left as it is."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(_M_ARENA_MAX, ARENAS)
