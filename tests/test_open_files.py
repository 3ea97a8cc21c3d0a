"""Open files: as many as the system lets a process have, and no more connections than there is room for."""

from __future__ import annotations

import resource

import pytest

from mailpost.open_files import SPARE, room_for

NONE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "asked", "room"),
    [
        ((1024, 4096), (4096, 4096), 1000),
        ((1024, 1100), (1100, 1100), 1100 - SPARE),
        ((4096, 4096), None, 1000),
        ((256, NONE), (2000 + SPARE, NONE), 1000),
        ((NONE, NONE), None, 1000),
        ((64, 64), None, 1),
    ],
)
def test_room_for_connections(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    asked: tuple[int, int] | None,
    room: int,
) -> None:
    """The limit is raised as far as the system lets us; what is too little is told by the answer."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: calls.append(new))
    assert room_for(1000) == room
    assert calls == ([asked] if asked else [])
