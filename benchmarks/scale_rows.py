"""What must not grow with the office: a login, a recipient, a letter, a command.

The first of the two users with letters has let go of all but a few, with the main password and with the
last of the devices; the other devices hold everything. Nobody has let go of anything of the second's,
which commands that count letters have to count.
"""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Sample, Target, Unit
from benchmarks.intake_rows import intake
from benchmarks.mailpost_crowd import LEFT
from benchmarks.row import OPENING_USER, Plan, Row
from benchmarks.scale import Crowded, Filled
from benchmarks.systems import (
    DEVICE_PASSWORD,
    PASSWORD,
    address,
    alias_address,
    child_environment,
    crowd_address,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.systems import System

TWICE = Target("ratio", 0.5)
RECIPIENTS = 1_000  # of a letter, as many as an office takes


def scale_rows(plan: Plan) -> list[Row]:
    """Make every row of the table."""
    del plan
    rows: list[Row] = [
        Opening("scale-open", f"opening a view of {LEFT} letters", PASSWORD),
        Opening("scale-device", f"a device's view of {LEFT} letters", DEVICE_PASSWORD),
        Recipients("scale-rcpt", "RCPT"),
        Aliases("scale-alias", "RCPT of an alias"),
        intake("scale-intake", "4 KB letters over 50 connections", 4096, 50),
        Command("scale-users", "user list"),
        Command("scale-devices", "device list"),
    ]
    return [row.promising(TWICE) for row in rows]


class Opening(Row):
    """From PASS to the reply to the first STAT, through a view that shows few letters."""

    def __init__(self, name: str, title: str, password: str) -> None:
        super().__init__(name, title, Unit.MILLISECONDS, "session")
        self._password = password

    def prepare(self, system: System, plan: Plan) -> None:
        """Log in for a moment, so that passwords are known and pages are in memory."""
        self._work(system, min(1.0, plan.seconds), plan)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Take the median of as many openings, one after the other, as fit into the time."""
        work = self._work(system, plan.seconds, plan)
        return Sample(work.p50, work.server_cpu / work.done, {"openings": work.done})

    def _work(self, system: System, seconds: float, plan: Plan) -> load.Work:
        program = load.compiled("pop3load", plan.programs)
        arguments = load.pop3(system, OPENING_USER, 1, password=self._password)
        with load.running(
            system, program, *arguments, "-s", seconds, "-e", LEFT, "sessions"
        ) as running:
            return running.work()


class Recipients(Row):
    """RCPT of every account of the office in turn; nothing is sent."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__(name, title, Unit.MICROSECONDS, "RCPT")

    def named(self, system: System) -> list[bytes]:
        """Give the addresses, as many as a letter may have."""
        return recipients(system)

    def prepare(self, system: System, plan: Plan) -> None:
        """Name them for a moment."""
        self._name(system, min(0.2, plan.seconds))

    def measure(self, system: System, plan: Plan) -> Sample:
        """Count how many are accepted."""
        return self._name(system, plan.seconds)

    def _name(self, system: System, seconds: float) -> Sample:
        everybody = [b"RCPT TO:<%b>" % name for name in self.named(system)]
        before, begun = system.cpu_seconds(), time.monotonic()
        named = 0
        with socket.create_connection(("127.0.0.1", system.smtp_port), 60) as connection:
            replies = connection.makefile("rb")
            expect(replies.readline(), b"220")
            say(connection, [b"HELO client.example.com"])
            expect(replies.readline(), b"250")
            while time.monotonic() < begun + seconds:
                letter = [b"MAIL FROM:<sender@example.com>", *everybody, b"RSET"]
                say(connection, letter)
                for _ in letter:
                    expect(replies.readline(), b"250")
                named += RECIPIENTS
        spent = time.monotonic() - begun
        return Sample(spent / named, (system.cpu_seconds() - before) / named, {"named": named})


class Aliases(Recipients):
    """The same of aliases from all over the table, each of which leads to one account."""

    def named(self, system: System) -> list[bytes]:
        """Give the addresses; where there are fewer, the same ones again."""
        assert isinstance(system, Filled)
        there = system.size.aliases
        step = max(1, there // RECIPIENTS)
        return [alias_address(at * step % there).encode() for at in range(RECIPIENTS)]


def recipients(system: System) -> list[bytes]:
    """Everybody in the office, again and again where they are fewer than a letter may have."""
    assert isinstance(system, Crowded)
    everybody = [address(user) for user in range(system.users)]
    everybody += [crowd_address(number) for number in range(system.crowd)]
    again = everybody * (RECIPIENTS // len(everybody) + 1)
    return [name.encode() for name in again[:RECIPIENTS]]


def say(connection: socket.socket, lines: Sequence[bytes]) -> None:
    """Send commands, all at once."""
    connection.sendall(b"".join(line + b"\r\n" for line in lines))


def expect(reply: bytes, code: bytes) -> None:
    """See that a reply is as it must be."""
    if not reply.startswith(code):
        raise BenchmarkError(f"an unexpected reply: {reply!r}")


class Command(Row):
    """A command, from its start to its end; the processor time is its own."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__(name, f"mailpost {command}", Unit.MILLISECONDS, "command")
        self._words = command.split()

    def prepare(self, system: System, plan: Plan) -> None:
        """Run it once, so that all it reads is in memory."""
        self.measure(system, plan)

    def measure(self, system: System, plan: Plan) -> Sample:  # noqa: ARG002 - one is enough
        """Run it."""
        assert isinstance(system, Filled)
        command = [sys.executable, "-m", "mailpost", "--config", system.config, *self._words]
        before, begun = _children(), time.monotonic()
        ran = subprocess.run(command, capture_output=True, env=child_environment(), check=False)
        seconds = time.monotonic() - begun
        if ran.returncode:
            raise BenchmarkError(f"{' '.join(self._words)}: {ran.stderr.decode(errors='replace')}")
        return Sample(seconds, _children() - before, {"lines": float(ran.stdout.count(b"\n"))})


def _children() -> float:
    """Processor time of all children that have ended; the servers have not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
