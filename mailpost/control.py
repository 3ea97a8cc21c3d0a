"""The control socket: how the command line asks a running office for what lives in its memory.

A UNIX socket beside the database, its owner's alone; nobody is asked for a password, for whoever can open it
can read the store as well. One JSON object on a line each way::

    {"verb": "status"}
    {"ok": true, "answer": {...}}       or  {"ok": false, "error": "a sentence"}

That it is not there means that no office runs. One that a killed office has left is taken away by the next.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from mailpost.control_client import Refusal, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from twisted.python.failure import Failure

    Verbs = Mapping[str, Callable[[dict[str, Any]], Any]]

_log = Logger(namespace="mailpost.control")

MAX_REQUEST = 64 * 1024  # octets
MAX_PEERS = 16
IDLE_SECONDS = 30.0


class Control:
    """Listens at the control socket.

    :param verbs: what can be asked: each is given the whole request, and returns what JSON can say, now or by
        a Deferred; a :exc:`Refusal` is told as it stands.
    """

    def __init__(self, path: Path, reactor: Any, verbs: Verbs) -> None:
        self.path = path
        self.verbs = verbs
        self.peers: set[_Peer] = set()
        self._reactor = reactor
        self._door: _Acceptor | None = None

    def open(self) -> None:
        """Listen; the caller has made sure that no other process does.

        Where it cannot be done the office runs all the same, and the log says why.
        """
        try:
            listening = _listen(self.path)
        except OSError as error:
            _log.warn("no control socket at {path}: {why}", path=str(self.path), why=error.strerror)
            return
        self._door = _Acceptor(self, listening, self._reactor)
        self._reactor.addReader(self._door)

    def close(self) -> None:
        """Listen no more. Harmless when repeated."""
        door, self._door = self._door, None
        if door is None:
            return
        self._reactor.removeReader(door)
        door.listening.close()
        for peer in list(self.peers):
            peer.transport.loseConnection()
        with suppress(FileNotFoundError):
            self.path.unlink()


def asked_elsewhere() -> None:
    """Say that another process has the control socket of this store."""
    _log.warn("another process serves this store; mailpost status and reload ask that one")


def answer(verbs: Verbs, line: bytes) -> Deferred[bytes]:
    """The answer to one request."""
    return maybeDeferred(_ask, verbs, line).addCallbacks(_said, _failed)


def _ask(verbs: Verbs, line: bytes) -> Any:
    try:
        request = json.loads(line)
        verb = verbs[request["verb"]]
    except (ValueError, TypeError, RecursionError):
        raise Refusal("expected a JSON object with a verb, on one line") from None
    except KeyError:
        raise Refusal(f"expected a verb, one of {', '.join(verbs)}") from None
    return verb(request)


def _said(answer: Any) -> bytes:
    return json.dumps({"ok": True, "answer": answer}).encode()


def _failed(failure: Failure) -> bytes:
    if failure.check(Refusal):
        why = str(failure.value)
    else:
        _log.failure("a request at the control socket failed", failure=failure)
        why = "something is wrong in the office; its log says what"
    return json.dumps({"ok": False, "error": why}).encode()


class _Peer(LineOnlyReceiver, TimeoutMixin):
    """One command that asks; it may ask again, when it has its answer."""

    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST
    transport: Any

    def __init__(self, control: Control) -> None:
        self._control = control
        self._busy = False

    def connectionMade(self) -> None:
        self._control.peers.add(self)
        self.setTimeout(IDLE_SECONDS)  # type: ignore[no-untyped-call]
        if len(self._control.peers) > MAX_PEERS:
            self.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002 - Twisted's
        self._control.peers.discard(self)
        self.setTimeout(None)  # type: ignore[no-untyped-call]

    def lineReceived(self, line: bytes) -> None:
        if self._busy:  # one at a time: whoever does not wait is none of our commands
            self.transport.loseConnection()
            return
        self._busy = True
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        answer(self._control.verbs, line).addCallback(self._tell)

    def _tell(self, octets: bytes) -> None:
        self._busy = False
        self.setTimeout(IDLE_SECONDS)  # type: ignore[no-untyped-call]
        self.sendLine(octets)  # type: ignore[no-untyped-call]


class _Peers(Factory):
    noisy = False

    def __init__(self, control: Control) -> None:
        self._control = control

    def buildProtocol(self, addr: object) -> _Peer:  # noqa: ARG002 - a UNIX socket has none
        return _Peer(self._control)


@implementer(IReadDescriptor)
class _Acceptor:
    """Takes connections in. Twisted's own port for UNIX sockets gives them to everybody, for a moment."""

    def __init__(self, control: Control, listening: socket.socket, reactor: Any) -> None:
        self.listening = listening
        self._reactor = reactor
        self._factory = _Peers(control)

    def doRead(self) -> None:
        """Hand one to the reactor."""
        with suppress(OSError):  # gone already, or no descriptor is left: it will come again
            line, _ = self.listening.accept()
            with line:
                line.setblocking(False)
                self._reactor.adoptStreamConnection(line.fileno(), socket.AF_UNIX, self._factory)

    def fileno(self) -> int:
        """The socket's."""
        return self.listening.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "control"

    def connectionLost(self, reason: Any) -> None:
        """The reactor closes: nothing is left to be done."""


def _listen(path: Path) -> socket.socket:
    """Listen; the file is its owner's alone from the first moment on."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    line = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(line.fileno(), 0o600)  # which Linux gives to the file
        with reachable(path) as name:
            line.bind(name)
        path.chmod(0o600)  # elsewhere
        line.listen(MAX_PEERS)
        line.setblocking(False)
    except BaseException:
        line.close()
        raise
    return line
