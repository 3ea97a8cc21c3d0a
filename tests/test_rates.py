"""So many within a time, and not one more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailpost import rates
from mailpost.rates import Rates, Seldom


class Watched:
    """Rates of a minute, and who was told to want more."""

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.told: list[str] = []
        self.rates = Rates(self.clock, most, seconds, self.told.append)


def test_so_many_within_a_minute() -> None:
    """Then no more, until those are a minute old; another is not concerned."""
    watched = Watched(3)
    assert [watched.rates.take("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert watched.rates.take("b")
    watched.clock.advance(59)
    assert not watched.rates.take("a")
    watched.clock.advance(6)
    assert watched.rates.take("a")


def test_looking_takes_nothing() -> None:
    """Whether one may be taken can be asked as often as one likes."""
    watched = Watched(1)
    assert all(watched.rates.may("a") for _ in range(9))
    assert watched.rates.take("a")
    assert not watched.rates.may("a")


def test_told_once_in_a_period() -> None:
    """However often they want more."""
    watched = Watched(1)
    for _ in range(180):
        watched.rates.take("a")
        watched.clock.advance(1)
    assert watched.told == ["a"] * 3


def test_no_limit() -> None:
    """0 is as many as they like, and nothing is remembered."""
    watched = Watched(0)
    assert all(watched.rates.take("a") for _ in range(1000))
    assert len(watched.rates) == 0
    assert watched.told == []


def test_memory_is_bounded(monkeypatch) -> None:
    """Whoever has taken nothing for the longest time is forgotten."""
    monkeypatch.setattr(rates, "ROOM", 10)
    watched = Watched(2)
    for number in range(1000):
        watched.rates.take("busy")
        watched.rates.take(f"peer {number}")
        assert len(watched.rates) <= 10
    assert not watched.rates.may("busy")


def test_a_clock_that_is_put_back() -> None:
    """Nobody waits until it has caught up."""
    watched = Watched(1)
    assert watched.rates.take("a")
    watched.clock.rightNow -= 86_400
    assert watched.rates.take("a")
    assert not watched.rates.take("a")
    assert watched.told == ["a"]


def test_seldom() -> None:
    """A line a minute, with how many were kept back; a clock that is put back silences nobody."""
    clock = Clock()
    seldom = Seldom(clock)
    said = []
    for _ in range(130):
        said.append(seldom.time())
        clock.advance(1)
    assert [(when, unsaid) for when, unsaid in enumerate(said) if unsaid is not None] == [
        (0, 0),
        (60, 59),
        (120, 59),
    ]
    clock.rightNow -= 100
    assert seldom.time() == 9


@given(st.integers(1, 4), st.lists(st.floats(0, 30), max_size=60))
def test_never_more_within_any_period(most: int, waits: list[float]) -> None:
    """However it is spread; and thirteen twelfths of a period after the last one there is room again."""
    watched = Watched(most)
    taken: list[float] = []
    for wait in waits:
        watched.clock.advance(wait)
        if watched.rates.take("a"):
            taken.append(watched.clock.seconds())
    for first, beyond in zip(taken, taken[most:], strict=False):
        assert beyond - first > 60
    watched.clock.advance(65)
    assert all(watched.rates.take("a") for _ in range(most))
