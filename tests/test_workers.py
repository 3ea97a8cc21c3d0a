"""The supervisor of several workers: whom it starts, and when, told by processes that are not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from mailpost.config import load
from mailpost.generation import LONGEST_PAUSE, NOBODY_SERVES_PAUSE, STEADY_SECONDS
from mailpost.status import together
from mailpost.store import create_store, serving
from mailpost.workers import STOP_SECONDS, Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from mailpost.worker import Worker
    from tests.logbook import Logbook

TOML = """
[office]
hostname = "post.example.org"
domains = ["example.org"]
workers = 2

[[listen]]
protocol = "smtp"
endpoint = "tcp:2525:interface=127.0.0.1"
"""


class Process:
    """A process that is not there: it does what the test says."""

    def __init__(
        self, worker: Worker, descriptors: dict[int, Any], environment: dict[str, str]
    ) -> None:
        self.worker = worker
        self.descriptors = descriptors
        self.environment = environment
        self.asked: list[str] = []
        self.signals: list[str] = []
        self.ended = False

    def write(self, octets: bytes) -> None:
        self.asked += [json.loads(line)["verb"] for line in octets.splitlines()]

    def signalProcess(self, signal: str) -> None:
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(signal)

    def say(self, **what: object) -> None:
        """An answer, in pieces."""
        octets = json.dumps(what).encode() + b"\n"
        self.worker.outReceived(octets[:3])
        self.worker.outReceived(octets[3:])

    def open(self) -> None:
        self.say(ok=True, answer=None)

    def end(self, signal: int | None = None) -> None:
        self.ended = True
        reason = ProcessDone(None) if signal is None else ProcessTerminated(None, signal)
        self.worker.processEnded(Failure(reason))


class Reactor(MemoryReactorClock):
    """Notes which processes are started, and which ports are held."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.held: list[int] = []
        self.stopped: list[int] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        listening: Any = super().listenTCP(port, factory, backlog, interface)
        listening.stopReading = lambda: self.held.append(port)
        listening.fileno = lambda: port
        listening.stopListening = lambda: self.stopped.append(port)
        return listening

    def spawnProcess(self, worker: Any, *_: object, env: Any, childFDs: Any) -> None:  # type: ignore[override]
        process = Process(worker, childFDs, env)
        worker.transport = process
        self.processes.append(process)

    def addReader(self, reader: Any) -> None:
        """The control socket's, which is tested by itself."""

    def removeReader(self, reader: Any) -> None:
        """Likewise."""


class Office:
    """A supervisor, and what becomes of it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "mailpost.toml"
        self.config.write_text(TOML)
        create_store(folder / "mailpost.db")
        self.reactor = Reactor()
        self.supervisor = Supervisor(self.config, load(self.config), self.reactor, fork=False)
        self.why: list[Failure] = []
        self.opened: list[None] = []
        self.supervisor.opened.addCallbacks(self.opened.append, self.why.append)

    @property
    def processes(self) -> list[Process]:
        """Those that live."""
        return [one for one in self.reactor.processes if not one.ended]

    def start(self) -> None:
        self.supervisor.startService()
        for process in self.processes:
            process.open()
        assert self.opened == [None]


@pytest.fixture
def office(tmp_path: Path) -> Any:
    """An office of two workers, not started yet."""
    made = Office(tmp_path)
    yield made
    if made.supervisor.running:
        closing = made.supervisor.stopService()
        for process in made.processes:
            process.end()
        assert closing.called


def test_workers_inherit_the_ports(office: Office) -> None:
    """Each is given the listener behind its standard descriptors; the supervisor lets nobody in itself."""
    office.supervisor.startService()
    first, second = office.processes
    table = first.descriptors[4]
    assert first.descriptors == second.descriptors == {0: "w", 1: "r", 2: 2, 3: 2525, 4: table}
    assert [one.environment["MAILPOST_WORKER"] for one in office.processes] == ["0 2 1", "1 2 1"]
    assert office.reactor.held
    first.open()
    assert not office.opened
    second.open()
    assert office.opened


def test_another_office_is_asked_already(office: Office, log: Logbook) -> None:
    """The second one of a store says so, and leaves the control socket to the first."""
    first = serving(office.config.with_name("mailpost.db"))
    assert first is not None
    office.start()
    assert log.lines("another process serves this store")
    assert not office.config.with_name("mailpost.db.control").exists()
    first.close()


def test_one_that_cannot_open(office: Office) -> None:
    """The office does not open, and says why; the status is the worker's."""
    office.supervisor.startService()
    first, second = office.processes
    first.say(ok=False, error="no store there", status=78)
    second.open()
    (why,) = office.why
    assert str(why.value) == "no store there"
    assert why.value.status == 78  # type: ignore[union-attr]


def test_one_that_dies_at_the_start(office: Office) -> None:
    """It is told how it ended, and nothing is tried again."""
    office.supervisor.startService()
    first, second = office.processes
    first.end(11)
    second.open()
    assert "by signal 11" in str(office.why[0].value)
    office.reactor.advance(LONGEST_PAUSE)
    assert office.processes == [second]


