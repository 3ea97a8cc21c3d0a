"""What a campaign does to an office: each strike is drawn, told to the history, and over when it returns."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.strace import Fault, injected
from tests.river.office import attempts
from tests.river.small_disk import fill_up

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.faults.crowd import Crowd
    from tests.faults.history import History
    from tests.river.office import Office

CALLS = ("pwrite64", "fdatasync", "fsync", "writev", "ftruncate", "openat", "rename", "fallocate")
ERRORS = ("error=EIO", "error=ENOSPC")


class Strikes:
    """Strikes one office.

    :param disk: a file on the office's own small disk, to be filled; None: there is none.
    :param recovery: seconds within which letters are to be kept again.
    :ivar kinds: strikes to choose from.
    """

    def __init__(
        self,
        office: Office,
        history: History,
        crowd: Crowd,
        dice: random.Random,
        disk: Path | None,
        recovery: Callable[[], float],
    ) -> None:
        self._office = office
        self._history = history
        self._crowd = crowd
        self._dice = dice
        self._disk = disk
        self._recovery = recovery
        self.kinds: list[Callable[[], None]] = [
            self.worker_killed,
            self.worker_killed_at_a_call,
            self.workers_killed,
            self.office_killed,
            self.office_closed,
            self.calls_fail,
            self.calls_fail,
            self.calls_fail_everywhere,
            self.worker_stopped,
            self.reloaded,
        ]
        if disk is not None:
            self.kinds += [self.disk_full, self.disk_full]

    def strike(self) -> None:
        """One of them."""
        kind = self._dice.choice(self.kinds)
        self._history.struck(kind.__name__)
        kind()
        self._history.mended(self._recovery())

    # Processes --------------------------------------------------------------------------------------

    def worker_killed(self) -> None:
        """SIGKILL; the other goes on, and another comes."""
        _kill(self._dice.choice(self._serving()))
        self._wait(0.5)

    def worker_killed_at_a_call(self) -> None:
        """SIGKILL in the midst of one of its calls of the disk."""
        fault = Fault("signal=KILL", self._dice.choice(CALLS[:4]), self._dice.randint(1, 9))
        with injected(self._dice.choice(self._serving()), fault):
            self._wait(1.0)

    def workers_killed(self) -> None:
        """SIGKILL to every worker, however short their lives were."""
        for worker in self._serving():
            _kill(worker)
        self._wait(0.2)

    def office_killed(self) -> None:
        """SIGKILL to the first process; the workers end by themselves."""
        workers = workers_of(self._office)
        self._crowd.closed.set()
        self._office.kill()
        self._opened_again(workers)

    def office_closed(self) -> None:
        """SIGTERM, as a machine does that is restarted."""
        workers = workers_of(self._office)
        self._crowd.closed.set()
        self._office.stop()
        self._opened_again(workers)

    def worker_stopped(self) -> None:
        """A worker does not get on for a moment, whatever it has locked."""
        worker = self._dice.choice(self._serving())
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGSTOP)
            self._wait(1.0)
            os.kill(worker, signal.SIGCONT)

    def reloaded(self) -> None:
        """SIGHUP: another generation of workers."""
        said = "the configuration was read again"
        before = self._office.log.count(said)
        os.kill(self._office.pid, signal.SIGHUP)
        for _ in attempts():
            if self._office.log.count(said) > before:
                return

    # The disk ---------------------------------------------------------------------------------------

    def calls_fail(self) -> None:
        """Some calls of one worker fail, while the other serves."""
        self._fail(self._serving()[:1])

    def calls_fail_everywhere(self) -> None:
        """The same for every worker."""
        self._fail(self._serving())

    def disk_full(self) -> None:
        """No octet is left for a moment, and then there is room again."""
        assert self._disk is not None
        fill_up(self._disk)
        self._wait(2.0)
        self._disk.unlink()

    def _fail(self, workers: list[int]) -> None:
        first = self._dice.randint(1, 6)
        fault = Fault(
            self._dice.choice(ERRORS),
            self._dice.choice(CALLS),
            self._dice.choice([first, f"{first}..{first + 3}", f"{first}+"]),
        )
        with ExitStack() as stack:
            for worker in workers:
                stack.enter_context(injected(worker, fault))
            self._wait(1.5)

    # Helpers ----------------------------------------------------------------------------------------

    def _serving(self) -> list[int]:
        """The workers, in a random order, once there is one."""
        for _ in attempts():
            if found := workers_of(self._office):
                break
        return self._dice.sample(found, len(found))

    def _opened_again(self, workers: list[int]) -> None:
        for _ in attempts():
            if not any(map(_lives, workers)):
                break
        self._history.crashed()
        self._office.start()
        self._crowd.closed.clear()

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds * (0.5 + self._dice.random()))


def workers_of(office: Office) -> list[int]:
    """The processes that serve, where the first does not."""
    return office.workers


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
