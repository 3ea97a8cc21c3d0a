"""Reading what Linux tells of processes and mounts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine import commit, file_system
from benchmarks.processes import cpu_seconds, descendants, stat_fields

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def test_a_command_may_hold_parentheses_and_spaces() -> None:
    """proc(5): the command ends at the last closing parenthesis."""
    assert stat_fields("12 (a ) (b) S 1 12")[:3] == ["S", "1", "12"]


def test_the_longest_mount_point_decides() -> None:
    """/var/tmp may be another file system than /var."""
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /var/tmp tmpfs rw 0 0\n"
    assert file_system(Path("/var/tmp/x"), mounts) == "tmpfs"
    assert file_system(Path("/var/tmpfile"), mounts) == "ext4"


def test_the_commit_is_named_where_there_is_one(tmp_path: Path) -> None:
    """What was measured can be found again; files that were changed since are told of."""
    assert commit(tmp_path) == {}
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    file = tmp_path / "file"
    file.touch()
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    name = commit(tmp_path)["commit"]
    assert re.fullmatch("[0-9a-f]{7,}", name)
    file.write_text("two")
    assert commit(tmp_path) == {"commit": f"{name}-dirty"}


@linux
def test_the_time_of_a_process_that_has_ended_is_counted() -> None:
    """A child of a child is collected by its parent, and is in the sum."""
    burn = "import time\nwhile time.process_time() < 0.15: pass"
    code = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
    code += "print('burnt', flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", code]
    before = cpu_seconds([os.getpid()])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "burnt\n"
        assert process.pid in descendants(os.getpid())
        assert cpu_seconds([os.getpid()]) - before >= 0.14
        process.communicate("")
