"""A fault at any system call of a delivery and of a QUIT: what was promised holds, nothing else is gone.

A few calls of each kind are struck in every run of the tests, all with ``pytest -m slow tests/faults``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.faults.journeys import JOURNEYS, USER, Journey
from tests.faults.patience import recovery
from tests.faults.strace import Fault, injected, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.river.office import Office

FEW = 3
# What is asked of a disk. A socket that fails is a peer that has gone, and tested elsewhere.
DISK = {
    "pwrite64",
    "write",
    "writev",
    "fdatasync",
    "fsync",
    "ftruncate",
    "openat",
    "rename",
    "fallocate",
}
ERRORS = ("error=EIO", "error=ENOSPC")

pytestmark = pytest.mark.usefixtures("strace")


@pytest.fixture
def struck(stricken: Office, request: pytest.FixtureRequest) -> Iterator[Journey]:
    """A journey in an office of its own, that has been made once already."""
    stricken.add_users([USER])
    journey: Journey = JOURNEYS[request.param](stricken)
    step(journey)
    yield journey
    with suppress(AttributeError):
        journey.tidy()


def step(journey: Journey) -> None:
    """Without a fault."""
    journey.prepare()
    journey.go()
    journey.tidy()
    journey.audit()


def calls(journey: Journey) -> list[tuple[str, int]]:
    """Every system call that the journey makes."""
    journey.prepare()
    with watched(journey.office.pid) as found:
        journey.go()
    journey.tidy()
    journey.audit()
    return [(name, when) for name in sorted(found) for when in range(1, found[name] + 1)]


def some(faults: list[Fault], few: int) -> list[Fault]:
    """So many of them, from everywhere."""
    return faults[:: max(1, len(faults) // few)][:few]


def kill_at(journey: Journey, faults: list[Fault]) -> None:
    """SIGKILL, a restart that needs no hand, and the audit."""
    office = journey.office
    for fault in faults:
        journey.prepare()
        with injected(office.pid, fault):
            journey.go()
        journey.tidy()
        office.kill()  # where the call was not made this time
        journey.history.crashed()
        assert office.start() < recovery(), fault  # Python's own start is in it
        try:
            journey.audit()
        except (AssertionError, OSError) as error:
            raise AssertionError(f"{fault}: {error}") from error


def fail_at(journey: Journey, faults: list[Fault]) -> None:
    """The call fails; the office lives, and goes on as it should before long."""
    office = journey.office
    for fault in faults:
        journey.prepare()
        with injected(office.pid, fault):
            journey.go()
        journey.tidy()
        assert office.process is not None
        assert office.process.poll() is None, f"{fault}: the office has ended"
        try:
            journey.recovered()
            journey.audit()
        except (AssertionError, OSError) as error:
            raise AssertionError(f"{fault}: {error}") from error


def kills(journey: Journey) -> list[Fault]:
    return [Fault("signal=KILL", name, when) for name, when in calls(journey)]


def failures(journey: Journey) -> list[Fault]:
    made = [(name, when) for name, when in calls(journey) if name in DISK]
    assert {"pwrite64", "fdatasync"} <= {name for name, _ in made}
    return [Fault(error, name, when) for name, when in made for error in ERRORS]


@pytest.mark.parametrize("struck", JOURNEYS, indirect=True)
def test_killed_at_some_calls(struck: Journey) -> None:
    """SIGKILL."""
    kill_at(struck, some(kills(struck), FEW))


@pytest.mark.parametrize("struck", JOURNEYS, indirect=True)
def test_failures_of_some_calls(struck: Journey) -> None:
    """The disk fails, or is full."""
    fail_at(struck, some(failures(struck), FEW))


@pytest.mark.slow
@pytest.mark.parametrize("struck", JOURNEYS, indirect=True)
def test_killed_at_every_call(struck: Journey) -> None:
    """SIGKILL."""
    kill_at(struck, kills(struck))


@pytest.mark.slow
@pytest.mark.parametrize("struck", JOURNEYS, indirect=True)
def test_failures_of_every_call(struck: Journey) -> None:
    """The disk fails, or is full."""
    fail_at(struck, failures(struck))
