"""mailpost under attack: what somebody honest notices of it, and what it costs in memory.

Everything is as it ships, but for doors that believe a PROXY header, so that attackers (``hostile.c``) and
the honest (:mod:`benchmarks.honest`) come from addresses of the world, since loopback is exempt from limits.
Where the title says so, as many connections as the attack has are let in, so that all of them weigh on the
office.

A row has two promises: 99 of 100 honest letters, and of 100 looks into a maildrop, take less than 100 ms and
none fails; and memory is flat: :data:`PER_CONNECTION` for each connection that is held open at most, and
:data:`SLACK` for all else.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks import load, maildrop
from benchmarks.figures import Sample, Target, Unit
from benchmarks.honest import come, hand_in, look_in
from benchmarks.mailpost_system import Mailpost
from benchmarks.processes import descendants, own_seconds
from benchmarks.row import Plan, Row
from benchmarks.systems import PASSWORD, USER_PREFIX, address, free_port, user_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.systems import System

P99_SECONDS = 0.1
PER_CONNECTION = 24 * 1024
SLACK = 48 << 20
"""Two passwords being hashed take 38 MiB for a moment."""

PER_SECOND = 20.0
"""Letters, and looks into a maildrop, of the honest."""

SENDER, COLLECTOR = "192.0.2.25", "192.0.2.110"
"""A host that has never been here, and a place from which somebody logs in."""

LOOKERS = READERS = 20
RECEIVER, FIRST_LOOKER, FIRST_READER = 0, 1, 30
"""Users: who gets the honest letters, the first who looks in, and the first whose letters nobody reads."""

USERS = FIRST_READER + READERS
LARGE = 4 << 20

DOORS = """
[limits]
{limits}

