"""kill -9 under load: every 250 and every +OK to QUIT is kept, and nothing else has happened.

The office is one process, or several: then its workers are killed while it serves, and it goes on.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .dialogue import POP3, SMTP
from .maildrop import Letter, collect, read_all
from .office import attempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from .office import Office

USERS = ("alice", "bob", "carol")
DELIVERERS = 4

Copy = tuple[str, str]  # a user, and the name of a letter


def body_of(name: str) -> bytes:
    """The letter of a name: mostly small, sometimes at the border of a row, sometimes a parcel."""
    dice = random.Random(name)
    sizes = [200, 2_000, 4_000, 8_000] * 5 + [65_500, 65_600, 300_000]
    line = b".%030x and on to the end of the line, which is not far\r\n" % dice.getrandbits(120)
    return f"Subject: {name}\r\n\r\n".encode() + line * (dice.choice(sizes) // len(line))


def name_of(letter: Letter) -> str:
    """Which letter this is."""
    return letter.body.split(b"\r\n", 1)[0].removeprefix(b"Subject: ").decode()


class Records:
    """What clients were told, and what they have seen: the truth that the office is held to."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.attempts: dict[str, tuple[str, ...]] = {}  # letters, and whom they were for
        self.kept: set[str] = set()  # they had a 250
        self.lost: set[str] = set()  # they had no reply, and were not there after the restart
        self.seen: dict[Copy, bytes] = {}  # and their unique-ids
        self.gone: set[Copy] = set()  # deleted, with +OK at QUIT
        self.doubtful: list[set[Copy]] = []  # deleted, QUIT had no reply
        self.errors: list[Exception] = []

    def look_at(self, user: str, letters: list[Letter]) -> list[Copy]:
        """Check what a maildrop shows against all that is known; what was in doubt there is known then."""
        copies = [(user, name_of(letter)) for letter in letters]
        with self.lock:
            self.settle(user, set(copies))
        assert max(Counter(copies).values(), default=1) == 1
        for copy, letter in zip(copies, letters, strict=True):
            assert user in self.attempts[copy[1]]
            assert letter.body == body_of(copy[1])
            assert copy not in self.gone
            assert copy[1] not in self.lost
            with self.lock:
                assert self.seen.setdefault(copy, letter.uidl) == letter.uidl
        return copies

    def settle(self, user: str, there: set[Copy]) -> None:
        """Each QUIT without a reply was done, or it was not."""
        for batch in [one for one in self.doubtful if min(one)[0] == user]:
            left = batch & there
            assert left in (set(), batch), "a QUIT was done by half"
            self.gone |= batch - left
            self.doubtful.remove(batch)

    def audit(self, office: Office) -> None:
        """Look into every maildrop; what was in doubt is known then."""
        there: set[Copy] = set()
        for user in USERS:
            there.update(self.look_at(user, collect(office.pop3, user, delete=False)))
        assert not self.doubtful
        for name, users in self.attempts.items():
            copies = {(user, name) for user in users}
            arrived = {copy for copy in copies if copy in there or copy in self.gone}
            if name in self.kept:
                assert arrived == copies, f"{name} had a 250"
            elif name not in self.lost:
                assert arrived in (set(), copies), f"{name} is there for some, and not for others"
                (self.kept if arrived else self.lost).add(name)
        assert len(set(self.seen.values())) == len(self.seen), "two letters with one unique-id"


def deliver(office: Office, records: Records, label: str) -> None:
    """Deliver letters, to one or to several, until the office is gone."""
    with SMTP(office.smtp) as client:
        for number in range(1_000_000):
            name = f"{label}-{number}"
            users = tuple(random.sample(USERS, random.randint(1, len(USERS))))
            records.attempts[name] = users
            reply = client.deliver(body_of(name), *users)
            assert reply.startswith(b"250"), reply
            records.kept.add(name)


def fetch(office: Office, records: Records, user: str) -> None:
    """Collect and delete some, again and again; now and then hang up instead of saying QUIT."""
    while True:
        with POP3(office.pop3) as client:
            answer = client.login(user)
            if answer.startswith(b"-ERR [IN-USE]"):
                continue  # our own last connection was hung up a moment ago
            assert answer.startswith(b"+OK"), answer
            copies = records.look_at(user, read_all(client))
            batch = set()
            for number, copy in enumerate(copies, 1):
                if random.random() < 0.7:
                    client.ok(f"DELE {number}")
                    batch.add(copy)
            if random.random() < 0.2:
                continue
            if batch:
                with records.lock:
                    records.doubtful.append(batch)
            answer = client.ask("QUIT")
            assert answer.startswith(b"+OK"), answer
            with records.lock:
                records.gone |= batch
                if batch:
                    records.doubtful.remove(batch)


