"""A worker's own side: the office in one of several processes, told what to do by the supervisor.

``mailpost serve`` runs this where it was started by :mod:`mailpost.workers`; what goes over the line is told
in :mod:`mailpost.worker`.
"""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.stdio import StandardIO
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from mailpost.cli.failures import FAILED
from mailpost.control import answer
from mailpost.service import PostOffice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.python.failure import Failure

    from mailpost.config import Config
    from mailpost.inheritance import Inheritance

_log = Logger(namespace="mailpost.workers")

FINISH_SECONDS = 900.0
"""How long sessions may go on in a worker that takes nobody in any more; then they are ended."""


class Line(LineOnlyReceiver):
    """The line to the supervisor.

    :param verbs: what can be asked.
    :param stop: called when the supervisor has gone.
    """

    delimiter = b"\n"

    def __init__(
        self, verbs: Mapping[str, Callable[[Any], Any]], stop: Callable[[], object]
    ) -> None:
        self._verbs = verbs
        self._stop = stop

    def lineReceived(self, line: bytes) -> None:
        """The supervisor asks."""
        answer(self._verbs, line).addCallback(self.sendLine)

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002
        """Nobody is left to say when to end."""
        self._stop()

    def tell(self, **what: object) -> None:
        """Say how opening went."""
        self.sendLine(json.dumps(what).encode())  # type: ignore[no-untyped-call]


def work(
    config: Config,
    inheritance: Inheritance,
    reactor: Any,
    reason: Callable[[Exception], Exception],
    *,
    transcripts: bool,
) -> PostOffice:
    """Open the office at the ports the supervisor has bound.

    :param reason: what is told of what kept it from opening.
    """
    office = PostOffice(config, reactor, transcripts=transcripts, inheritance=inheritance)

    def end() -> None:
        with suppress(
            ReactorNotRunning
        ):  # told by a signal, or nobody is left on both of its sides
            reactor.stop()

    def stop(_: object = None) -> None:
        reactor.callWhenRunning(end)

    def finish(_: object) -> None:
        reactor.callLater(FINISH_SECONDS, stop)
        finishing = Deferred.fromCoroutine(office.finish())
        finishing.addErrback(lambda failure: _log.failure("finishing failed", failure))
        finishing.addCallback(stop)

    def failed(failure: Failure) -> Failure:
        told = reason(failure.value)  # type: ignore[arg-type]
        line.tell(ok=False, error=str(told), status=getattr(told, "exit_code", FAILED))
        return failure

    line = Line({"status": office.report, "finish": finish}, stop)
    StandardIO(line, reactor=reactor)
    office.opened.addCallbacks(lambda _: line.tell(ok=True, answer=None), failed)
    # Ctrl-C is meant for the supervisor, who tells its workers; so is SIGHUP. SIGTERM may come from both.
    reactor.callWhenRunning(signal.signal, signal.SIGINT, signal.SIG_IGN)
    reactor.callWhenRunning(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    reactor.callWhenRunning(signal.signal, signal.SIGTERM, lambda *_: reactor.callFromThread(end))
    return office
