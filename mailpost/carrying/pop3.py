"""Another POP3 server to bring letters from (RFC 1939), with its unique-ids. Nothing is deleted there.

``poplib`` leads the session; letters are read past it, since it refuses lines of more than 2048 octets, and
has a letter in memory as a list of them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import poplib
import ssl
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from attrs import field, frozen

from mailpost.carrying.source import Letter, ServerError, SourceGone, crlf

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0  # seconds without an answer
LINE = 64 * 1024
AHEAD = 16  # letters asked for before the first is read, where the server has PIPELINING (RFC 2449 §6.8)
PORTS = {"pop3": 110, "pop3s": 995}


@frozen
class Server:
    """Whom to ask, and how.

    :ivar implicit: TLS from the first octet; else by STLS.
    :ivar cleartext: the password may go there in clear. To this machine itself it may always.
    :ivar authority: a file of certificates to trust in place of the system's.
    :ivar fingerprint: the SHA-256 of the only certificate to trust, in hex.
    """

    user: str
    host: str
    port: int
    implicit: bool
    cleartext: bool = False
    authority: str | None = None
    fingerprint: str | None = None
    password: str = field(repr=False, default="")

    def context(self) -> ssl.SSLContext:
        """What TLS is to check."""
        try:
            context = ssl.create_default_context(cafile=self.authority)
        except (OSError, ssl.SSLError) as error:
            raise ServerError(f"{self.authority} cannot be used: {error}") from error
        if self.fingerprint:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # the one certificate is compared instead
        return context


class POP3Source:
    """A session with another server.

    :raises ServerError: it cannot be had; the text says what to do.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pending = 0  # letters that were asked for and not read to their end
        try:
            self._session, offered = _connect(server)
        except ssl.SSLCertVerificationError as error:
            raise ServerError(_untrusted(server, error)) from error
        except (OSError, EOFError, poplib.error_proto) as error:
            raise ServerError(f"{server.host}:{server.port}: {_said(error)}") from error
        try:
            self._uidls = self._listed("UIDL")
            self._sizes = {number: int(size) for number, size in self._listed("LIST").items()}
        except (OSError, EOFError, ValueError, poplib.error_proto) as error:
            self.close()
            raise ServerError(
                f"{server.host} does not list its letters with unique-ids: {_said(error)}"
            ) from error
        self.ahead = AHEAD if "PIPELINING" in offered else 1
        self.count: int | None = len(self._uidls)
        self.octets: int | None = sum(self._sizes.values())

    def letters(self) -> Iterator[Letter]:
        """Each letter; only those are fetched whose pieces are asked for."""
        times: Counter[str] = Counter()
        server = self._server
        for number, uidl in self._uidls.items():
            times[uidl] += 1
            again = f" {times[uidl]}" if times[uidl] > 1 else ""
            yield Letter(
                name=f"letter {number} of {server.user} on {server.host}",
                key=f"pop3 {server.user}@{server.host.lower()} {uidl}{again}",
                octets=self._sizes.get(number, 0),
                pieces=lambda: crlf(self._fetch()),
                arrived=None,
                otherwise=0,
                uidl=uidl,
                ask=partial(self._ask, number),
            )

    def close(self) -> None:
        """Say good bye, and delete nothing. Harmless when repeated."""
        with suppress(OSError, EOFError, poplib.error_proto):
            if not self._pending:
                self._session.quit()
        with suppress(OSError):
            self._session.close()

    def _listed(self, command: str) -> dict[int, str]:
        _, lines, _ = self._session.uidl() if command == "UIDL" else self._session.list()
        rows = [line.decode("utf-8", "surrogateescape").split(" ") for line in lines]
        return {int(row[0]): row[1] for row in rows if len(row) > 1}

    def _ask(self, number: int) -> None:
        self._pending += 1
        try:
            self._session.sock.sendall(b"RETR %d\r\n" % number)
        except OSError as error:
            raise SourceGone(f"{self._server.host}: {_said(error)}") from error

    def _fetch(self) -> Iterator[bytes]:
        """The answer to what was asked first."""
        try:
            yield from self._retrieve()
        except NotGivenError:
            raise
        except OSError as error:
            raise SourceGone(f"{self._server.host}: {_said(error)}") from error

    def _retrieve(self) -> Iterator[bytes]:
        file = self._session.file
        said = file.readline(LINE)
        if not said.startswith(b"+OK"):
            if not said.endswith(b"\n"):
                raise SourceGone(f"{self._server.host} has hung up")
            self._pending -= 1
            raise NotGivenError(f"the server says {said.decode('utf-8', 'replace').strip()!r}")
        held: list[bytes] = []
        octets = 0
        begins = True
        while True:
            line = file.readline(LINE)
            if not line:
                raise SourceGone(f"{self._server.host} has hung up")
            if begins and line.startswith(b"."):
                if line.rstrip(b"\r\n") == b".":
                    break
                line = line[1:]
            begins = line.endswith(b"\n")
            held.append(line)
            octets += len(line)
            if octets >= LINE:
                yield b"".join(held)
                held, octets = [], 0
        self._pending -= 1
        yield b"".join(held)


