"""The turnstile: a few at a time, each address in its turn, and never more than there is room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError

from mailpost.accounts.turnstile import TooBusy, Turnstile
from mailpost.outcome import TemporaryFailure

from .book import Held, at_once


@pytest.fixture
def held():
    return Held()


def failure_of(deferred):
    failures = []
    deferred.addErrback(failures.append)
    return failures[0].value


def test_runs_what_it_is_given():
    """A check's answer is given on, and so is what it raises."""
    turnstile = Turnstile(at_once)
    answers = []
    turnstile.check("1", lambda: True).addCallback(answers.append)
    turnstile.check("1", lambda: False).addCallback(answers.append)
    assert answers == [True, False]
    assert isinstance(failure_of(turnstile.check("1", lambda: 1 / 0)), ZeroDivisionError)


def test_a_few_at_a_time(held):
    """No more run than there are lanes; the next begins when one is done."""
    turnstile = Turnstile(held, lanes=2)
    for _ in range(5):
        turnstile.check("1", bool)
    assert (len(held.running), len(turnstile)) == (2, 3)
    held.finish()
    assert (len(held.running), len(turnstile)) == (2, 2)


def test_each_address_in_its_turn(held):
    """Whoever offers many passwords waits behind each of the others' first."""
    turnstile = Turnstile(held, lanes=1)
    order = []
    for peer in "aaaabbc":
        turnstile.check(peer, bool).addCallback(lambda _, peer=peer: order.append(peer))
    while held.running:
        held.finish()
    assert "".join(order) == "aabcaba"


def test_when_it_is_full(held):
    """Full, the longest queue gives up its last for a newcomer; the failure is a temporary one."""
    turnstile = Turnstile(held, lanes=1, room=3)
    greedy = [turnstile.check("greedy", bool) for _ in range(4)]
    assert len(turnstile) == 3
    assert isinstance(failure_of(turnstile.check("greedy", bool)), TooBusy)
    turnstile.check("other", bool)
    assert isinstance(failure_of(greedy[3]), TemporaryFailure)
    turnstile.check("third", bool)
    assert len(turnstile) == 3
    assert isinstance(failure_of(turnstile.check("fourth", bool)), TooBusy)


def test_who_has_gone_costs_nothing(held):
    """Cancelled while it waits, a check never runs and leaves its place."""
    turnstile = Turnstile(held, lanes=1)
    turnstile.check("1", bool)
    ran = []
    waiting = turnstile.check("1", lambda: ran.append(1))
    waiting.cancel()
    assert isinstance(failure_of(waiting), CancelledError)
    assert len(turnstile) == 0
    held.finish()
    assert not held.running
    assert not ran


def test_who_goes_while_it_runs(held):
    """Cancelled while it runs, a check's answer is dropped, and the lane is free again."""
    turnstile = Turnstile(held, lanes=1)
    running = turnstile.check("1", lambda: 1 / 0)
    running.cancel()
    assert isinstance(failure_of(running), CancelledError)
    held.finish()
    turnstile.check("1", bool)
    assert len(held.running) == 1


@given(st.lists(st.one_of(st.sampled_from("abc"), st.just("done"), st.just("gone"))))
def test_every_check_is_answered_once(steps):
    """Whatever comes and goes in whatever order: bounds hold, and nobody is forgotten."""
    held = Held()
    turnstile = Turnstile(held, lanes=2, room=4)
    answers = []
    offered = []
    for step in steps:
        if step == "done":
            if held.running:
                held.finish()
        elif step == "gone":
            if offered:
                offered.pop().cancel()
        else:
            check = turnstile.check(step, bool)
            check.addBoth(answers.append)
            offered.append(check)
        assert len(held.running) <= 2
        assert len(turnstile) <= 4
        assert len(turnstile) == 0 or len(held.running) == 2
    while held.running:
        held.finish()
    assert len(turnstile) == 0
    assert len(answers) == sum(step in "abc" for step in steps)
