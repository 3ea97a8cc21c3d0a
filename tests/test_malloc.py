"""What glibc is told of memory, in processes of their own: it is told once for all."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from mailpost.malloc import ARENAS

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


def heaps(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
