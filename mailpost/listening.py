"""Listening sockets that Twisted's endpoints do not treat well enough: UNIX sockets, and those of systemd.

Below :mod:`mailpost.doors`. A UNIX socket is a file, with an owner and a mode, that outlives whoever made it.
So it is made with its mode at once, one that a killed process left behind is replaced, and one that
somebody listens at is left alone. Which it is, is found out by connecting. Twisted has a lock file with a
process's number; after a restart that may be anybody's, and the office would stay closed.

What was bound by another (systemd, a supervisor) stays as it is found: neither is its mode changed, nor the
file taken away, nor the socket shut down for those who share it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp, unix
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

__all__ = ["adopt", "from_systemd", "listen_at_file"]


class SocketFilePort(unix.Port):
    """A UNIX socket that is bound and listens already.

    :param ours: this process made the file, and takes it away when it is done.
    """

    _shouldShutdown = False  # others may go on with it

    def __init__(
        self, listening: socket.socket, factory: IProtocolFactory, reactor: Any, *, ours: bool
    ) -> None:
        self._file = Path(listening.getsockname())
        self._made = _identity(self._file) if ours else None
        super().__init__(os.fsencode(self._file), factory, reactor=reactor)
        self.socket = listening
        self._factory = factory

    def startListening(self) -> None:
        """Let people in; the file and its mode stay as they are."""
        tcp._reservedFD.reserve()  # noqa: SLF001 - as Twisted's own ports do, lest EMFILE stops it
        self._factory.doStart()
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.connected = True
        self.numberAccepts = 100
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:
        """It is closed: take the file away, if it is still the one that was made."""
        if self._made is not None and _identity(self._file) == self._made:
            with suppress(OSError):  # the folder is another's, now that the process is not root
                self._file.unlink()
        tcp.Port.connectionLost(self, reason)


def listen_at_file(
    reactor: Any, path: str, mode: int, backlog: int, factory: IProtocolFactory
) -> IListeningPort:
    """Listen at a UNIX socket.

    :param mode: who may connect; the file never has another.
    :raises CannotListenError: somebody listens there, or it cannot be made.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o777 & ~mode)
    try:
        if _is_stale(file := Path(path)):
            file.unlink()
        listening.bind(path)
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise CannotListenError(None, path, error) from error
    finally:
        os.umask(umask)
    return _start(reactor, listening, factory, ours=True)


def adopt(reactor: Any, descriptor: int, factory: IProtocolFactory) -> IListeningPort:
    """Listen at a socket that another process has bound.

    :param descriptor: inherited from it; it is this function's now.
    :raises OSError: it is no socket.
    """
    inherited = socket.socket(fileno=descriptor)
    if inherited.family == socket.AF_UNIX:
        inherited.set_inheritable(False)
        return _start(reactor, inherited, factory, ours=False)
    with inherited:  # Twisted makes a copy
        inherited.setblocking(False)
        port: IListeningPort = reactor.adoptStreamPort(descriptor, inherited.family, factory)
        return port


def from_systemd(
    reactor: Any, description: str, domain: str, factory: IProtocolFactory
) -> IListeningPort:
    """Listen at a socket that systemd has bound (sd_listen_fds(3)).

    :param description: the endpoint, ``systemd:domain=INET:name=smtp`` and the like.
    :raises CannotListenError: there is none such; says what there is.
    """
    names = os.environ.get("LISTEN_FDNAMES", "").replace(":", ", ")
    try:
        descriptor: int = serverFromString(reactor, description).fileno
        with socket.socket(fileno=os.dup(descriptor)) as given:
            family = given.family.name.removeprefix("AF_")
    except (LookupError, OSError):
        there = f"those that are there: {names}" if names else "none is there"
        raise CannotListenError(
            None, description, OSError(f"systemd has not given that socket; {there}")
        ) from None
    if family != domain:
        raise CannotListenError(
            None, description, OSError(f"that socket is of another kind: write domain={family}")
        )
    return adopt(reactor, descriptor, factory)


def _start(
    reactor: Any, listening: socket.socket, factory: IProtocolFactory, *, ours: bool
) -> IListeningPort:
    listening.setblocking(False)
    port = SocketFilePort(listening, factory, reactor, ours=ours)
    port.startListening()
    return port


def _is_stale(path: Path) -> bool:
    """Whether there is a socket whose process has gone.

    :raises OSError: there is something else, or somebody listens.
    """
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file, and it is no socket")
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.setblocking(False)
        try:
            asked.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            pass  # so many wait there that no more may
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one at the same place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
