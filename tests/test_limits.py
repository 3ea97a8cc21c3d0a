"""How many may come, and how long they may be silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailpost.limits import ConnectionLimits, IdleWatch, connection_rates, neighbourhood
from tests.memory import pass_time

if TYPE_CHECKING:
    from tests.logbook import Logbook


def test_per_address() -> None:
    """So many from one address, and as many from another; who goes makes room."""
    limits = ConnectionLimits(total=100, per_address=2)
    assert [limits.admit("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert limits.admit("192.0.2.2")
    limits.release("192.0.2.1")
    assert limits.admit("192.0.2.1")
    assert not limits.admit("192.0.2.1")


def test_per_neighbourhood() -> None:
    """All addresses of an IPv6 /64 count as one, as they come and as they go."""
    limits = ConnectionLimits(per_address=2)
    coming = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]
    assert [limits.admit(address) for address in coming] == [True, True, False, True]
    limits.release("2001:db8::1")
    assert limits.admit("2001:db8::3")
    assert not limits.admit("2001:db8::1")


def test_the_last_tenth() -> None:
    """It is for those who are known; where nobody is told from anybody else, for all."""
    limits = ConnectionLimits(total=10)
    assert [limits.admit(f"192.0.2.{number}", known.__contains__) for number in range(12)] == (
        [True] * 9 + [False] * 3
    )
    assert limits.admit("198.51.100.1", known.__contains__)
    assert not limits.admit("198.51.100.1", known.__contains__)  # it is full
    limits.release("192.0.2.1")
    assert limits.admit("192.0.2.1")


known = {"198.51.100.1"}


def test_in_all() -> None:
    """So many in all, loopback too."""
    limits = ConnectionLimits(total=2, per_address=9)
    assert limits.admit("127.0.0.1")
    assert limits.admit("192.0.2.1")
    assert not limits.admit("127.0.0.1")
    assert not limits.admit("192.0.2.2")
    limits.release("127.0.0.1")
    assert limits.admit("192.0.2.2")


def test_per_minute(log: Logbook) -> None:
    """So many within a minute from one neighbourhood, told once; those that are refused do not count."""
    clock = Clock()
    limits = ConnectionLimits(per_minute=connection_rates(clock, 3), per_address=2)
    coming = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"]
    heard = []
    for address in coming:
        heard.append(limits.admit(address))
        if heard[-1]:
            limits.release(address)
    assert heard == [True] * 3 + [False] * 2
    assert log.lines("2001") == [
        "2001:db8::/64 has connected 3 times within a minute; more are refused"
    ]
    assert limits.admit("2001:db8:0:1::1")
    assert all(limits.admit("127.0.0.1") for _ in range(9))
    clock.advance(66)
    assert [limits.admit("2001:db8::1") for _ in range(9)] == [True] * 2 + [False] * 7
    limits.release("2001:db8::1")
    assert limits.admit("2001:db8::1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", ""])
def test_loopback(address: str) -> None:
    """Loopback and UNIX sockets are exempt from the cap per address, unless the office says otherwise."""
    limits = ConnectionLimits(per_address=1)
    assert all(limits.admit(address) for _ in range(5))
    limits = ConnectionLimits(per_address=1, loopback_exempt=False)
    assert [limits.admit(address) for _ in range(2)] == [True, False]


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["192.0.2.1", "192.0.2.2", "::1"])), max_size=60
    )
)
def test_nothing_is_left_over(steps: list[tuple[bool, str]]) -> None:
    """Whoever comes and goes: never more than the limits, and in the end as much room as before."""
    limits = ConnectionLimits(total=5, per_address=3)
    here: list[str] = []
    for comes, address in steps:
        if comes and limits.admit(address):
            here.append(address)
        elif not comes and address in here:
            here.remove(address)
            limits.release(address)
        assert len(here) <= 5
        assert here.count("192.0.2.1") <= 3
    for address in here:
        limits.release(address)
    assert [limits.admit("192.0.2.9") for _ in range(4)] == [True] * 3 + [False]
    assert [limits.admit("::1") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
        ("a:path", "a:path", True),
    ],
)
def test_neighbourhood(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a case
    """An IPv6 /64 is one address, since one machine can have all of it."""
    assert (neighbourhood(one) == neighbourhood(other)) is same


class Watched:
    """A watch, and who was told to be late."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.clock = Clock()
        self.late: list[str] = []
        self.watch = IdleWatch(self.clock, seconds, self.late.append)


def test_patience() -> None:
    """Who is silent for so long is told, once; who was heard in the meantime is not."""
    watched = Watched()
    for name in "abc":
        watched.watch.touch(name)
    pass_time(watched.clock, 6)
    watched.watch.touch("b")
    pass_time(watched.clock, 3)
    assert watched.late == []
    pass_time(watched.clock, 2)
    assert watched.late == ["a", "c"]
    pass_time(watched.clock, 6)
    assert watched.late == ["a", "c", "b"]
    assert watched.clock.getDelayedCalls() == []


def test_forgotten() -> None:
    """Who has gone is not told, and where nobody is watched no clock ticks."""
    watched = Watched()
    watched.watch.touch("a")
    watched.watch.touch("b")
    watched.watch.forget("a")
    watched.watch.forget("a")
    watched.watch.forget("nobody")
    pass_time(watched.clock, 11)
    assert watched.late == ["b"]
    watched.watch.touch("a")
    watched.watch.forget("a")
    assert watched.clock.getDelayedCalls() == []
    watched.watch.touch("a")
    pass_time(watched.clock, 11)
    assert watched.late == ["b", "a"]


def test_one_clock_for_all() -> None:
    """A thousand are watched by one timer."""
    watched = Watched()
    for number in range(1000):
        watched.watch.touch(str(number))
        watched.watch.touch(str(number))
    assert len(watched.clock.getDelayedCalls()) == 1


def test_watched_again_at_once() -> None:
    """Who is late may be watched anew in that very moment, the only one or not, again and again."""
    clock = Clock()
    told = []

    def late(who: str) -> None:
        told.append(who)
        watch.touch(who)

    watch = IdleWatch(clock, 5, late)
    watch.touch("a")
    pass_time(clock, 31)
    assert len(told) == 6
    assert len(clock.getDelayedCalls()) == 1
    watch.forget("a")
    assert clock.getDelayedCalls() == []


def test_a_fault_with_one() -> None:
    """What is raised for one who is late does not keep the others from being told."""
    clock = Clock()
    told = []

    def late(who: str) -> None:
        told.append(who)
        if who == "a":
            raise ValueError(who)

    watch = IdleWatch(clock, 5, late)
    watch.touch("a")
    watch.touch("b")
    with pytest.raises(ValueError, match="a"):
        pass_time(clock, 10)
    pass_time(clock, 10)
    assert told == ["a", "b"]