[[listen]]
protocol = "smtp"
endpoint = "tcp:{smtp}:interface=127.0.0.1:backlog=4096"
proxy = ["127.0.0.0/8"]

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3}:interface=127.0.0.1:backlog=4096"
cleartext = true
proxy = ["127.0.0.0/8"]
"""

Door = Literal["smtp", "pop3"]


class Besieged(Mailpost):
    """mailpost, with doors for the world."""

    def __init__(self, folder: Path, users: int) -> None:
        super().__init__(folder, users)
        self.doors: dict[Door, int] = {"smtp": free_port(), "pop3": free_port()}
        self._shipped = ""

    def prepare(self) -> None:
        """As ever; the doors come with :meth:`reopen`."""
        super().prepare()
        self._shipped = Path(self.config).read_text()

    def reopen(self, connections: int | None) -> None:
        """Begin again with fresh processes.

        :param connections: how many are let in; None: as many as it ships.
        """
        limits = "" if connections is None else f"connections = {connections}"
        doors = DOORS.format(limits=limits, **self.doors)
        Path(self.config).write_text(self._shipped + doors)
        self.restart()

    def clock(self) -> Callable[[], float]:
        """What tells the processor time of the servers that run now, so quickly that it costs nothing."""
        pids = [pid for keeper in self._keepers for pid in descendants(keeper.pid)]
        return lambda: sum(map(own_seconds, pids))


@dataclass(frozen=True)
class Attack:
    """What ``hostile.c`` is told.

    :ivar lead: lines that come before it, parted by ``|``.
    :ivar first: the number of the first connection, for ``%`` in those lines.
    :ivar octets: of memory that a connection may take.
    :ivar interval: seconds between two octets of a connection that drips.
    :ivar pause: seconds before a connection that has ended is made anew.
    """

    way: Literal["drip", "flood", "mute", "guess", "storm"]
    door: Door
    connections: int
    addresses: int
    lead: str = ""
    text: str = ""
    times: int = 1
    pause: float = 1.0
    interval: float = 1.0
    first: int = 0
    octets: int = PER_CONNECTION

    def arguments(self, system: Besieged) -> list[str]:
        """The words of its command line."""
        options = {
            "-p": system.doors[self.door],
            "-c": self.connections,
            "-a": self.addresses,
            "-n": self.times,
            "-w": self.pause,
            "-i": self.interval,
            "-L": self.lead,
            "-F": self.text,
            "-f": self.first,
        }
        return [str(word) for option in options.items() for word in option] + [self.way]


class Siege(Row):
    """The honest without the attack, and with it."""

    def __init__(self, name: str, title: str, attack: Attack, *, room: bool = False) -> None:
        super().__init__(name, title, Unit.MILLISECONDS, "second")
        self.promising(Target("value", P99_SECONDS * 1000))
        self._attack = attack
        self._room = room

    def prepare(self, system: System, plan: Plan) -> None:
        """See that those who do not read have something to read."""
        load.compiled("hostile", plan.programs)
        if self._attack.way == "mute" and self._attack.door == "pop3":
            for user in range(FIRST_READER, FIRST_READER + READERS):
                if not maildrop.count(system, user):
                    system.stock(user, 1, LARGE)

    def measure(self, system: System, plan: Plan) -> Sample:
        """Restart, so that memory tells of this attack alone; then the one and the other."""
        assert isinstance(system, Besieged)
        # The last tenth is for those who are known.
        system.reopen(self._attack.connections * 5 // 4 if self._room else None)
        honest = partial(come, _honest(system), PER_SECOND)
        spent = system.clock()
        # Passwords are known then, and so is the place, to each of the workers, who share neither.
        honest(LOOKERS / PER_SECOND * (4 * system.workers - 3), spent)
        peace = honest(plan.seconds, spent)
        before = system.memory().pss
        opening = time.monotonic()
        program = load.compiled("hostile", plan.programs)
        with load.running(system, program, *self._attack.arguments(system)) as attackers:
            attackers.abandoned = True  # it is called off before the block ends
            opening = time.monotonic() - opening
            settled, cpu, begun = system.memory().pss, system.cpu_seconds(), time.monotonic()
            war = honest(plan.seconds, spent)
            cpu = (system.cpu_seconds() - cpu) / (time.monotonic() - begun)
            after = system.memory().pss
            attackers.go_on()  # it is called off
            done = json.loads(attackers.line())
        details = {f"attack_{name}": float(value) for name, value in done.items()}
        for when, told in (("peace", peace), ("war", war)):
            for what, visits in zip(("letter", "session"), told, strict=True):
                details[f"{what}_{when}_p50"] = visits.quantile(0.5)
                details[f"{what}_{when}_p99"] = visits.quantile(0.99)
                details[f"{what}_{when}_ahead"] = visits.costs(0.99)
                details[f"{what}_{when}_failures"] = float(len(visits.failures))
        details |= {"before": float(before), "settled": float(settled), "after": float(after)}
        details["opening"] = opening
        details["grown"] = float(after - before)
        details["allowed"] = SLACK + self._attack.octets * done["held"]
        return Sample(max(visits.quantile(0.99) for visits in war), cpu, details)


def _honest(system: Besieged) -> Sequence[Callable[[int], None]]:
    """A letter from a stranger, and a look into one of some maildrops from where their users are known."""
    smtp, pop3 = system.doors["smtp"], system.doors["pop3"]
    return (
        lambda _: hand_in(smtp, SENDER, address(RECEIVER)),
        lambda number: look_in(pop3, COLLECTOR, user_name(FIRST_LOOKER + number % LOOKERS)),
    )


class Sleepers(Siege):
    """Sessions that have logged in and do nothing: no attack, but many."""

    def prepare(self, system: System, plan: Plan) -> None:
        """Make their accounts."""
        super().prepare(system, plan)
        assert isinstance(system, Besieged)
        count = str(self._attack.connections)
        system.run("benchmarks.mailpost_crowd", "sleepers", system.config, count)


ENVELOPE = f"EHLO a|MAIL FROM:<a@example.com>|RCPT TO:<{address(RECEIVER)}>|DATA"
LOGIN = f"USER {USER_PREFIX}%|PASS {PASSWORD}"
MANY = 5000
SESSIONS = 10_000


def hostile_rows(plan: Plan) -> list[Row]:
    """Make every row."""
    del plan
    nobody_reads = "RETR 1\r\n"
    return [
        Siege("drip-smtp", f"{MANY:,} drip a command, all let in",
              Attack("drip", "smtp", MANY, 500), room=True),
        Siege("drip-data", f"{MANY:,} drip a letter, all let in",
              Attack("drip", "smtp", MANY, 500, lead=ENVELOPE), room=True),
        Siege("drip-pop3", f"{MANY:,} drip a command of POP3, all let in",
              Attack("drip", "pop3", MANY, 500), room=True),
        Sleepers("sleepers", f"{SESSIONS:,} POP3 sessions that do nothing, all let in",
                 Attack("drip", "pop3", SESSIONS, 1000, lead=f"USER sleeper%|PASS {PASSWORD}",
                        interval=3600.0), room=True),
        Siege("drip-shipped", f"{MANY:,} drip a command, as many as it ships let in",
              Attack("drip", "smtp", MANY, 500)),
        Siege("mute-pop3", f"{READERS} never read letters of 4 MB",
              Attack("mute", "pop3", READERS, READERS, lead=LOGIN, text=nobody_reads, times=50,
                     first=FIRST_READER)),
        Siege("mute-smtp", "900 never read replies",
              Attack("mute", "smtp", 900, 100, text="NOOP\r\n", times=20_000, octets=128 << 10)),
        Siege("flood-line", "50 send commands without end",
              Attack("flood", "smtp", 50, 10, text="x" * 64, pause=0.0)),
        Siege("flood-data", "20 send a letter without end",
              Attack("flood", "smtp", 20, 10, lead=ENVELOPE, text="x" * 64, pause=0.0)),
        Siege("flood-noop", "50 send commands as fast as they are taken",
              Attack("flood", "smtp", 50, 10, text="NOOP\r\n", pause=0.0)),
        Siege("flood-capa", "50 send commands of POP3 as fast as they are taken",
              Attack("flood", "pop3", 50, 10, text="CAPA\r\n", pause=0.0)),
        Siege("guess", "500 guess passwords from 100 addresses",
              Attack("guess", "pop3", 500, 100,
                     text=f"USER {user_name(FIRST_LOOKER)}\r\nPASS wrong#\r\n", pause=0.0)),
        Siege("storm", "200 connect and hang up from 100 addresses",
              Attack("storm", "smtp", 200, 100, pause=0.0)),
    ]  # fmt: skip
