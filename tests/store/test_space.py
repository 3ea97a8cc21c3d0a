"""The reserve of free disk."""

import os
from types import SimpleNamespace

from twisted.internet.task import Clock

from mailpost.store.space import FRESH, Space


def test_reserve(tmp_path, monkeypatch):
    """Below the reserve there is not enough; the system is asked about once a second."""
    clock = Clock()
    free = [100]
    asked = []

    def statvfs(folder):
        asked.append(folder)
        return SimpleNamespace(f_bavail=free[0], f_frsize=10)

    monkeypatch.setattr(os, "statvfs", statvfs)
    space = Space(tmp_path, clock, reserve=1000)
    assert space.enough()
    free[0] = 99
    assert space.enough()
    clock.advance(FRESH)
    assert not space.enough()
    assert not space.enough()
    free[0] = 100
    clock.advance(FRESH)
    assert space.enough()
    assert len(asked) == 3


def test_delivery_has_room(office):
    """Intake asks the delivery; an office without a reserve to spare refuses."""
    assert office.store.delivery.has_room()
    office.store.space.reserve = 1 << 62
    office.clock.advance(FRESH)
    assert not office.store.delivery.has_room()
