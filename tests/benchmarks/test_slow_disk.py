"""The disk that is made slow, and that every server of both systems has it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.row import Plan
from benchmarks.slow_disk import DELAY_SECONDS, Shim, SlowMailpost, slow_disk_rows
from benchmarks.systems import require

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    require("cc") is not None, reason="needs cc (Debian: gcc libc6-dev)"
)

SYNCS = """
import os, sys, apsw
file = os.open(sys.argv[1] + "/file", os.O_CREAT | os.O_RDWR)
os.fsync(file)
os.fdatasync(file)
db = apsw.Connection(sys.argv[1] + "/mail.db")
db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a)")
"""


def test_every_sync_is_slow_and_counted(tmp_path: Path) -> None:
    """Python's own and SQLite's, which apsw brings along; as in a server, by the environment."""
    system = SlowMailpost(tmp_path / "mailpost", 0)
    shim = Shim(tmp_path)
    shim.over(system)
    assert shim.syncs() == 0
    begun = time.monotonic()
    command = [sys.executable, "-c", SYNCS, str(tmp_path)]
    subprocess.run(command, env=os.environ | system.environment, check=True)
    assert shim.syncs() >= 3
    assert time.monotonic() - begun >= shim.syncs() * DELAY_SECONDS


def test_a_sync_that_nobody_can_count_ends_the_process(tmp_path: Path) -> None:
    """Rather than to be a false figure."""
    system = SlowMailpost(tmp_path / "mailpost", 0)
    shim = Shim(tmp_path)
    shim.over(system)
    shim.counted.unlink()
    command = [sys.executable, "-c", ""]
    ended = subprocess.run(
        command, env=os.environ | system.environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "slowdisk" in ended.stderr


def test_a_server_that_has_not_synced_is_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library was not in it, whatever the figure is."""
    from benchmarks import intake_rows  # noqa: PLC0415 - to stand in for the load

    monkeypatch.setattr(intake_rows.load, "send", lambda *_: 1.0)
    monkeypatch.setattr(intake_rows, "check_arrived", lambda *_: None)
    system = SlowMailpost(tmp_path / "mailpost", 0)
    Shim(tmp_path).over(system)
    plan = Plan(seconds=1.0, idle_sessions=1, maildrops=(), stores=(), programs=tmp_path)
    with pytest.raises(BenchmarkError, match="has synced nothing"):
        slow_disk_rows(plan)[0].prepare(system, plan)
