"""A worker as the supervisor sees it: a process, and the line to it.

The worker's standard input and output are that line, and its end says that the other side has gone. What goes
over it is the language of the control socket (:mod:`mailpost.control`): the supervisor asks, the worker
answers in turn. Its first answer comes unasked and says how opening went.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

if TYPE_CHECKING:
    from twisted.python.failure import Failure

_log = Logger(namespace="mailpost.workers")


class WorkerFailed(Exception):  # noqa: N818 - it says what has happened
    """A worker could not do what it was asked; first of all, open the office.

    :ivar status: the exit status that says why, as of a command.
    """

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class Worker(ProcessProtocol):
    """One process that serves.

    :param started: when, by the reactor's clock.
    :param place: its own among those of its generation.
    :ivar opened: fires when it serves; fails with WorkerFailed.
    :ivar ended: fires when the process has ended.
    :ivar serves: whether it has opened.
    :ivar how: it has ended.
    """

    transport: Any

    def __init__(self, started: float, place: int) -> None:
        self.started = started
        self.place = place
        self.opened: Deferred[object] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.serves = False
        self.how = ""
        self._asked: deque[Deferred[Any]] = deque([self.opened])
        self._said = b""

    def ask(self, verb: str) -> Deferred[Any]:
        """Ask something of it; its answer, or WorkerFailed."""
        if self.ended.called:
            return fail(WorkerFailed("the worker has ended"))
        answer: Deferred[Any] = Deferred()
        self._asked.append(answer)
        self.transport.write(json.dumps({"verb": verb}).encode() + b"\n")
        return answer

    def stop(self, signal: str = "TERM") -> None:
        """Have it end its sessions and close. Harmless when repeated."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(signal)

    def outReceived(self, data: bytes) -> None:
        """An answer, or a part of one."""
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            answer = self._asked.popleft()
            if not told["ok"]:
                answer.errback(WorkerFailed(told["error"], told.get("status", 1)))
                continue
            self.serves = True
            answer.callback(told["answer"])

    def errReceived(self, data: bytes) -> None:
        """Its log goes through ours."""
        for line in data.decode(errors="replace").splitlines():
            _log.info("{line}", line=line)

    def processEnded(self, reason: Failure) -> None:
        """It has ended, by itself or not."""
        self.how = how_ended(reason.value)
        self.ended.callback(None)
        while self._asked:
            self._asked.popleft().errback(WorkerFailed(f"a worker has ended {self.how}"))


def how_ended(reason: Any) -> str:
    """How a process has ended, for people.

    :param reason: as the reactor tells it, ``ProcessDone`` or ``ProcessTerminated``.
    """
    signal = getattr(reason, "signal", None)
    return f"by signal {signal}" if signal else f"with status {reason.exitCode}"
