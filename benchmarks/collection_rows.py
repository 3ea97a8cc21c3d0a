"""Letters going out: sessions, RETR, opening large maildrops, memory of idle sessions.

The load is ``pop3load.c``; each of its connections has a user of its own, since RFC 1939 gives a
maildrop to one session at a time.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmarks import load, maildrop
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Sample, Unit
from benchmarks.load import TLS, Mailing
from benchmarks.row import (
    IDLE_USER,
    LARGE_USER,
    OPENING_USER,
    RETRIEVAL_USER,
    SESSION_USER,
    Plan,
    Row,
)

if TYPE_CHECKING:
    from benchmarks.systems import System

LARGE = 1 << 20

HOW = {
    TLS.NONE: "",
    TLS.IMPLICIT: ", TLS",
    TLS.RESUMED: ", TLS tickets",
    TLS.STLS: ", STLS",
}
"""What a title says of TLS. The version, cipher and group are the same for all (``pop3load.c``)."""


def fill(system: System, users: range, letters: int, octets: int) -> None:
    """See that each of the users has so many letters, delivered over SMTP."""
    for user in users:
        present = maildrop.count(system, user)
        if present == letters:
            continue
        if present:
            raise BenchmarkError(f"{system.name}: {present} letters, where none was expected")
        load.send(system, Mailing(user, letters, octets, min(letters, 10)))


class Sessions(Row):
    """Sessions of login, STAT and QUIT, of which each connection begins the next at once."""

    connections = 20
    letters = 5
    octets = 4096
    mode = "sessions"

    def __init__(self, name: str, tls: TLS = TLS.NONE) -> None:
        title = f"login, STAT, QUIT over {self.connections} connections{HOW[tls]}"
        super().__init__(name, title, Unit.PER_SECOND, "session")
        self._tls = tls

    def prepare(self, system: System, plan: Plan) -> None:
        """Put a few letters into every maildrop; log in once, so that passwords are known."""
        users = range(SESSION_USER, SESSION_USER + self.connections)
        fill(system, users, self.letters, self.octets)
        self._work(system, min(1.0, plan.seconds), plan)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Count the sessions that were closed in order."""
        work = self._work(system, plan.seconds, plan)
        if self._tls is TLS.RESUMED and not work.resumed:
            raise BenchmarkError("no session was resumed")
        details = {
            "sessions": work.done,
            "resumed": work.resumed / work.done,
            "client_cpu": work.client_cpu / work.done,
        }
        return Sample(work.done / work.seconds, work.server_cpu / work.done, details)

    def _work(self, system: System, seconds: float, plan: Plan) -> load.Work:
        program = load.compiled("pop3load", plan.programs)
        arguments = load.pop3(system, SESSION_USER, self.connections, self._tls)
        with load.running(
            system, program, *arguments, "-s", seconds, "-e", self.letters, self.mode
        ) as running:
            return running.work()


class Handshakes(Sessions):
    """TLS alone: connect, shake hands, read the greeting, QUIT; nobody logs in."""

    mode = "handshakes"

    def __init__(self, name: str, tls: TLS) -> None:
        super().__init__(name, tls)
        self.title = f"TLS handshake, greeting, QUIT over {self.connections} connections"
        self.title += ", tickets" if tls is TLS.RESUMED else ""
        self.per = "handshake"

    def prepare(self, system: System, plan: Plan) -> None:
        """Shake hands for a moment."""
        self._work(system, min(1.0, plan.seconds), plan)


