"""Running the programs of others, each to its end and with an empty folder for its home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from .office import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

Program = Callable[[str, str], str]
"""Finds a program by its name and the package it is in: see the fixture of this name."""


def run(
    *command: str,
    home: Path,
    typed: bytes = b"",
    status: int | None = 0,
    patience: float = PATIENCE,
) -> bytes:
    """Run a program; what it printed, after its exit status was what it should be.

    :param status: None: whatever it likes.
    :param patience: seconds after which it is ended, and that is a failure.
    """
    ended = subprocess.run(
        command,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=patience,
        check=False,
        cwd=home,
        env={**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8"},
    )
    assert status in (None, ended.returncode), ended.stdout.decode(errors="replace")
    return ended.stdout


def secret_file(path: Path, text: str) -> str:
    """Write a file that is its owner's alone, as these programs ask for it; its name."""
    path.write_text(text)
    path.chmod(0o600)
    return str(path)
