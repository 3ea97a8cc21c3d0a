"""The offices that faults strike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.river.conftest import small_disk
from tests.river.office import Office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["small_disk"]


@pytest.fixture
def stricken(tmp_path: Path) -> Iterator[Office]:
    """A running office for one test; that its log tells of what should not have happened is no wonder."""
    office = Office(tmp_path / "office")
    office.start()
    yield office
    office.stop()
