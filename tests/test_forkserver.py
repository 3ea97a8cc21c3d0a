"""The fork server as the supervisor sees it: told by a process that is not there, over real sockets."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet import process
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mailpost.forkserver import Forked, ForkServer, forks
from mailpost.inheritance import Inheritance
from mailpost.occupancy import Occupancy
from mailpost.worker import Worker, WorkerFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.logbook import Logbook

PID = 4711


class Reactor:
    """Notes what is started, and has the lines to workers in memory."""

    def __init__(self) -> None:
        self.environments: list[dict[str, str]] = []
        self.descriptors: list[dict[int, Any]] = []
        self.controls: list[socket.socket] = []
        self.lines: list[tuple[Forked, socket.socket]] = []
        self.refuses = False

    def spawnProcess(self, _: object, *__: object, env: Any, childFDs: dict[int, Any]) -> None:
        if self.refuses:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.environments.append(env)
        self.descriptors.append(childFDs)
        self.controls.append(socket.socket(fileno=os.dup(childFDs[0])))

    def adoptStreamConnection(self, descriptor: int, _: object, factory: Any) -> None:
        forked = factory.buildProtocol(None)
        forked.makeConnection(StringTransport())
        self.lines.append((forked, socket.socket(fileno=os.dup(descriptor))))


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """What the fork server is started by."""
    made = Reactor()
    yield made
    for one in (*made.controls, *(line for _, line in made.lines)):
        one.close()


@pytest.fixture
def server(reactor: Reactor) -> Iterator[ForkServer]:
    """One that is begun when the first worker is wanted."""
    made = ForkServer(reactor, ["mailpost", "serve"], 2)
    yield made
    made.end()


@pytest.fixture
def occupancy() -> Iterator[Occupancy]:
    """The table of two workers."""
    made = Occupancy.make(2, 1)
    yield made
    made.close()


@pytest.fixture
def reaped(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, int]]:
    """Statuses of processes that have ended; signals that were sent are under negative numbers."""
    statuses: dict[int, int] = {}

    def wait(pid: int, _: int) -> tuple[int, int]:
        return (pid, statuses[pid]) if pid in statuses else (0, 0)

    monkeypatch.setattr(os, "waitpid", wait)
    monkeypatch.setattr(os, "kill", lambda pid, number: statuses.update({-pid: number}))
    yield statuses
    process.reapProcessHandlers.pop(PID, None)


def start(server: ForkServer, occupancy: Occupancy, place: int = 0) -> Worker:
    worker = Worker(0.0, place)
    server.start(worker, Inheritance([7], occupancy, place))
    return worker


def forked(worker: Worker) -> Forked:
    """One whose line is there."""
    made = Forked(worker)
    made.makeConnection(StringTransport())
    return made


def test_one_for_all(reactor: Reactor, server: ForkServer, occupancy: Occupancy) -> None:
    """It is given what workers inherit; for each it hears the place, and gets one end of the line."""
    for place in (0, 1):
        start(server, occupancy, place)
    (control,), (descriptors,) = reactor.controls, reactor.descriptors
    assert descriptors.items() >= {1: "r", 2: 2, 3: 7}.items()
    for place, (_, line) in enumerate(reactor.lines):
        told, (end,), _, _ = socket.recv_fds(control, 16, 1)
        assert told == str(place).encode()
        os.write(end, b"hello")
        os.close(end)
        assert line.recv(9) == b"hello"
        assert line.recv(9) == b""  # nobody else has that end
    server.end()
    server.end()
    assert control.recv(1) == b""


def test_what_it_is_told(
    reactor: Reactor, server: ForkServer, occupancy: Occupancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment says that it is a fork server, once, so what it runs is none."""
    assert not forks()
    start(server, occupancy)
    (environment,) = reactor.environments
    for name in environment.keys() - os.environ.keys():
        monkeypatch.setenv(name, environment[name])
    assert forks()
    assert not forks()


