"""The demonstration's mail programs: one that sends, one that collects, over real sockets.

They drive a dialogue line by line, and note each line as it goes over the wire.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENT = "C"
SERVER = "S"
_PATIENCE = 10.0  # seconds
_LONGEST_LINE = 1002  # RFC 5321 §4.5.3.1.6, and a dot more


class Surprise(Exception):  # noqa: N818 - it names what has happened
    """The server said something else than it should have."""


class Line(NamedTuple):
    """One line that went over the wire, without its CRLF."""

    speaker: str
    octets: bytes


class Dialogue:
    """A connection to a port of loopback.

    :param port: where the server listens.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._input = self._socket.makefile("rb")
        self._lines: list[Line] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self._socket.close()

    def say(self, *lines: bytes) -> None:
        """Send lines, each with a CRLF."""
        self._socket.sendall(b"".join(line + b"\r\n" for line in lines))
        self._lines += [Line(CLIENT, line) for line in lines]

    def hear(self) -> bytes:
        """Read the server's next line.

        :raises Surprise: the connection has ended.
        :raises TimeoutError: the server is silent.
        """
        line = self._input.readline(_LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise Surprise("the server has closed the connection")
        self._lines.append(Line(SERVER, line[:-2]))
        return line[:-2]

    def noted(self) -> Sequence[Line]:
        """Give the lines since this was called last."""
        lines, self._lines = self._lines, []
        return lines


class Sender(Dialogue):
    """Speaks SMTP (RFC 5321)."""

    def expect(self, code: bytes) -> bytes:
        """Hear a reply, all its lines; the last one.

        :raises Surprise: it has another code.
        """
        while (line := self.hear())[3:4] == b"-":
            pass
        return _expected(line, code)

    def ask(self, command: bytes, code: bytes = b"250") -> bytes:
        """Say a command and hear the reply."""
        self.say(command)
        return self.expect(code)


class Collector(Dialogue):
    """Speaks POP3 (RFC 1939)."""

    def expect(self) -> bytes:
        """Hear the first line of a response.

        :raises Surprise: it is not ``+OK``.
        """
        return _expected(self.hear(), b"+OK")

    def ask(self, command: bytes) -> bytes:
        """Say a command and hear the first line of the response."""
        self.say(command)
        return self.expect()

    def ask_for_lines(self, command: bytes) -> list[bytes]:
        """Say a command and hear all its lines, the dots that were added taken away."""
        self.ask(command)
        lines = []
        while (line := self.hear()) != b".":
            lines.append(line.removeprefix(b"."))
        return lines


def _expected(line: bytes, start: bytes) -> bytes:
    if not line.startswith(start):
        wanted, said = start.decode(), line.decode("ascii", "backslashreplace")
        raise Surprise(f'expected {wanted}; the server said "{said}"')
    return line
