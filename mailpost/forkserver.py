"""Where workers come from: a process that has everything ready, and forks one when it is asked to.

What is made before the fork, all workers of a generation share: the keys of TLS session tickets, which
nobody can set from Python (:mod:`mailpost.tls.tickets`), and the memory of the program itself. And a worker
that is to replace another is there at once. The supervisor cannot fork by itself, for its reactor runs; the
fork server has no reactor and no thread (:mod:`mailpost.cli.forking` is its own side).

It is asked over a socket, with one end of the new worker's line to the supervisor. A worker is not the fork
server's child for long: the process between the two ends at once, and the kernel gives the orphan to the
supervisor, which has declared itself the reaper of all below it (PR_SET_CHILD_SUBREAPER, prctl(2)). So a
worker's end and its status come to the supervisor, and workers live on when the fork server has gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet import process
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.worker import how_ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.inheritance import Inheritance
    from mailpost.worker import Worker

_log = Logger(namespace="mailpost.workers")

AVAILABLE = sys.platform == "linux"
"""Whether the system can do it; where it cannot, each worker is a program of its own."""

_FORKS = (
    "MAILPOST__FORKS"  # in the environment: this process is a fork server, and no worker by itself
)

_PR_SET_CHILD_SUBREAPER = 36  # prctl.h


class ForkServer(ProcessProtocol):
    """The fork server of one generation, as the supervisor sees it; begun anew where it has ended.

    :param command: what it is run by.
    :param log_to: where its standard error goes, and that of workers: a descriptor, or ``"r"`` to be logged
        here.
    """

    def __init__(self, reactor: Any, command: Sequence[str], log_to: int | str) -> None:
        self._reactor = reactor
        self._command = command
        self._log_to = log_to
        self._control: socket.socket | None = None

    def start(self, worker: Worker, given: Inheritance) -> None:
        """Start a worker's process. Where that fails the worker has ended."""
        if self._control is None:
            self._begin(given)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            if self._control is not None:
                # If it has just gone nobody takes the other end, and the line is lost at once.
                with suppress(OSError):
                    socket.send_fds(self._control, [b"%d" % given.place], [theirs.fileno()])
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _Lines(worker))

    def end(self) -> None:
        """No more workers are wanted; those there are stay. Harmless when repeated."""
        control, self._control = self._control, None
        if control is not None:
            control.close()

    def errReceived(self, data: bytes) -> None:
        """The log of the workers goes through ours."""
        for line in data.decode(errors="replace").splitlines():
            _log.info("{line}", line=line)

    def processExited(self, reason: Failure) -> None:
        """It has ended, by itself or not."""
        if self._control is not None:
            self.end()
            _log.error("what starts workers has ended unasked, {how}", how=how_ended(reason.value))

    def _begin(self, given: Inheritance) -> None:
        _become_reaper()  # now, for a daemon is another process than the one that has made this object
        self._control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        descriptors = {0: theirs.fileno(), 1: "r", 2: self._log_to, **given.descriptors}
        environment = os.environ | given.environment | {_FORKS: "1"}
        with theirs:
            try:
                self._reactor.spawnProcess(
                    self, self._command[0], self._command, env=environment, childFDs=descriptors
                )
            except OSError as error:
                self.end()
                _log.error("what starts workers cannot be started: {why}", why=error)


class Forked(Protocol):
    """A worker's process: the supervisor's end of its line, and what reaps it.

    To the worker it is the transport, as of a process that the reactor has started. What comes first is the
    number of the process.
    """

    transport: Any

    def __init__(self, worker: Worker) -> None:
        worker.transport = self
        self.pid: int | None = None
        self._worker = worker
        self._said = b""
        self._signal: str | None = None  # as soon as there is a process to send it to
        self._lost = False
        self._status: int | None = None

    # The worker's transport -----------------------------------------------------------------------

    def write(self, octets: bytes) -> None:
        """Say something to it."""
        self.transport.write(octets)

    def signalProcess(self, signal_name: str) -> None:
        """Send it a signal.

        :raises ProcessExitedAlready: it has ended.
        """
        if self._status is not None or (self._lost and self.pid is None):
            raise ProcessExitedAlready
        if self.pid is None:
            self._signal = signal_name
        else:
            os.kill(self.pid, signal.Signals[f"SIG{signal_name}"])

    # The line -------------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """The number of the process, or an answer."""
        if self.pid is None:
            self._said += data
            number, newline, data = self._said.partition(b"\n")
            if not newline:
                return
            self.pid = int(number)
            process.registerReapProcessHandler(self.pid, self)
            if self._signal is not None and self._status is None:
                self.signalProcess(self._signal)
        if data:
            self._worker.outReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """It has ended, or is about to."""
        self._lost = True
        if self.pid is None:
            failed = ProcessTerminated(exitCode=1)
            self._worker.processEnded(Failure(failed))
        else:
            self._look()

    # Reaping, which Twisted does when a child has ended --------------------------------------------

    def reapProcess(self) -> None:
        """Some child has ended; if it is this one, take its status."""
        assert self.pid is not None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            process.unregisterReapProcessHandler(pid, self)
            self.processEnded(status)

    def processEnded(self, status: int) -> None:
        """This is its status (wait(2))."""
        self._status = status
        self._look()

    def _look(self) -> None:
        """Whether it has ended, and everything that it said has been heard."""
        if self._lost and self._status is not None:
            self._worker.processEnded(Failure(_reason(self._status)))


class _Lines(Factory):
    """Makes the one protocol at one end of a line."""

    noisy = False

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def buildProtocol(self, addr: object) -> Forked:  # noqa: ARG002
        """The line is there."""
        return Forked(self._worker)


def _become_reaper() -> None:
    """Have orphans below this process become its children."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def forks() -> bool:
    """Whether this process is a fork server. Once."""
    return os.environ.pop(_FORKS, None) is not None


def _reason(status: int) -> Exception:
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return ProcessDone(status)
    signalled = None if code > 0 else -code
    return ProcessTerminated(code if code > 0 else None, signalled, status)
