"""An office that is made once, and copied for each test that changes it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from mailpost.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def made_office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office of example.org with an account alice, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "office"
    words = ("init", str(folder), "--domain", "example.org", "--user", "alice")
    made = CliRunner().invoke(main, words)
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def office_here(
    made_office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Copies it to ./office, where the commands find it by themselves."""

    def copy() -> None:
        monkeypatch.chdir(tmp_path)
        shutil.copytree(made_office, tmp_path / "office")
        monkeypatch.setenv("MAILPOST_CONFIG", "office/mailpost.toml")

    return copy


@pytest.fixture
def new_office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An office in ./office, where the commands find it by themselves; nobody has an account yet."""
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(main, ("init", "office", "--domain", "example.org"))
    assert run.exit_code == 0
    monkeypatch.setenv("MAILPOST_CONFIG", "office/mailpost.toml")
    return Path("office")