def test_the_dead_are_replaced(office: Office, log: Logbook) -> None:
    """At once after a long life; after short ones there is a pause that grows, to an end."""
    office.start()
    office.reactor.advance(STEADY_SECONDS)
    office.processes[0].end(9)
    office.reactor.advance(0)
    places = [one.environment["MAILPOST_WORKER"].split()[0] for one in office.processes]
    assert places == ["1", "0"]  # the place of the dead
    pauses = []
    for _ in range(8):
        office.processes[-1].open()
        office.processes[-1].end(9)
        pause = 0
        while len(office.processes) < 2:
            pause += 1
            office.reactor.advance(1)
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert len(log.lines("a worker has ended unasked, by signal 9; another")) == 9


def test_all_are_dead(office: Office) -> None:
    """However short their lives were, the office is closed for a moment only; so it is if none can open."""
    office.start()
    for pause in (1, 2, 4):
        office.processes[-1].end(9)
        office.reactor.advance(pause)
        office.processes[-1].open()
    for process in office.processes:  # the pauses would be 8 s and 16 s
        process.end(9)
    office.reactor.advance(NOBODY_SERVES_PAUSE)
    assert len(office.processes) == 1
    for _ in range(3):
        process = office.processes[-1]
        process.say(ok=False, error="the disk is gone", status=78)
        process.end()
        office.reactor.advance(NOBODY_SERVES_PAUSE)
        assert len(office.processes) == 1
    office.processes[-1].open()
    office.reactor.advance(LONGEST_PAUSE)
    assert len(office.processes) == 2


def test_one_that_cannot_open_and_takes_long_to_end(office: Office) -> None:
    """Another is started when it has ended, and has its place."""
    office.start()
    office.processes[0].end(9)
    office.reactor.advance(1)
    process = office.processes[-1]
    process.say(ok=False, error="the disk is gone", status=78)
    office.reactor.advance(LONGEST_PAUSE)
    assert len(office.processes) == 2
    process.end()
    office.reactor.advance(2)
    assert len(office.processes) == 2
    assert process not in office.processes


def test_one_that_cannot_open_later(office: Office) -> None:
    """It is tried again, and the others go on."""
    office.start()
    office.processes[0].end(9)
    office.reactor.advance(1)
    office.processes[-1].say(ok=False, error="the disk is gone", status=78)
    office.processes[-1].end()
    assert len(office.processes) == 1
    office.reactor.advance(2)
    assert len(office.processes) == 2


def test_a_new_generation(office: Office) -> None:
    """The old ones are asked to finish only when all of the new ones are open; ports that stay are kept."""
    office.start()
    old = office.processes
    office.config.write_text(TOML.replace("workers = 2", "workers = 3"))
    reloading = office.supervisor.reload()
    new = office.processes[2:]
    assert len(new) == 3
    for process in new:
        assert [one.asked for one in old] == [[], []]
        process.open()
    assert reloading.result == ()
    assert [one.asked for one in old] == [["finish"], ["finish"]]
    for process in old:
        process.end()
    office.reactor.advance(LONGEST_PAUSE)
    assert office.processes == new
    assert office.reactor.stopped == []


def test_a_listener_goes_and_another_comes(office: Office) -> None:
    """The port that is named no more is closed, when the new one is served."""
    office.start()
    office.config.write_text(TOML.replace("2525", "2626"))
    reloading = office.supervisor.reload()
    assert office.processes[-1].descriptors[3] == 2626
    for process in office.processes[2:]:
        assert office.reactor.stopped == []
        process.open()
    assert reloading.result == ()
    assert office.reactor.stopped == [2525]
    (door,) = office.supervisor.doors
    assert door.where.endswith(":2626")


def test_a_new_generation_that_cannot_open(office: Office, log: Logbook) -> None:
    """It is stopped, and the old one serves on."""
    office.start()
    old = office.processes
    reloading = office.supervisor.reload()
    again = office.supervisor.reload()
    assert again.result == ("a reload is under way",)
    first, second = office.processes[2:]
    first.say(ok=False, error="the certificate is broken", status=78)
    second.open()
    assert reloading.result == ("the certificate is broken",)
    assert second.signals == ["TERM"]
    assert [one.asked for one in old] == [[], []]
    assert log.lines("nothing was changed by the reload: the certificate is broken")
    first.end()
    second.end()
    office.reactor.advance(LONGEST_PAUSE)
    assert office.processes == old


def test_closing(office: Office) -> None:
    """All are asked to close; who does not is killed."""
    office.start()
    closing = office.supervisor.stopService()
    quick, slow = office.processes
    assert quick.signals == slow.signals == ["TERM"]
    quick.end()
    assert not closing.called
    office.reactor.advance(STOP_SECONDS)
    assert slow.signals == ["TERM", "KILL"]
    slow.end(9)
    assert closing.called
    assert office.reactor.stopped == [2525]


def test_status_of_all() -> None:
    """Counts are added up, listener by listener."""
    listener = {"protocol": "smtp", "where": "127.0.0.1:25", "tls": "none"}
    one = {**listener, "sessions": 1, "sessions_ended": 2, "refused": 4, "letters": 3}
    two = {**listener, "sessions": 10, "sessions_ended": 20, "refused": 0, "letters": 30}
    told = together(
        [
            {"process": 7, "since": 5, "listeners": [one], "waiting_writes": 1},
            {"process": 8, "since": 6, "listeners": [two], "waiting_writes": 2},
        ],
        4,
    )
    total = {"sessions": 11, "sessions_ended": 22, "refused": 4, "letters": 33}
    assert told["listeners"] == [{**listener, **total}]
    assert told["waiting_writes"] == 3
    assert told["workers"] == [{"process": 7, "since": 5}, {"process": 8, "since": 6}]
    assert told["since"] == 4
