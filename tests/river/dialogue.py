"""A client that says exactly the octets it is told to, and waits for no answer longer than PATIENCE."""

from __future__ import annotations

import socket
from typing import Self

from .office import PASSWORD, PATIENCE


class Dialogue:
    """One connection to a port of loopback.

    :param window: octets that the system takes in for us before we read them; 0: as many as it likes.
    """

    def __init__(self, port: int, *, window: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self._input = self.socket.makefile("rb", buffering=1 << 16)
        try:
            self.socket.connect(("127.0.0.1", port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.begin()
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """What is said before anything else."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, without a word."""
        self._input.close()
        self.socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def line(self) -> bytes:
        """The next line, without its CRLF."""
        line = self._input.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError(f"the connection ended, after {line!r}")
        return line[:-2]

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        return self._input.read()


class SMTP(Dialogue):
    """A client of the SMTP port; it has read the greeting and said EHLO."""

    def __init__(self, port: int, *, ehlo: bool = True, window: int = 0) -> None:
        self._ehlo = ehlo
        super().__init__(port, window=window)

    def begin(self) -> None:
        """Read the greeting; say EHLO."""
        self.greeting = self.reply()
        if self._ehlo:
            reply = self.ask(b"EHLO client.example")
            assert reply.startswith(b"250"), reply

    def reply(self) -> bytes:
        """The next reply, the last of its lines."""
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def ask(self, command: bytes) -> bytes:
        """Say a command; the reply."""
        self.send(command + b"\r\n")
        return self.reply()

    def envelope(self, *recipients: str, sender: str = "sender@example.net") -> None:
        """Name sender and recipients, and begin the letter."""
        addresses = [f"RCPT TO:<{one}@example.org>" for one in recipients]
        commands = [f"MAIL FROM:<{sender}>", *addresses, "DATA"]
        self.send("".join(f"{command}\r\n" for command in commands).encode())
        for _ in commands[:-1]:
            reply = self.reply()
            assert reply.startswith(b"250"), reply
        reply = self.reply()
        assert reply.startswith(b"354"), reply

    def deliver(self, body: bytes, *recipients: str) -> bytes:
        """Send a letter, its octets as they are; the reply to its end."""
        self.envelope(*recipients)
        self.send(stuffed(body) + b".\r\n")
        return self.reply()


class POP3(Dialogue):
    """A client of the POP3 port; it has read the greeting."""

    def __init__(self, port: int, user: str | None = None, *, window: int = 0) -> None:
        self._user = user
        super().__init__(port, window=window)

    def begin(self) -> None:
        """Read the greeting; log in, where a user is named."""
        greeting = self.line()
        assert greeting.startswith(b"+OK"), greeting
        if self._user is not None:
            reply = self.login(self._user)
            assert reply.startswith(b"+OK"), reply

    def login(self, user: str, password: str = PASSWORD) -> bytes:
        """Log in; the response to PASS."""
        self.send(f"USER {user}\r\nPASS {password}\r\n".encode())
        reply = self.line()
        assert reply.startswith(b"+OK"), reply
        return self.line()

    def ask(self, command: str) -> bytes:
        """Say a command; the first line of the response."""
        self.send(command.encode() + b"\r\n")
        return self.line()

    def lines(self) -> list[bytes]:
        """The lines of a response that a dot ends, their dots taken away again."""
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return lines

    def ok(self, command: str) -> bytes:
        """Say a command that succeeds; what is behind +OK."""
        answer = self.ask(command)
        assert answer.startswith(b"+OK"), answer
        return answer[4:]

    def listing(self, command: str) -> list[tuple[int, bytes]]:
        """The answer to LIST or UIDL."""
        self.ok(command)
        pairs = [line.split(b" ") for line in self.lines()]
        return [(int(number), value) for number, value in pairs]

    def retrieve(self, number: int) -> bytes:
        """A letter, octet for octet."""
        self.ok(f"RETR {number}")
        return self.content()

    def content(self) -> bytes:
        """The octets of a letter, as they were before stuffing."""
        return b"".join(line + b"\r\n" for line in self.lines())


def stuffed(body: bytes) -> bytes:
    """A letter as it travels (RFC 5321 §4.5.2), line by line, with a CRLF where its last line has none."""
    lines = body.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines)
