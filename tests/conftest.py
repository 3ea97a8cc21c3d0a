"""What tests of several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.logbook import Logbook

if TYPE_CHECKING:
    from collections.abc import Iterator

# The same examples each time: a test that fails, fails for everybody. Time says nothing on a busy machine.
settings.register_profile("mailpost", deadline=None, derandomize=True, database=None)
settings.load_profile("mailpost")


@pytest.fixture
def log() -> Iterator[Logbook]:
    """What is logged; a failure that the test does not take from it fails the test."""
    with Logbook() as logbook:
        yield logbook
    assert not logbook.failures