class Retrieval(Row):
    """RETR of every letter in turn, again and again, some commands under way at once."""

    connections = 4

    def __init__(
        self, name: str, title: str, octets: int, window: int, tls: TLS = TLS.NONE
    ) -> None:
        large = octets >= LARGE
        unit = Unit.MEGABYTES_PER_SECOND if large else Unit.PER_SECOND
        super().__init__(name, title + HOW[tls], unit, "RETR")
        self._tls = tls
        self._octets = octets
        self._window = window
        self._letters = 20 if large else 500
        self._first_user = LARGE_USER if large else RETRIEVAL_USER

    def prepare(self, system: System, plan: Plan) -> None:
        """Fill the maildrops, and retrieve for a moment."""
        users = range(self._first_user, self._first_user + self.connections)
        fill(system, users, self._letters, self._octets)
        self._work(system, min(1.0, plan.seconds), plan)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Count letters that came whole, or the octets in them."""
        work = self._work(system, plan.seconds, plan)
        amount = work.octets if self.unit is Unit.MEGABYTES_PER_SECOND else work.done
        details = {"letters": work.done, "client_cpu": work.client_cpu / work.done}
        return Sample(amount / work.seconds, work.server_cpu / work.done, details)

    def _work(self, system: System, seconds: float, plan: Plan) -> load.Work:
        program = load.compiled("pop3load", plan.programs)
        arguments = load.pop3(system, self._first_user, self.connections, self._tls)
        window = ("-w", self._window, "-e", self._letters)
        with load.running(system, program, *arguments, *window, "-s", seconds, "retr") as running:
            return running.work()


class Opening(Row):
    """From PASS to the reply to the first STAT, in a maildrop of many letters, indexes warm."""

    octets = 1024

    def __init__(self, letters: int, number: int) -> None:
        title = f"opening a maildrop of {letters:,} letters, indexes warm"
        super().__init__(f"open-{letters}", title, Unit.MILLISECONDS, "session")
        self._letters = letters
        self._user = OPENING_USER + number

    def prepare(self, system: System, plan: Plan) -> None:
        """Stock the maildrop, and open it until the indexes are warm."""
        system.stock(self._user, self._letters, self.octets)
        present = maildrop.count(system, self._user)
        if present != self._letters:
            raise BenchmarkError(f"{system.name}: stocked {self._letters}, found {present}")
        self._work(system, min(1.0, plan.seconds), plan)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Take the median of as many openings, one after the other, as fit into the time."""
        work = self._work(system, plan.seconds, plan)
        details = {"openings": work.done, "p99": work.p99}
        return Sample(work.p50, work.server_cpu / work.done, details)

    def _work(self, system: System, seconds: float, plan: Plan) -> load.Work:
        program = load.compiled("pop3load", plan.programs)
        arguments = load.pop3(system, self._user, 1)
        with load.running(
            system, program, *arguments, "-s", seconds, "-e", self._letters, "sessions"
        ) as running:
            return running.work()


class Idle(Row):
    """Memory of a session that has logged in, asked STAT of an empty maildrop, and is silent.

    The proportional set size of all processes of the system with the sessions, less that
    without them, over their number. What could make this number too large or too small:

    * What a server sets up once, at its first logins: "without" has :attr:`others` already there.
    * What earlier rows left free in the processes would house the sessions for nothing: the
      processes are fresh.
    * A slow hash takes 19 MiB for a moment, which the C library keeps after the first time, and in
      which hundreds of sessions find room: a server that hashes has verified every password
      before, a few at a time, and for this row malloc gives large blocks back to the kernel.
    """

    others = 50

    def __init__(self, name: str, sessions: int, tls: TLS = TLS.NONE) -> None:
        title = f"memory per idle session, of {sessions}{HOW[tls]}"
        super().__init__(name, title, Unit.KILOBYTES, "login")
        self._tls = tls
        self._sessions = sessions

    def prepare(self, system: System, plan: Plan) -> None:
        """Nothing: every round begins with fresh processes."""

    def measure(self, system: System, plan: Plan) -> Sample:
        """Restart, compare, and restart as it ships."""
        system.restart(MALLOC_MMAP_THRESHOLD_=str(LARGE))
        try:
            return self._compare(system, plan)
        finally:
            system.restart()

    def _compare(self, system: System, plan: Plan) -> Sample:
        if system.hashes_passwords:
            users = range(IDLE_USER, IDLE_USER + self.others + self._sessions)
            with ThreadPoolExecutor(os.cpu_count()) as few:
                list(few.map(lambda user: maildrop.count(system, user), users))
        program = load.compiled("pop3load", plan.programs)
        others = load.pop3(system, IDLE_USER, self.others, self._tls)
        measured = load.pop3(system, IDLE_USER + self.others, self._sessions, self._tls)
        with load.running(system, program, *others, "idle") as first:
            before, cpu = system.memory(), system.cpu_seconds()
            with load.running(system, program, *measured, "idle") as second:
                after = system.memory()
                cpu = system.cpu_seconds() - cpu
                second.work()
            first.work()
        return Sample(
            (after.pss - before.pss) / self._sessions,
            cpu / self._sessions,
            {
                "sessions": self._sessions,
                "rss": (after.rss - before.rss) / self._sessions,
                "processes": after.processes,
                "pss_without": before.pss,
            },
        )
