"""What a built wheel holds: all of mailpost, the plugin, and nothing that stands in Twisted's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = ("mailpost", "twisted", "setup.cfg", "pyproject.toml", "README.rst", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy, so that nothing is left in the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    leave_out = shutil.ignore_patterns("__pycache__", "dropin.cache")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=leave_out)
        else:
            shutil.copy(ROOT / name, folder / "source" / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "."]
    built = subprocess.run(
        [*build, "./source"], cwd=folder, capture_output=True, text=True, check=False
    )
    if built.returncode and not os.environ.get("CI"):
        pytest.skip(f"no wheel can be built here: {built.stderr[-500:]}")
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("mailpost-*.whl")
    return path


def test_everything_is_in_it(wheel: Path) -> None:
    """Every module of the source tree, the mark that types are told, the licence, the command."""
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "mailpost").rglob("*.py")}
    assert modules <= names
    assert "mailpost/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)
    entry_points = next(name for name in names if name.endswith("/entry_points.txt"))
    assert b"mailpost = mailpost.cli:main" in zipfile.ZipFile(wheel).read(entry_points)


def test_the_plugin_is_in_it(wheel: Path) -> None:
    """The drop-in for twistd, and no ``__init__`` beside it, which would hide Twisted's own plugins."""
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("twisted/")]
    assert names == ["twisted/plugins/mailpost_plugin.py"]
    assert not list((ROOT / "twisted").rglob("__init__*"))


def test_nothing_else_is_in_it(wheel: Path) -> None:
    """No tests, no benchmarks, no rubbish."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mailpost", "twisted"}
    assert all(name.endswith((".py", "py.typed")) for name in names if "dist-info" not in name)


def test_twistd_finds_it(wheel: Path, tmp_path: Path) -> None:
    """Where the wheel's files are on the path, twistd knows ``mailpost`` from any folder."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "elsewhere").mkdir()
    listed = subprocess.run(
        [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--help"],
        cwd=tmp_path / "elsewhere",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\n    mailpost " in listed.stdout
    assert "\n    web " in listed.stdout
    assert (tmp_path / "site/twisted/plugins/dropin.cache").exists()
