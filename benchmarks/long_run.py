"""mailpost for half an hour at half of the load that it can carry: does it stay as it is?

Letters come in at a steady pace, a few of them large enough to be parcels, and twenty users collect and
delete theirs every second. First it is measured how many letters a second are taken, as fast as they
come, while the same users collect; half of that is the pace.

So that "flat" is a fair question the office keeps nothing that was collected: its bin is empty
(``bin = 0``), and no retention or device holds letters back. As it ships the bin would keep them for
seven days, and the database would rightly grow. Logs grow, too, and are not looked at.

At the end every letter must be accounted for: what was accepted was collected, or still lies in a maildrop.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import load, maildrop
from benchmarks.errors import BenchmarkError
from benchmarks.mailpost_system import Mailpost
from benchmarks.row import SESSION_USER
from benchmarks.systems import address
from benchmarks.watching import Watch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from benchmarks.progress import Hour
    from benchmarks.systems import System

USERS = 20
SMALL, LARGE = 4096, 100_000  # octets; the large ones are parcels
ONE_LARGE_IN = 100
CONNECTIONS = 20
EVERY = 5.0  # seconds from one sample to the next
WARM_SECONDS, TRIAL_SECONDS = 2, 10  # of measuring what it can carry
ENDLESS = 1_000_000_000
PATIENCE = 60.0  # seconds that letters may be late: the machine may do something else meanwhile
LAST_SECONDS = 5.0  # in which what came last is collected
WINDOW = 16

KEEPING = "\n[keeping]\nbin = 0\n"


class Emptied(Mailpost):
    """As it ships, but for the bin: what was collected is gone."""

    def prepare(self) -> None:
        """Say so in the configuration."""
        super().prepare()
        with Path(self.config).open("a") as file:
            file.write(KEEPING)


@dataclass
class Course:
    """What was seen in the course of a run: for each quantity its samples, and when they were taken.

    :ivar pace: letters a second, of which one in a hundred is large.
    :ivar capacity: letters of 4 KB a second that were taken as fast as they came.
    """

    capacity: float
    pace: float
    samples: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    accepted: int = 0
    collected: int = 0
    failure: str | None = None

    def add(self, seconds: float, sample: dict[str, float]) -> None:
        """Take a sample of some quantities."""
        for name, value in sample.items():
            times, values = self.samples.setdefault(name, ([], []))
            times.append(seconds)
            values.append(value)


class Listener(threading.Thread):
    """Listens to a load program while it works."""

    def __init__(self, work: load.Load) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.lines: list[dict[str, float]] = []
        self.failure: BenchmarkError | None = None

    def run(self) -> None:
        """Keep what it tells; the last is about all of it."""
        try:
            for line in self._work.told():
                self.lines.append(line)
        except BenchmarkError as failure:
            self.failure = failure

    def ended(self) -> dict[str, float]:
        """Wait for its end; what it tells of all its work."""
        self.join()
        if self.failure is not None:
            raise self.failure
        return self.lines[-1]


def capacity(system: System, programs: Path) -> float:
    """Letters a second that are taken as fast as they come, while users collect."""
    endless = _letters(system, SMALL, "-n", ENDLESS, "-i", 1)
    seconds = WARM_SECONDS + TRIAL_SECONDS
    smtpload = load.compiled("smtpload", programs)
    with _collecting(system, programs, seconds + LAST_SECONDS) as collect:
        collector = Listener(collect)
        with load.running(system, smtpload, *endless) as sending:
            collector.start()
            taken = [line["done"] for line in islice(sending.told(), seconds)]
            sending.abandoned = True
        collector.ended()  # what was on its way when the sender broke off has come by now
    for user in _users():
        maildrop.empty(system, user)
    return sum(taken[WARM_SECONDS:]) / TRIAL_SECONDS


def run(system: Mailpost, seconds: float, programs: Path, show: Hour) -> Course:
    """Measure what it can carry, then have it carry half of that.

    :raises BenchmarkError: letters were lost, or nothing could be measured at all.
    """
    show.say("measuring how much it can carry")
    carries = capacity(system, programs)
    course = Course(carries, carries / 2)
    show.say(f"it takes {carries:,.0f} letters a second; {carries / 2:,.0f} from now on")
    watch = Watch(system)
    try:
        with ExitStack() as stack:
            _carry(system, seconds, programs, course, watch, show, stack)
    finally:
        watch.close()
    if course.failure is not None:
        return course
    left = sum(maildrop.count(system, user) for user in _users())
    if course.accepted != course.collected + left:
        raise BenchmarkError(
            f"{course.accepted} letters were accepted, {course.collected} collected, {left} are left"
        )
    return course


def _carry(
    system: Mailpost,
    seconds: float,
    programs: Path,
    course: Course,
    watch: Watch,
    show: Hour,
    stack: ExitStack,
) -> None:
    large = course.pace / ONE_LARGE_IN
    how_long = ("-s", seconds, "-i", EVERY, "-b", PATIENCE)
    letters = [
        _letters(system, SMALL, "-r", course.pace - large, *how_long),
        _letters(system, LARGE, "-r", large, *how_long),
    ]
    smtpload = load.compiled("smtpload", programs)
    loads = [stack.enter_context(load.running(system, smtpload, *words)) for words in letters]
    loads.append(stack.enter_context(_collecting(system, programs, seconds + LAST_SECONDS)))
    *senders, collector = map(Listener, loads)
    began = time.monotonic()
    for one in (*senders, collector):
        one.start()
    try:
        _watch(system, began, seconds, course, watch, show, [*senders, collector])
        course.accepted = sum(int(one.ended()["done"]) for one in senders)
        course.collected = int(collector.ended()["done"])
    except BenchmarkError as failure:
        # What was seen until then tells more than nothing.
        course.failure = system.obituary() or str(failure)
        for load_program in loads:
            load_program.abandoned = True
    for name, one in (("250", senders[0]), ("session", collector)):
        for number, line in enumerate(one.lines[:-1], 1):
            if line["done"] and number * EVERY <= seconds:
                course.add(
                    number * EVERY, {f"{name} {part}": line[part] for part in ("p50", "p99", "max")}
                )


def _watch(
    system: System,
    began: float,
    seconds: float,
    course: Course,
    watch: Watch,
    show: Hour,
    listeners: list[Listener],
) -> None:
    """Look every few seconds until the time is over."""
    for number in range(1, int(seconds / EVERY) + 1):
        time.sleep(max(0.0, began + number * EVERY - time.monotonic()))
        passed = time.monotonic() - began
        sample = watch.look()
        course.add(passed, sample)
        rss = sum(value for name, value in sample.items() if name.startswith("rss"))
        seen = f"{sample['letters']:,.0f} letters in the store, {rss / 1e6:.1f} MB resident"
        show.passed(passed, f"{system.name}: {seen}")
        for one in listeners:
            if one.failure is not None:
                raise one.failure


def _users() -> range:
    return range(SESSION_USER, SESSION_USER + USERS)


def _letters(system: System, octets: int, *pace: str | float) -> list[str | float]:
    to = ",".join(address(user) for user in _users())
    return ["-p", system.smtp_port, "-t", to, "-c", CONNECTIONS, "-l", octets, *pace]


def _collecting(
    system: System, programs: Path, seconds: float
) -> AbstractContextManager[load.Load]:
    words = load.pop3(system, SESSION_USER, USERS)
    program = load.compiled("pop3load", programs)
    pace = ("-s", seconds, "-i", EVERY, "-w", WINDOW, "collect")
    return load.running(system, program, *words, *pace)
