"""Whether what is planted in samples is found: a leak beside noise, and nothing where there is none."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.trends import HALF_AN_HOUR, Limit, Verdict, trend

MEGABYTE = 1e6
EVERY = 5.0
TIMES = [EVERY * number for number in range(1, 361)]  # half an hour
LIMIT = Limit(MEGABYTE)


def resident(leak: float = 0.0, noise: float = 0.0, sawtooth: float = 0.0) -> list[float]:
    """80 MB, of a process that leaks so much in half an hour."""
    chance = random.Random(1)
    return [
        80 * MEGABYTE
        + leak * at / HALF_AN_HOUR
        + chance.uniform(-noise, noise)
        + sawtooth * (at / 60 % 1)
        for at in TIMES
    ]


@pytest.mark.parametrize("leak", [MEGABYTE, 1.5 * MEGABYTE, 10 * MEGABYTE])
@pytest.mark.parametrize("noise", [0, MEGABYTE / 2, MEGABYTE])
@pytest.mark.parametrize("sawtooth", [0, MEGABYTE])
def test_a_leak_of_a_megabyte_is_seen(leak: float, noise: float, sawtooth: float) -> None:
    """In half an hour, beside 80 that do not leak, and as much noise as the leak itself."""
    found = trend(TIMES, resident(leak, noise, sawtooth), LIMIT)
    assert found.verdict is Verdict.GROWS
    assert math.isclose(found.growth, leak, abs_tol=found.error + 1)


@pytest.mark.parametrize("leak", [0, -5 * MEGABYTE, MEGABYTE / 4])
@pytest.mark.parametrize("noise", [0, MEGABYTE / 2])
def test_what_does_not_leak_is_flat(leak: float, noise: float) -> None:
    """Or leaks so little that nobody asked, or becomes less."""
    assert trend(TIMES, resident(leak, noise), LIMIT).verdict is Verdict.FLAT


def test_what_fills_at_first_is_flat() -> None:
    """Caches and pools do, in the first minutes."""
    values = [min(at, 300.0) * MEGABYTE / 10 for at in TIMES]
    found = trend(TIMES, values, LIMIT)
    assert found.verdict is Verdict.FLAT
    assert found.begin < found.middle == found.end


def test_a_moment_that_stands_out_is_no_trend() -> None:
    """The machine does something else now and then."""
    values = resident()
    values[300] *= 10
    assert trend(TIMES, values, LIMIT).verdict is Verdict.FLAT


def test_noise_in_which_a_leak_would_drown_is_not_called_flat() -> None:
    """A check that cannot see must not say that nothing is there."""
    assert trend(TIMES, resident(noise=20 * MEGABYTE), LIMIT).verdict is Verdict.UNSURE


def test_a_short_run_is_not_sure_of_half_an_hour() -> None:
    """Two minutes of the same noise say little about thirty."""
    values = resident(noise=MEGABYTE / 2)[:24]
    assert trend(TIMES[:24], values, LIMIT).verdict is not Verdict.FLAT


def test_too_few_samples_are_no_trend() -> None:
    """A line through three points would be sure of itself."""
    with pytest.raises(ValueError, match="13 samples are too few"):
        trend(TIMES[:13], resident()[:13], LIMIT)


def test_what_may_rise_to_its_bound_is_bounded_and_not_beyond() -> None:
    """A file that keeps its greatest size rises in steps, and has an end."""
    rising = [8 * MEGABYTE + 4 * MEGABYTE * (at // 600) for at in TIMES]
    assert trend(TIMES, rising, Limit(MEGABYTE, bound=20e6)).verdict is Verdict.BOUNDED
    assert trend(TIMES, rising, Limit(MEGABYTE, bound=19e6)).verdict is Verdict.GROWS


def test_a_share_counts_where_it_is_more() -> None:
    """Latency may grow by a part of what it is."""
    rising = [0.1 + 0.02 * at / HALF_AN_HOUR for at in TIMES]
    assert trend(TIMES, rising, Limit(0.001, 0.25)).verdict is Verdict.FLAT
    assert trend(TIMES, rising, Limit(0.001, 0.1)).verdict is Verdict.GROWS
