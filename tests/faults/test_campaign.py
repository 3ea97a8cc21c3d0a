"""A short campaign; ``python -m tests.faults`` is the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.campaign import Campaign
from tests.faults.patience import recovery
from tests.river.conftest import not_here

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("strace")
def test_a_short_campaign(tmp_path: Path) -> None:
    """An office of two workers is struck at random under load, and nothing is lost."""
    campaign = Campaign(tmp_path / "campaign", 4, recovery)
    campaign.run(8, lambda _: None)
    counts = campaign.history.counts
    assert counts["kept"] > 100
    assert counts["audits"] >= 2
    assert sum(count for name, count in counts.items() if name.startswith("struck")) >= 3
    if not campaign.disk:
        not_here("no disk was filled: only root can mount a small one")
