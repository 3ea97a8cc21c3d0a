"""Who has been silent for too long, of any number, by one timer and a number each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailpost.silence import NEVER, SilenceWatch

from .memory import pass_time


class Who:
    """Somebody who may be silent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard = NEVER


class Watched:
    """A watch over those who are there, and who was told to be late."""

    def __init__(self, names: str, seconds: float = 10.0) -> None:
        self.clock = Clock()
        self.late: list[str] = []
        self.there = {name: Who(name) for name in names}
        self.watch = SilenceWatch(
            self.clock, seconds, self.there.values(), lambda who: self.late.append(who.name)
        )

    def touch(self, *names: str) -> None:
        for name in names:
            self.watch.touch(self.there[name])

    @property
    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())


def test_patience() -> None:
    """Who is silent for so long is told, once; who was heard in the meantime is not."""
    watched = Watched("abc")
    watched.touch("a", "b", "c")
    pass_time(watched.clock, 6)
    watched.touch("b")
    pass_time(watched.clock, 3)
    assert watched.late == []
    pass_time(watched.clock, 2)
    assert watched.late == ["a", "c"]
    pass_time(watched.clock, 4)
    assert watched.late == ["a", "c"]
    pass_time(watched.clock, 2)
    assert watched.late == ["a", "c", "b"]
    assert watched.timers == 0


def test_forgotten() -> None:
    """Who is watched no longer is not told; where nobody is there any more no timer is left."""
    watched = Watched("ab")
    watched.touch("a", "b")
    watched.watch.forget(watched.there["a"])
    watched.watch.forget(watched.there["a"])
    pass_time(watched.clock, 12)
    assert watched.late == ["b"]
    watched.touch("a")
    del watched.there["a"]
    watched.watch.rest()
    watched.watch.rest()
    assert watched.timers == 0


def test_one_timer_and_few_looks() -> None:
    """A thousand who are heard again and again cost one timer, and a look over all once in the patience."""
    looks = []

    class Counted(dict[int, Who]):
        def __iter__(self) -> object:  # type: ignore[override]
            looks.append(1)
            return iter(self.values())

    clock = Clock()
    there = Counted({number: Who(str(number)) for number in range(1000)})
    late: list[Who] = []
    watch = SilenceWatch(clock, 300.0, there, late.append)  # type: ignore[arg-type]
    for _ in range(100):
        for who in there.values():
            watch.touch(who)
        assert len(clock.getDelayedCalls()) == 1
        clock.pump([1.0] * 10)
    assert not late
    assert len(looks) <= 4


def test_watched_again_at_once() -> None:
    """Who is late may be watched anew in that very moment, the only one or not, again and again."""
    clock = Clock()
    there = {Who("a")}
    told = []

    def late(who: Who) -> None:
        told.append(who)
        watch.touch(who)

    watch = SilenceWatch(clock, 5, there, late)
    watch.touch(*there)
    pass_time(clock, 31)
    assert len(told) == 6
    assert len(clock.getDelayedCalls()) == 1


def test_a_fault_with_one() -> None:
    """What is raised for one who is late does not keep the others from being told."""
    clock = Clock()
    first, second = Who("a"), Who("b")
    told = []

    def late(who: Who) -> None:
        told.append(who.name)
        if who is first:
            raise ValueError(who.name)

    watch = SilenceWatch(clock, 5, [second, first], late)
    watch.touch(first)
    clock.advance(0.5)
    watch.touch(second)
    with pytest.raises(ValueError, match="a"):
        clock.pump([1.0] * 7)
    clock.pump([1.0] * 3)
    assert told == ["a", "b"]


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 7)), max_size=40))
def test_nobody_is_told_too_soon_or_much_too_late(heard: list[tuple[int, float]]) -> None:
    """Whatever comes when: who is told was silent for the patience, and for a second more at most."""
    clock = Clock()
    there = [Who(str(number)) for number in range(5)]
    silent: list[float] = []
    watch = SilenceWatch(clock, 10.0, there, lambda who: silent.append(clock.seconds() - last[who]))
    last: dict[Who, float] = {}
    for number, seconds in heard:
        last[there[number]] = clock.seconds()
        watch.touch(there[number])
        for _ in range(10):
            clock.advance(seconds / 10)
    for _ in range(1200):
        clock.advance(0.01)
    assert all(9.99 < seconds < 11.8 for seconds in silent)
    assert all(who.heard == NEVER for who in there)
