"""Damaged MIME: nothing is raised, cutting never matters, and time grows with the letter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from mailpost.wire.downgrade import Downgrader, downgraded
from mailpost.wire.mime import may_have_more
from mailpost.wire.top import top
from tests.damaged import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable

damaged = pytest.mark.parametrize("make", DAMAGED.values(), ids=DAMAGED)


@damaged
def test_the_same_however_it_is_cut(make: Callable[[int], bytes]) -> None:
    """Octet by octet, in threes and in larger pieces the same comes out."""
    letter = make(3)
    whole = downgraded(letter)
    for size in (1, 3, 100):
        downgrader = Downgrader()
        pieces = [letter[at : at + size] for at in range(0, len(letter), size)]
        assert b"".join(map(downgrader.feed, pieces)) + downgrader.end() == whole


@damaged
def test_lines_and_bodies_stay(make: Callable[[int], bytes]) -> None:
    """What is said anew is said in US-ASCII, no line is lost, and the form is stable."""
    letter = make(3)
    plain = downgraded(letter)
    assert downgraded(plain) == plain
    assert plain.endswith(letter[-4:])
    assert [line for line in plain.split(b"\r\n") if line[:2] == b"--"] == [
        line for line in letter.split(b"\r\n") if line[:2] == b"--"
    ]


@damaged
def test_linear(make: Callable[[int], bytes]) -> None:
    """Sixteen times the damage takes some sixteen times as long, looked at, rewritten, and cut for TOP."""
    unit = max(1, len(make(11)) // 10 - len(make(1)) // 10)
    took = []
    for size in (10_000, 160_000):
        letter = make(size // unit)
        began = time.process_time()
        may_have_more(b"Content-Type: multipart/mixed", letter)
        downgraded(letter)
        assert letter.startswith(top(letter, 3))
        took.append(time.process_time() - began)
    assert took[1] < 80 * took[0] + 0.1
