"""The offices that faults strike."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.river.conftest import not_here, small_disk
from tests.river.office import Office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["small_disk"]


@pytest.fixture(scope="session")
def strace() -> None:
    """The saboteur is there; without it a test is skipped, but in CI it fails."""
    if shutil.which("strace") is None:
        not_here("strace is not installed (Debian's package: strace)")


@pytest.fixture
def stricken(tmp_path: Path) -> Iterator[Office]:
    """A running office for one test; that its log tells of what should not have happened is no wonder."""
    office = Office(tmp_path / "office")
    office.start()
    yield office
    office.stop()
