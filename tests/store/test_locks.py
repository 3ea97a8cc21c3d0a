"""Locks that die with their process."""

import signal
import subprocess
import sys

import pytest

from mailpost.outcome import MaildropInUse
from mailpost.store import locks
from mailpost.store.locks import LockFile

HOLDER = """
import sys
from pathlib import Path
from mailpost.store.locks import LockFile
file = LockFile(Path(sys.argv[1]))
print(file.take(7), file.token, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds octet 7."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    taken, process.token = process.stdout.readline().split()
    assert taken == "True"
    yield process
    process.kill()
    process.communicate()


def test_within_a_process(tmp_path):
    """An octet is taken once, and again when it was freed; others do not mind."""
    file = LockFile(tmp_path / "locks")
    assert file.take(7)
    assert not file.take(7)
    assert file.take(8)
    file.free(7)
    file.free(7)
    assert file.take(7)
    file.close()
    file.close()


def test_between_processes(tmp_path, holder):
    """What another process has cannot be taken; when it is killed, the kernel frees it."""
    file = LockFile(tmp_path / "locks")
    assert not file.take(7)
    assert file.alive(holder.token)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert file.take(7)
    assert not file.alive(holder.token)
    file.close()


def test_own_token_is_alive(tmp_path):
    """A process knows that it lives, and that what is no token never did."""
    file = LockFile(tmp_path / "locks")
    assert file.alive(file.token)
    assert not file.alive("lost+found")
    file.close()


def test_older_locks(tmp_path, holder, monkeypatch):
    """Where open file description locks are missing, POSIX locks keep out as well."""
    monkeypatch.setattr(locks, "_lock", locks.posix_lock)
    monkeypatch.setattr(locks, "_unlock", locks.posix_unlock)
    file = LockFile(tmp_path / "locks")
    assert not file.take(7)
    assert file.take(8)
    file.free(8)
    file.close()


def test_one_session_at_a_time(office, alice):
    """A maildrop is open once (RFC 1939 §4); closing it, twice even, frees it."""
    snapshot = office.open(alice)
    with pytest.raises(MaildropInUse):
        office.open(alice)
    snapshot.close()
    snapshot.close()
    office.open(alice).close()