class NotGivenError(OSError):
    """The server does not give one letter."""


def _connect(server: Server) -> tuple[poplib.POP3, dict[str, list[str]]]:
    """A session that is logged in, and what is offered there."""
    session: poplib.POP3
    if server.implicit:
        session = poplib.POP3_SSL(
            server.host, server.port, timeout=PATIENCE, context=server.context()
        )
    else:
        session = poplib.POP3(server.host, server.port, timeout=PATIENCE)
    try:
        offered = _capabilities(session)
        if not server.implicit and not (server.cleartext or _on_this_machine(session)):
            offered = _encrypt(session, server, offered)
        _compare(session, server)
        if "UTF8" in offered:
            session.utf8()  # letters as they are, not as they would be for old clients (RFC 6856)
        session.user(server.user)
        session.pass_(server.password)
        return session, _capabilities(session)
    except BaseException:
        session.close()
        raise


def _encrypt(
    session: poplib.POP3, server: Server, offered: dict[str, list[str]]
) -> dict[str, list[str]]:
    if "STLS" not in offered:
        raise ServerError(
            f"{server.host} offers no encryption at port {server.port}: try pop3s://, or"
            " --cleartext to send the password in clear"
        )
    session.stls(server.context())
    return _capabilities(session)


def _capabilities(session: poplib.POP3) -> dict[str, list[str]]:
    try:
        return session.capa()
    except poplib.error_proto:
        return {}  # older than RFC 2449


def _on_this_machine(session: poplib.POP3) -> bool:
    return ipaddress.ip_address(session.sock.getpeername()[0].partition("%")[0]).is_loopback


def _compare(session: poplib.POP3, server: Server) -> None:
    if server.fingerprint and isinstance(session.sock, ssl.SSLSocket):
        shown = _fingerprint(session.sock.getpeercert(binary_form=True))
        if shown != server.fingerprint.replace(":", "").lower():
            raise ServerError(f"{server.host} shows another certificate, with SHA-256 {shown}")


def _fingerprint(certificate: bytes | None) -> str:
    return hashlib.sha256(certificate or b"").hexdigest()


def _untrusted(server: Server, error: ssl.SSLCertVerificationError) -> str:
    """Say why a certificate is not trusted, and which it is, so that a person can decide."""
    why = f"the certificate of {server.host} is not to be trusted: {error.verify_message}"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, EOFError, poplib.error_proto):
        if server.implicit:
            asked: poplib.POP3 = poplib.POP3_SSL(
                server.host, server.port, timeout=PATIENCE, context=context
            )
        else:
            asked = poplib.POP3(server.host, server.port, timeout=PATIENCE)
            asked.stls(context)
        sock = asked.sock
        shown = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        asked.close()
        why += (
            f"\nif you know that it is right, say so: --fingerprint {_fingerprint(shown)}"
            "\n(or --authority FILE, with the certificate of whoever has signed it)"
        )
    return why


def _said(error: Exception) -> str:
    if isinstance(error, poplib.error_proto) and error.args:
        said = error.args[0]
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return str(error) or type(error).__name__
