"""The keys of session tickets: each for its time, in every process the same."""

from __future__ import annotations

import gc
import weakref

import pytest
from twisted.internet.task import Clock

from mailpost.tls.tickets import DAYS, KEY_SECONDS, TicketKeys


@pytest.fixture
def clock():
    return Clock()


def test_each_for_its_time(clock):
    """A key is used until its time is over, and is gone then."""
    keys = TicketKeys(clock.seconds, 3)
    seen = []
    for _ in range(6):
        first = weakref.ref(keys.current())
        clock.advance(KEY_SECONDS - 1)
        assert keys.current() is first()
        clock.advance(1)
        assert keys.current() is not first()
        gc.collect()
        assert first() is None
        seen.append(first)
    assert len(set(map(id, seen))) == 6


def test_whenever_one_looks(clock):
    """Who begins late, or has not looked for days, is at the same key as the others."""
    keys = TicketKeys(clock.seconds, 8)
    planned = list(keys._keys)
    clock.advance(2.5 * KEY_SECONDS)
    assert keys.current() is planned[2]
    clock.advance(0.6 * KEY_SECONDS)
    assert keys.current() is planned[3]
    clock.advance(4 * KEY_SECONDS)
    assert keys.current() is planned[7]
    clock.advance(1000 * KEY_SECONDS)
    last = keys.current()
    assert last not in planned
    clock.advance(0.8 * KEY_SECONDS)
    assert keys.current() is last
    clock.advance(0.2 * KEY_SECONDS)
    assert keys.current() is not last


def test_for_processes(clock):
    """There are enough for months, and none of them takes much room."""
    keys = TicketKeys.for_processes(clock.seconds)
    first = keys.current()
    clock.advance(DAYS * 86400 - 1)
    assert keys.current() is not first
    assert len(keys._keys) == 1