def test_it_ends_unasked(
    reactor: Reactor, server: ForkServer, occupancy: Occupancy, log: Logbook
) -> None:
    """That is told; the next worker comes from another one."""
    start(server, occupancy)
    server.processExited(Failure(ProcessTerminated(None, 9)))
    assert log.lines("what starts workers has ended unasked, by signal 9")
    start(server, occupancy)
    assert len(reactor.controls) == 2
    server.end()
    server.processExited(Failure(ProcessDone(None)))
    assert len(log.lines("what starts workers has ended")) == 1


def test_it_has_just_ended(reactor: Reactor, server: ForkServer, occupancy: Occupancy) -> None:
    """Nobody takes the line, and so the worker will have ended."""
    start(server, occupancy)
    reactor.controls.pop().close()
    start(server, occupancy)
    (_, line) = reactor.lines[-1]
    assert line.recv(1) == b""


def test_it_cannot_be_started(
    reactor: Reactor, server: ForkServer, occupancy: Occupancy, log: Logbook
) -> None:
    """That is told, the worker will have ended, and the next attempt may succeed."""
    reactor.refuses = True
    start(server, occupancy)
    assert reactor.lines[-1][1].recv(1) == b""
    assert log.lines("what starts workers cannot be started: [Errno 11]")
    reactor.refuses = False
    start(server, occupancy)
    assert len(reactor.controls) == 1


def test_what_workers_log(server: ForkServer, log: Logbook) -> None:
    """Under twistd it goes through our log."""
    server.errReceived(b"one thing\nand another\n")
    assert log.lines("one thing")
    assert log.lines("and another")


def test_a_life(reaped: dict[int, int]) -> None:
    """Number, answers, signals; the end is told when the line is lost and the status is there."""
    worker = Worker(0.0, 0)
    line = forked(worker)
    for piece in (b"47", b'11\n{"ok": tr', b'ue, "answer": null}\n'):
        line.dataReceived(piece)
    assert worker.opened.called
    worker.ask("status")
    assert line.transport.value() == b'{"verb": "status"}\n'
    worker.stop()
    assert reaped == {-PID: signal.SIGTERM}
    process.reapAllProcesses()
    assert not worker.ended.called
    line.connectionLost()
    process.reapAllProcesses()
    assert not worker.ended.called
    reaped[PID] = 9
    process.reapAllProcesses()
    assert worker.ended.called
    assert worker.how == "by signal 9"
    worker.stop()
    with pytest.raises(ProcessExitedAlready):
        line.signalProcess("TERM")
    assert PID not in process.reapProcessHandlers


@pytest.mark.parametrize(("status", "how"), [(0, "with status 0"), (78 << 8, "with status 78")])
def test_it_says_something_and_ends(reaped: dict[int, int], status: int, how: str) -> None:
    """What it has said is heard, although its end is known already."""
    worker = Worker(0.0, 0)
    why: list[Failure] = []
    worker.opened.addErrback(why.append)
    line = forked(worker)
    reaped[PID] = status
    line.dataReceived(b"4711\n")
    assert not worker.ended.called
    line.dataReceived(b'{"ok": false, "error": "no disk", "status": 78}\n')
    line.connectionLost()
    assert worker.ended.called
    assert worker.how == how
    assert isinstance(why[0].value, WorkerFailed)
    assert str(why[0].value) == "no disk"


def test_a_signal_waits_for_its_process(reaped: dict[int, int]) -> None:
    """Who is told to end before it is there ends as soon as it is."""
    worker = Worker(0.0, 0)
    line = forked(worker)
    worker.stop()
    assert not reaped
    line.dataReceived(b"4711\n")
    assert reaped == {-PID: signal.SIGTERM}


def test_one_that_never_was(reaped: dict[int, int]) -> None:
    """The line was lost, and nobody had said anything."""
    worker = Worker(0.0, 0)
    why: list[Failure] = []
    worker.opened.addErrback(why.append)
    forked(worker).connectionLost()
    assert worker.ended.called
    assert "has ended" in str(why[0].value)
    worker.stop("KILL")
    assert not reaped
