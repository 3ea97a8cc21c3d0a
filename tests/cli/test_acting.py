"""Root reads and writes letters elsewhere as their owner, and the store as its owner."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mailpost.cli import acting

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
ALICE, STORE = 54_321, 54_322  # numbers that nobody has a name for

PROGRAM = """
import os, sys
from pathlib import Path
from mailpost.cli.acting import act_as, acting_as, each_as, owner_of

store, letters = map(Path, sys.argv[1:])
act_as(owner_of(store))
alice = owner_of(letters / "not" / "yet")
seen = [os.geteuid()]
with acting_as(alice):
    seen.append(os.geteuid())
    seen += each_as(owner_of(store), (os.geteuid() for _ in range(1)))
    seen.append(os.geteuid())
    (letters / "written").write_text("x")
    try:
        (store / "written").write_text("x")
    except PermissionError:
        seen.append("kept out")
seen += [os.geteuid(), os.getegid(), os.getgroups()]
print(seen)
"""


@pytest.fixture
def place():
    """A folder that everybody reaches; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@needs_root
def test_each_as_its_owner(place):
    """Neither reaches what is the other's, and files are their place's owner's."""
    for name, owner in (("store", STORE), ("letters", ALICE)):
        (place / name).mkdir(mode=0o700)
        os.chown(place / name, owner, owner)
    places = (str(place / "store"), str(place / "letters"))
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *places], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{[STORE, ALICE, STORE, ALICE, 'kept out', STORE, STORE, []]}\n"
    assert (place / "letters" / "written").stat().st_uid == ALICE


def test_nobody_else_changes(monkeypatch, tmp_path):
    """Who is not root stays who he is."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "seteuid", lambda _: pytest.fail("it became somebody"))
    assert acting.owner_of(tmp_path) is None
    with acting.acting_as(acting.User(5, 5, [])):
        acting.act_as(acting.User(5, 5, []))
    assert list(acting.each_as(None, [1, 2])) == [1, 2]
