"""kill -9 under load: every 250 and every +OK to QUIT is kept, and nothing else has happened.

The office is one process, or several: then its workers are killed while it serves, and it goes on.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.faults.clients import Collector, InUseError, Sender, look
from tests.faults.history import History
from tests.faults.patience import recovery

from .maildrop import collect
from .office import attempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from .office import Office

USERS = ("alice", "bob", "carol")
DELIVERERS = 4


def deliver(office: Office, history: History, label: str) -> None:
    """Deliver letters, to one or to several, until the office is gone."""
    with Sender(history, office.smtp) as sender:
        for number in range(1_000_000):
            users = random.sample(USERS, random.randint(1, len(USERS)))
            reply = sender.send(f"{label}-{number}", users)
            assert reply.startswith(b"250"), reply


def fetch(office: Office, history: History, user: str) -> None:
    """Collect and delete some, again and again; now and then hang up instead of saying QUIT."""
    while True:
        with suppress(InUseError):  # our own last connection was hung up a moment ago
            fetch_once(office, history, user)


def fetch_once(office: Office, history: History, user: str) -> None:
    with Collector(history, office.pop3, user) as collector:
        collector.read()
        count = len(collector.uidls)
        collector.mark([index for index in range(count) if random.random() < 0.7])
        if random.random() < 0.8:
            answer = collector.quit()
            assert answer.startswith(b"+OK"), answer


class Clients:
    """They deliver and collect, each in a thread of its own.

    :ivar shaken: the office's processes are being killed: a connection may end.
    :ivar closing: and nobody may be there to take the next one.
    """

    def __init__(self, office: Office, history: History, label: str) -> None:
        self.shaken = threading.Event()
        self.closing = threading.Event()
        self.errors: list[Exception] = []
        self._history = history
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
                work(office, self._history, f"{name}-{again}" if work is deliver else name)
            except Exception as error:  # noqa: BLE001 - shown by the test's own thread
                if self.closing.is_set() and is_the_end(error):
                    return
                if self.shaken.is_set() and is_a_broken_line(error):
                    continue
                self.errors.append(error)
                return

    def go(self, seconds: float) -> None:
        """Let them work for so long."""
        time.sleep(seconds)
        assert not self.errors, self.errors
        self._history.check()

    def end(self) -> None:
        """Wait until the last has gone: they go with the office."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not self.errors, self.errors


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
        os.kill(random.choice(office.workers), signal.SIGKILL)
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
    history = History(USERS)
    for turn in range(rounds):
        clients = Clients(office, history, str(turn))
        clients.go(random.uniform(0.2, 1.5))
        if processes > 1:
            shake(office, clients)
        clients.closing.set()
        office.kill()
        clients.end()
        history.crashed()
        assert office.start() < recovery()
        for user in USERS:
            look(history, office.pop3, user)
        history.audited()
        history.check()
    assert history.counts["kept"] > 15 * rounds
    assert history.counts["let go"] > 8 * rounds
    for user in USERS:
        collect(office.pop3, user)
        assert collect(office.pop3, user) == []
