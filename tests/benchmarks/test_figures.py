"""Medians, ratios and targets of the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.figures import Result, Sample, Target, Unit, middle, ratio

OURS, THEIRS = "mailpost", "other"


def result(unit: Unit, ours: list[float], theirs: list[float]) -> Result:
    samples = {
        OURS: [Sample(value, value) for value in ours],
        THEIRS: [Sample(value, value) for value in theirs],
    }
    return Result(unit, samples=samples)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    """A disturbance that halves both sides of a round leaves the ratio as it is."""
    assert ratio([100, 50, 100], [10, 5, 1], more_is_better=True) == 10


@pytest.mark.parametrize(("more_is_better", "expected"), [(True, 4.0), (False, 0.25)])
def test_a_ratio_tells_how_many_times_better(*, more_is_better: bool, expected: float) -> None:
    """More letters a second are better; more milliseconds are worse."""
    assert ratio([8], [2], more_is_better=more_is_better) == expected


def test_what_was_not_measured_has_no_figure() -> None:
    """No number is made up for a system that failed."""
    failed = result(Unit.PER_SECOND, [5.0], [])
    assert failed.value(THEIRS) is None
    assert failed.value_ratio(OURS, THEIRS) is None
    assert middle([None, None]) is None


@pytest.mark.parametrize(
    ("target", "ours", "theirs", "met"),
    [
        (Target("ratio", 10), [100.0], [10.0], True),
        (Target("ratio", 10), [99.0], [10.0], False),
        (Target("cpu ratio", 1), [2.0], [1.0], False),
        (Target("value", 60), [60.0], [], True),
        (Target("value", 60), [61.0], [], False),
        (Target("ratio", 10), [100.0], [], None),
    ],
)
def test_a_target_is_met_or_short_or_unknown(
    *, target: Target, ours: list[float], theirs: list[float], met: bool | None
) -> None:
    """A ratio must be at least the bound, a value at most."""
    assert result(Unit.PER_SECOND, ours, theirs).met(target, OURS, THEIRS) is met


def test_a_target_in_a_unit_is_compared_in_that_unit() -> None:
    """Opening within 60 ms is stored as 0.06 seconds."""
    opening = result(Unit.MILLISECONDS, [0.05], [])
    assert opening.met(Target("value", 60), OURS, THEIRS) is True
    assert opening.reached(Target("value", 60), OURS, THEIRS) == 50


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (Unit.PER_SECOND, 6300.4, "6,300 /s"),
        (Unit.MILLISECONDS, 0.0416, "41.6 ms"),
        (Unit.MICROSECONDS, 0.0000044, "4.40 µs"),
        (Unit.KILOBYTES, None, "-"),
    ],
)
def test_figures_are_shown_with_three_digits(unit: Unit, value: float | None, text: str) -> None:
    """More digits would claim a precision that is not there."""
    assert unit.show(value) == text