class Clients:
    """They deliver and collect, each in a thread of its own.

    :ivar shaken: the office's processes are being killed: a connection may end.
    :ivar closing: and nobody may be there to take the next one.
    """

    def __init__(self, office: Office, records: Records, label: str) -> None:
        self.shaken = threading.Event()
        self.closing = threading.Event()
        self._records = records
        jobs: list[tuple[Callable[..., None], str]] = [
            *((deliver, f"{label}-{number}") for number in range(DELIVERERS)),
            *((fetch, user) for user in USERS),
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(work, office, name), daemon=True)
            for work, name in jobs
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[..., None], office: Office, name: str) -> None:
        for again in range(1_000_000):
            try:
                work(office, self._records, f"{name}-{again}" if work is deliver else name)
            except Exception as error:  # noqa: BLE001 - shown by the test's own thread
                if self.closing.is_set() and is_the_end(error):
                    return
                if self.shaken.is_set() and is_a_broken_line(error):
                    continue
                self._records.errors.append(error)
                return

    def go(self, seconds: float) -> None:
        """Let them work for so long."""
        time.sleep(seconds)
        assert not self._records.errors, self._records.errors

    def end(self) -> None:
        """Wait until the last has gone: they go with the office."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not self._records.errors, self._records.errors


def is_a_broken_line(error: Exception) -> bool:
    """A connection has ended with the process that had it; one that is refused is another matter."""
    return isinstance(error, OSError) and not isinstance(error, ConnectionRefusedError)


def is_the_end(error: Exception) -> bool:
    """Nobody is there any more, or says good bye."""
    words = ("b'421 4.3.2 ", "b'-ERR [SYS/TEMP] ")
    return isinstance(error, OSError) or any(word in str(error) for word in words)


@pytest.fixture
def shared(make_office: Callable[..., Office]) -> Callable[[int], Office]:
    """Starts an office of so many workers, with everybody's account."""

    def start(workers: int) -> Office:
        office = make_office(office=f"workers = {workers}")
        office.add_users(USERS)
        office.start()
        return office

    return start


def workers(office: Office) -> list[int]:
    """The processes that serve, where the first does not (proc(5))."""
    return [
        int(one)
        for one in Path(f"/proc/{office.pid}/task/{office.pid}/children").read_text().split()
    ]


def shake(office: Office, clients: Clients) -> None:
    """Have several workers replaced, by SIGHUP and by SIGKILL, in the midst of the load."""
    before = office.log.count("the configuration was read again")
    os.kill(office.pid, signal.SIGHUP)
    for _ in attempts():
        clients.go(0.1)
        if office.log.count("the configuration was read again") > before:
            break
    clients.go(0.2)
    clients.shaken.set()
    for _ in range(2):
        os.kill(random.choice(workers(office)), signal.SIGKILL)
        clients.go(random.uniform(0.2, 0.6))


@pytest.mark.parametrize(
    ("processes", "rounds"), [(1, 6), (2, 1), pytest.param(2, 12, marks=pytest.mark.slow)]
)
def test_kill_under_load(shared: Callable[[int], Office], processes: int, rounds: int) -> None:
    """SIGKILL at random moments: no letter with a 250 is missing, none is twice, no deletion comes back.

    After each restart, which needs no hand and a few seconds: every letter that had a 250 is there,
    whole, once in each of its maildrops; one without a reply is in all of them or in none. What was
    deleted with +OK at QUIT is gone; of a QUIT without a reply all is gone or nothing. Unique-ids stay.
    Where there are several workers nobody is refused when they are killed, or by a reload.
    """
    office = shared(processes)
    records = Records()
    for turn in range(rounds):
        clients = Clients(office, records, str(turn))
        clients.go(random.uniform(0.2, 1.5))
        if processes > 1:
            shake(office, clients)
        clients.closing.set()
        office.kill()
        clients.end()
        assert office.start() < 5 * processes  # Python starts once more for the workers
        records.audit(office)
    assert len(records.kept) > 15 * rounds
    assert len(records.gone) > 8 * rounds
    for user in USERS:
        records.look_at(user, collect(office.pop3, user))
        assert collect(office.pop3, user) == []
