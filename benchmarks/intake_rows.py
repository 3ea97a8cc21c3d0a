"""Letters coming in: how many a second are durable and collectable, and how long a 250 takes.

In the clear the load is Postfix's own ``smtp-source``; with STARTTLS, and with a login, it is
``smtpload.c``, whose letters go over the wire in the same steps.

All letters go to one maildrop, which for Postfix and Dovecot was no slower than ten. The number
of letters follows from the system's own pace in the run before, so that each is measured for the
same time; afterwards STAT must announce exactly as many as were sent.
"""

from __future__ import annotations

import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from benchmarks import load, maildrop
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Sample, Unit
from benchmarks.load import Mailing, StartTLS
from benchmarks.row import INTAKE_USER, Plan, Row
from benchmarks.systems import System, address

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIAL_OCTETS = 4 << 20
TRIAL_LETTERS = 400
MOST_LETTERS = 60_000

HOW = {
    StartTLS.NO: "",
    StartTLS.FULL: ", STARTTLS",
    StartTLS.RESUMED: ", STARTTLS with tickets",
}
"""What a title says of TLS. The version, cipher and group are the same for all (``load_tls.h``)."""


class Intake(Row):
    """Letters a second, from the first connection until the last letter lies in the maildrop."""

    def __init__(self, name: str, title: str, mailing: Mailing) -> None:
        super().__init__(name, title, Unit.PER_SECOND, "letter")
        self._mailing = mailing
        self._letters: dict[str, int] = {}

    def prepare(self, system: System, plan: Plan) -> None:
        """Warm the processes up, and learn the system's pace."""
        few = min(TRIAL_LETTERS, TRIAL_OCTETS // self._mailing.octets)
        self._send(system, max(few, 2 * self._mailing.connections), plan)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Send as many as fill the time at the pace seen last, and count what has arrived."""
        return self._send(system, self._letters[system.name], plan)

    def _send(self, system: System, letters: int, plan: Plan) -> Sample:
        before = system.cpu_seconds()
        seconds = load.send(system, replace(self._mailing, letters=letters))
        return self._arrived(system, letters, seconds, system.cpu_seconds() - before, plan)

    def _kept(self, system: System) -> int:  # noqa: ARG002 - for those that care
        """How many letters lie in the maildrop before and after."""
        return 0

    def _arrived(
        self,
        system: System,
        letters: int,
        seconds: float,
        cpu: float,
        plan: Plan,
        details: Mapping[str, float] = MappingProxyType({}),
    ) -> Sample:
        """See that all are there, and reckon how many are sent the next time."""
        check_arrived(system, letters, self._mailing.user, self._kept(system))
        wanted = int(min(letters / seconds * plan.seconds, MOST_LETTERS))
        # Every connection gets the same share, and more than one.
        shares = max(2, wanted // self._mailing.connections)
        self._letters[system.name] = shares * self._mailing.connections
        told = {"letters": letters, "seconds": seconds, **details}
        return Sample(letters / seconds, cpu / letters, told)


class SecureIntake(Intake):
    """The same over STARTTLS, with a login or without.

    Where connections are kept they are there, and logged in, before the time begins.
    """

    def _send(self, system: System, letters: int, plan: Plan) -> Sample:
        mailing = replace(self._mailing, letters=letters)
        program = load.compiled("smtpload", plan.programs)
        with load.running(system, program, *load.smtp(system, mailing)) as running:
            before, begun = system.cpu_seconds(), time.monotonic()
            work = running.work()
            system.settle()
            seconds = time.monotonic() - begun
            cpu = system.cpu_seconds() - before
        details = {"resumed": work.resumed / letters, "client_cpu": work.client_cpu / letters}
        sample = self._arrived(system, letters, seconds, cpu, plan, details)
        if mailing.tls is StartTLS.RESUMED and work.resumed != letters:
            raise BenchmarkError(f"{work.resumed} of {letters} sessions were resumed")
        return sample


class Latency(Row):
    """How long a sender waits from when a letter is due to its 250, at a load equal for all."""

    letters_per_second = 100
    connections = 50
    octets = 4096

    def __init__(self, name: str, quantile: Literal["p50", "p99"]) -> None:
        title = f"{quantile} of the 250 at {self.letters_per_second} letters/s"
        super().__init__(name, title, Unit.MILLISECONDS, "letter")
        self._quantile = quantile

    def prepare(self, system: System, plan: Plan) -> None:
        """Warm up with a short run."""
        self._work(system, min(1.0, plan.seconds), plan)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Send at the given pace; the row's quantile is its value, all are in the details."""
        work = self._work(system, plan.seconds, plan)
        value = work.p50 if self._quantile == "p50" else work.p99
        details = {"p50": work.p50, "p90": work.p90, "p99": work.p99, "max": work.max}
        details["letters"] = work.done
        return Sample(value, work.server_cpu / work.done, details)

    def _work(self, system: System, seconds: float, plan: Plan) -> load.Work:
        arguments: list[str | float] = [
            *("-p", system.smtp_port, "-t", address(INTAKE_USER), "-c", self.connections),
            *("-r", self.letters_per_second, "-l", self.octets, "-s", seconds),
        ]
        with load.running(system, load.compiled("smtpload", plan.programs), *arguments) as running:
            work = running.work()
        system.settle()
        check_arrived(system, work.done)
        return work


def check_arrived(system: System, letters: int, user: int = INTAKE_USER, kept: int = 0) -> None:
    """See that exactly so many letters have arrived behind those that were kept; delete them."""
    arrived = maildrop.count(system, user) - kept
    if arrived != letters:
        raise BenchmarkError(f"{system.name}: {letters} letters were sent, {arrived} arrived")
    maildrop.empty(system, user, kept)


def intake(
    name: str,
    title: str,
    octets: int,
    connections: int,
    *,
    per_letter: bool = False,
    lmtp: bool = False,
) -> Intake:
    """Make an intake row; the number of letters is found later."""
    mailing = Mailing(INTAKE_USER, 0, octets, connections, per_letter, lmtp=lmtp)
    return Intake(name, title, mailing)


def secure_intake(
    name: str,
    title: str,
    octets: int,
    connections: int,
    tls: StartTLS = StartTLS.FULL,
    *,
    per_letter: bool = False,
    login: bool = False,
) -> SecureIntake:
    """The same with STARTTLS, and a title that says so."""
    how = HOW[tls] + (", AUTH PLAIN" if login else "")
    mailing = Mailing(INTAKE_USER, 0, octets, connections, per_letter, tls, login)
    return SecureIntake(name, title + how, mailing)
