"""Writers of several processes take turns."""

import fcntl
import os
import subprocess
import sys
import threading

from mailpost.store import turns
from mailpost.store.turns import FLOCK, TurnLock

HOLDER = """
import sys
from pathlib import Path
from mailpost.store.turns import TurnLock
with TurnLock(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read(1)
    print("done", flush=True)
"""


def _waits_for_another_process(path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "mine\n"
    lock = TurnLock(path)
    order = []

    def write():
        with lock:
            order.append("ours")

    thread = threading.Thread(target=write)
    thread.start()
    assert order == []
    said, _ = other.communicate("x")
    thread.join(10)
    assert said == "done\n"
    assert order == ["ours"]
    lock.close()
    lock.close()


def test_turns_between_processes(tmp_path):
    """Whoever comes second waits until the first is done."""
    _waits_for_another_process(tmp_path / "turn")


def test_older_locks(tmp_path, monkeypatch):
    """So it is where only flock(2) is to be had."""
    first, second = TurnLock(tmp_path / "turn"), TurnLock(tmp_path / "turn")
    monkeypatch.setattr(turns, "_wait", turns.flock_wait)
    monkeypatch.setattr(turns, "_release", turns.flock_release)
    order = []
    with first:
        thread = threading.Thread(target=lambda: second.__enter__() or order.append("second"))
        thread.start()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    first.close()
    second.close()


def test_held_within_itself(tmp_path):
    """The turn is given away by whoever took it first."""
    first, second = TurnLock(tmp_path / "turn"), TurnLock(tmp_path / "turn")
    with first:
        with first:
            pass
        assert not may_take(second)
    assert may_take(second)
    first.close()
    second.close()


def may_take(lock):
    """Whether nobody holds it."""
    try:
        fcntl.fcntl(lock._file, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
    except BlockingIOError:
        return False
    return True
