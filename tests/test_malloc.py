"""What glibc is told of memory, in processes of their own: it is told once for all."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailpost.malloc import ARENAS, GIVEN_BACK_EVERY, give_back, keep_small

HEAPS = """
import ctypes, sys, tempfile, threading
from mailpost import malloc

if sys.argv[1] == "limited":
    malloc.set_limits()
c = ctypes.CDLL(None)
c.fdopen.restype = ctypes.c_void_p
barrier = threading.Barrier(8)

def work():
    barrier.wait()
    for _ in range(1000):
        c.free(ctypes.c_void_p(c.malloc(ctypes.c_size_t(2000))))  # without Python's lock
    barrier.wait()

c.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(c.fdopen(file.fileno(), b"w"))
    c.malloc_info(0, stream)
    c.fflush(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library is left as it is")
def test_threads_share_their_heaps() -> None:
    """Left alone, eight threads have more of them than two."""
    assert heaps("as it is") > ARENAS
    assert heaps("limited") <= ARENAS


HOLES = """
import ctypes, pathlib
from mailpost import malloc

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096

c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
blocks = [ctypes.c_void_p(c.malloc(ctypes.c_size_t(4000))) for _ in range(5000)]
for block in blocks:
    ctypes.memset(block, 1, 4000)
held = resident()
for number, block in enumerate(blocks):
    if number % 10:
        c.free(block)
holes = resident()
malloc.give_back()
print(held - holes, holes - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library is left as it is")
def test_holes_are_given_back() -> None:
    """What is free among what is not goes back to the system, which it does not by itself."""
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    by_itself, given_back = map(int, done.stdout.split())
    assert by_itself < 1_000_000
    assert given_back > 10_000_000


def test_once_a_minute() -> None:
    """It is done in a thread, again and again until it is stopped, and never twice at a time."""
    clock, given, threads = Clock(), [], []

    def in_thread(function: object) -> Deferred[None]:
        given.append(function)
        threads.append(Deferred())
        return threads[-1]

    giving = keep_small(clock, in_thread)
    assert given == []
    clock.advance(GIVEN_BACK_EVERY)
    assert given == [give_back]
    clock.advance(GIVEN_BACK_EVERY)
    assert len(given) == 1
    threads[0].callback(None)
    clock.advance(GIVEN_BACK_EVERY)
    assert len(given) == 2
    threads[1].callback(None)
    giving.stop()
    assert clock.getDelayedCalls() == []


def heaps(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
