"""Turns: whoever has much to say holds up nobody, and is served to the end."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from mailpost.rota import SLICE_SECONDS, Rota
from tests.memory import go_round


class Talker:
    """Has so many turns' worth to say, each of which takes so long."""

    def __init__(self, rota: Rota, clock: Clock, turns: int, seconds: float = 0.0) -> None:
        self.rota = rota
        self.clock = clock
        self.left = turns
        self.seconds = seconds

    def take_turn(self) -> None:
        self.left -= 1
        self.clock.rightNow += self.seconds
        if self.left:
            self.rota.wait(self)


def test_all_are_served_in_turn_and_to_the_end() -> None:
    """One round gives each one turn where they are quick, and nothing is called when nobody waits."""
    clock = Clock()
    rota = Rota(clock)
    talkers = [Talker(rota, clock, turns) for turns in (3, 1, 2)]
    for one in talkers:
        rota.wait(one)
    lefts = []
    while len(rota):
        go_round(clock)
        lefts.append([one.left for one in talkers])
    assert lefts == [[2, 0, 1], [1, 0, 0], [0, 0, 0]]
    assert clock.getDelayedCalls() == []


def test_a_round_takes_no_longer_than_its_slice() -> None:
    """However many wait, a round ends when its time is over; the next begins with who comes next."""
    clock = Clock()
    rota = Rota(clock)
    talkers = [Talker(rota, clock, 2, SLICE_SECONDS / 2) for _ in range(100)]
    for one in talkers:
        rota.wait(one)
    began = clock.seconds()
    go_round(clock)
    assert clock.seconds() - began == pytest.approx(SLICE_SECONDS)
    assert [one.left for one in talkers[:4]] == [1, 1, 2, 2]
    go_round(clock)
    assert [one.left for one in talkers[:4]] == [1, 1, 1, 1]
    for _ in range(98):
        go_round(clock)
    assert len(rota) == 0
    assert not any(one.left for one in talkers)


def test_a_turn_that_fails_ends_nobody_elses() -> None:
    """What it raises is the reactor's to log; the others are served in the next round."""
    clock = Clock()
    rota = Rota(clock)
    broken, other = Talker(rota, clock, 1), Talker(rota, clock, 1)
    broken.rota = broken.left = None  # type: ignore[assignment]
    rota.wait(broken)
    rota.wait(other)
    with pytest.raises(TypeError):
        go_round(clock)
    go_round(clock)
    assert other.left == 0
