"""One object for every listener that speaks TLS, implicit or STARTTLS.

It shows new certificates without a restart: files that changed are noticed when a connection comes, checked,
and then take the place of the old ones or leave them where they are. And it gives up on peers who never
finish the handshake, which Twisted does not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from OpenSSL import SSL
from twisted.logger import Logger

from mailpost.limits import IdleWatch
from mailpost.tls.certificates import CertificateFiles, Description, KeyPair, TLSError, read_pair
from mailpost.tls.contexts import Contexts, make_context
from mailpost.tls.tickets import TicketKeys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from twisted.internet.interfaces import IReactorTime

_log = Logger(namespace="mailpost.tls")

HANDSHAKE_SECONDS = 30.0
"""How long a peer may take for the handshake; a client on a bad line needs five at most."""

LOOK_SECONDS = 1.0
"""Not more often than this are the files looked at, however many connections come."""


class Handshake(Protocol):
    """A connection whose handshake has begun."""

    def getPeer(self) -> object:
        """Whose it is."""

    def abortConnection(self) -> None:
        """Cut it off."""


class ServerTLS:
    """What every connection that speaks TLS asks for OpenSSL's side of it.

    Of several certificates the client's server name chooses; the first is for those who name none, or one
    that nobody here has. An ECDSA and an RSA certificate for the same name serve it together.

    :param certificates: one or more.
    :param clock: for the patience, and for looking at the files.
    :param handshake_seconds: how long a peer may take for the handshake; past that it is cut off.
    :param tickets: the keys of session tickets, where other processes have the same; if None, its own.
    :ivar handshakes: those that are under way.
    :raises TLSError: one of them cannot be used.
    """

    def __init__(
        self,
        certificates: Sequence[CertificateFiles],
        clock: IReactorTime,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        tickets: TicketKeys | None = None,
    ) -> None:
        if not certificates:
            raise TLSError("TLS needs a certificate: name one in the configuration")
        self._clock = clock
        self._sources = [_Source(files) for files in certificates]
        self._contexts = self._make_contexts()
        self._tickets = tickets or TicketKeys(clock.seconds)
        self._next_look = clock.seconds() + LOOK_SECONDS
        self.handshakes: IdleWatch[Handshake] = IdleWatch(clock, handshake_seconds, _give_up)

    @property
    def certificates(self) -> tuple[Description, ...]:
        """The certificates in use, in their order."""
        return tuple(source.pair.description for source in self._sources)

    def connection(self) -> SSL.Connection:
        """OpenSSL's side of a connection that is about to shake hands."""
        now = self._clock.seconds()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look()
        return self._contexts.connection(self._tickets.current())

    def reload(self) -> tuple[str, ...]:
        """Read every file again, changed or not: the administrator asked for it.

        :returns: what is wrong with the new files, in a sentence each; those certificates stay as they were.
        """
        return self._read_again(self._sources)

    def _look(self) -> None:
        if changed := [source for source in self._sources if source.changed()]:
            self._read_again(changed)

    def _read_again(self, sources: Sequence[_Source]) -> tuple[str, ...]:
        wrong = []
        for source in sources:
            try:
                source.read()
            except TLSError as error:
                wrong.append(str(error))
                _log.error("TLS: {reason}; the former certificate stays in use", reason=str(error))
            else:
                _log.info(
                    "TLS: certificate for {names}, valid until {until}, taken from {path}",
                    names=", ".join(source.pair.description.names),
                    until=source.pair.description.not_after.date(),
                    path=source.files.chain,
                )
        if len(wrong) < len(sources):
            try:
                self._contexts = self._make_contexts()
            except OSError as error:
                wrong.append(f"TLS needs room for a temporary file: {error.strerror}")
                _log.error("TLS: no temporary file: {reason}", reason=error.strerror)
        return tuple(wrong)

    def _make_contexts(self) -> Contexts:
        return Contexts([source.pair for source in self._sources])


def _give_up(handshake: Handshake) -> None:
    """Time is up: a peer that has not finished its handshake is cut off."""
    _log.debug("TLS: {peer} did not finish its handshake", peer=handshake.getPeer())
    handshake.abortConnection()


class _Source:
    """A certificate's files, and the last good one that came from them."""

    def __init__(self, files: CertificateFiles) -> None:
        self.files = files
        self._seen = self._signs()
        self.pair = self._read()
        self._warn()

    def changed(self) -> bool:
        """Whether the files are others than those read last, be it with success or not."""
        return self._signs() != self._seen

    def read(self) -> None:
        """Read the files; on a :exc:`TLSError` the former pair stays."""
        self._seen = self._signs()  # first, so that a change while they are read is seen later
        pair, now = self._read(), datetime.now(UTC)
        if pair.description.flaw(now) and not self.pair.description.flaw(now):
            raise TLSError(pair.flaws(now)[0])
        self.pair = pair
        self._warn()

    def _read(self) -> KeyPair:
        pair = read_pair(self.files)
        try:
            make_context([pair])
        except SSL.Error as error:
            reason = error.args[0][-1][-1] if error.args and error.args[0] else "no reason given"
            raise TLSError(
                f"OpenSSL does not take the certificate in {self.files.chain} ({reason}): "
                "make another one"
            ) from None
        except OSError as error:
            raise TLSError(f"TLS needs room for a temporary file: {error.strerror}") from None
        return pair

    def _warn(self) -> None:
        for flaw in self.pair.flaws(datetime.now(UTC)):
            _log.warn("TLS: {flaw}", flaw=flaw)

    def _signs(self) -> tuple[tuple[int, ...], ...]:
        """What differs after any change; ctime tells of a new mode, which may make it readable."""
        return tuple(map(_stat, (self.files.chain, self.files.key)))


def _stat(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
