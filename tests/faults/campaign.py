"""A campaign: an office under load is struck at random, for as long as one likes, and nothing is lost."""

from __future__ import annotations

import random
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.faults.crowd import Crowd, audit
from tests.faults.cutting import Weather
from tests.faults.history import History
from tests.faults.strikes import Strikes
from tests.river.office import Office
from tests.river.small_disk import NotMounted, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VIEWS = ("alice", "alice#phone", "alice#desk", "bob", "carol")
DISK_MIB = 192
SETTINGS = 'workers = 2\ndisk_reserve = "16 MiB"'
ROUNDS = 6  # strikes from one audit to the next


class Campaign:
    """One office, its clients, and what becomes of them.

    :param folder: new; the history and the office's log are there.
    :param recovery: seconds within which letters are to be kept again.
    :ivar disk: whether the office has a small disk of its own, which root alone can give it.
    """

    def __init__(self, folder: Path, seed: int, recovery: Callable[[], float]) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._dice = random.Random(seed)
        self._seed = seed
        self.history = History(VIEWS, folder / "history")
        self._recovery = recovery
        self.office: Office | None = None
        self.cuts = 0
        self.disk = False

    def run(self, seconds: float, told: Callable[[float], object]) -> None:
        """Strike until the time is up.

        :param told: told how many seconds have passed.
        :raises AssertionError: a promise was broken.
        """
        with ExitStack() as stack:
            try:
                place = stack.enter_context(small_disk(self._folder / "disk", DISK_MIB))
                self.disk = True
            except NotMounted:
                place = self._folder
            keeping = f"\n[keeping]\nbin = {self._dice.choice([0, 7])}"
            office = self.office = Office(place / "office", office=SETTINGS, limits=keeping)
            office.log_file = self._folder / "office.log"
            stack.callback(office.stop)
            office.add_users(view for view in VIEWS if "#" not in view)
            for view in VIEWS:
                user, _, device = view.partition("#")
                if device:
                    config = ["--config", str(office.config)]
                    office.mailpost(*config, "device", "add", user, device, "--from", "all")
            office.start()
            audit(self.history, office.pop3)  # from its first opening on a view holds letters
            stack.callback(self.history.close)
            smtp = stack.enter_context(Weather(office.smtp, self._weather(), 0.3, 30_000))
            pop3 = stack.enter_context(Weather(office.pop3, self._weather(), 0.3, 200_000))
            ports = ([office.smtp, office.smtp, smtp.port], [office.pop3, pop3.port])
            crowd = stack.enter_context(Crowd(self.history, *ports, self._seed))
            filler = place / "filler" if self.disk else None
            strikes = Strikes(office, self.history, crowd, self._dice, filler, self._recovery)
            try:
                self._strike(strikes, crowd, office, seconds, told)
            finally:
                self.cuts = smtp.cuts + pop3.cuts

    def _weather(self) -> random.Random:
        return random.Random(self._dice.random())

    def _strike(
        self,
        strikes: Strikes,
        crowd: Crowd,
        office: Office,
        seconds: float,
        told: Callable[[float], object],
    ) -> None:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            told(passed)
            for _ in range(ROUNDS):
                strikes.strike()
                time.sleep(self._dice.uniform(0.3, 2.0))
                crowd.check()
                told(time.monotonic() - began)
                if time.monotonic() - began > seconds:
                    break
            self._settle(crowd)
            crowd.stop()
            crowd.check()
            audit(self.history, office.pop3)
            crowd.start()

    def _settle(self, crowd: Crowd) -> None:
        """Wait until a letter was kept after the last strike, or the checker has lost its patience."""
        while self.history.checker.waiting and not self.history.lies:
            crowd.check()
            time.sleep(0.1)

    @property
    def verdict(self) -> str:
        """What has happened, in one line."""
        counts = self.history.counts
        strikes = {
            name.removeprefix("struck: "): count
            for name, count in sorted(counts.items())
            if name.startswith("struck")
        }
        said = ", ".join(f"{count} {name}" for name, count in strikes.items())
        slowest = max(self.history.checker.recoveries, default=0)
        log = "" if self.office is None else self.office.log
        return (
            f"seed {self._seed}: {counts['kept']} letters kept of {counts['sent']} sent, "
            f"{counts['let go']} let go of, {counts['sessions']} sessions, {counts['read']} read; "
            f"{sum(strikes.values())} strikes ({said}), {self.cuts} connections cut; "
            f"{counts['unanswered']} unanswered, {counts['put_off']} put off, "
            f"{counts['QUITs in doubt']} QUITs in doubt; "
            f"{counts['audits']} audits; slowest recovery {slowest:.1f} s; "
            f"{len(re.findall('Traceback', log))} tracebacks logged"
        )
