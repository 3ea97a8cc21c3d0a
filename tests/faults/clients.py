"""Clients that write down what they are told: one that sends letters, one that collects them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.faults.letters import body_of
from tests.river.dialogue import POP3, SMTP, stuffed
from tests.river.maildrop import Letter
from tests.river.office import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tests.faults.history import Telling


class NotNowError(Exception):
    """The office has asked to come again later; nothing was begun."""


class InUseError(NotNowError):
    """Somebody has the view open."""


class Sender:
    """Sends letters over one connection.

    :raises NotNowError: the office cannot just now.
    """

    def __init__(self, history: Telling, port: int) -> None:
        self._history = history
        self._client = SMTP(port, ehlo=False)
        try:
            self._greeted(self._client.greeting)
            self._greeted(self._client.ask(b"EHLO client.example"))
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def port(self) -> int:
        """The client's own."""
        return int(self._client.socket.getsockname()[1])

    def _greeted(self, reply: bytes) -> None:
        if reply.startswith(b"4"):
            raise NotNowError(reply)
        assert reply.startswith(b"2"), reply

    def send(
        self,
        name: str,
        users: Collection[str],
        size: int | None = None,
        *,
        arrived: Callable[[], bool] = lambda: True,
    ) -> bytes:
        """Send a letter; the reply that decided.

        :param arrived: whether all of it has come to the office, where no reply comes.
        :raises OSError: the connection has ended, and that is written down.
        """
        body = body_of(name, size)
        attempt = self._history.sending(name, users, body)
        try:
            refusal = self._envelope(users)
            if not refusal:
                self._client.send(stuffed(body) + b".\r\n")
        except OSError:
            self._history.withdrawn(attempt)
            raise
        if refusal:
            self._history.withdrawn(attempt)
            return refusal
        reply = b""
        try:
            reply = self._client.reply()
        finally:
            if reply or arrived():
                self._history.answered(attempt, reply)
            else:
                self._history.withdrawn(attempt)
        return reply

    def _envelope(self, users: Iterable[str]) -> bytes:
        """Everything up to the letter; the first refusal in it, after which the letter is not begun."""
        addresses = [f"RCPT TO:<{user}@example.org>" for user in users]
        commands = ["MAIL FROM:<sender@example.net>", *addresses, "DATA"]
        self._client.send("".join(f"{command}\r\n" for command in commands).encode())
        replies = [self._client.reply() for _ in commands]
        for reply in replies[:-1]:
            if not reply.startswith(b"250"):
                if replies[-1].startswith(
                    b"354"
                ):  # some were accepted; to hang up is to send nothing
                    self._client.close()
                return reply
        return b"" if replies[-1].startswith(b"354") else replies[-1]


class Collector:
    """A session of one view; an account's own password opens its devices too.

    :param view: ``alice``, or ``alice#phone``.
    :ivar letters: what was read, with their unique-ids.
    :raises InUseError: somebody has it open.
    :raises NotNowError: the office cannot just now.
    """

    def __init__(self, history: Telling, port: int, view: str) -> None:
        self._history = history
        self._session = history.opening(view)
        self._client: POP3 | None = None
        self.uidls: list[bytes] = []
        self.letters: list[Letter] = []
        self._marked: list[bytes] = []
        try:
            self.client = self._client = _Door(port)
            _log_in(self.client, view)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; nothing when that is done."""
        if self._client is not None:
            self._client.close()
        session, self._session = self._session, ""
        if session:
            self._history.closed(session)

    def read(self, known: Collection[bytes] = ()) -> None:
        """List everything, and read what is not known."""
        sizes = dict(self._listing("LIST"))
        listed = self._listing("UIDL")
        assert [number for number, _ in listed] == list(sizes) == [*range(1, len(sizes) + 1)]
        self.uidls = [uidl for _, uidl in listed]
        self._history.listed(self._session, self.uidls)
        for number, uidl in listed:
            if uidl in known:
                continue
            answer = self.client.ask(f"RETR {number}")
            if not answer.startswith(b"+OK"):
                self._history.unreadable(self._session, uidl, answer)
                raise NotNowError(answer)
            letter = Letter(uidl, self.client.content())
            assert len(letter.octets) == int(sizes[number])
            self._history.read(self._session, uidl, letter.body)
            self.letters.append(letter)

    def _listing(self, command: str) -> list[tuple[int, bytes]]:
        _ok(self.client.ask(command))
        pairs = [line.split(b" ") for line in self.client.lines()]
        return [(int(number), value) for number, value in pairs]

    def mark(self, indexes: Iterable[int]) -> None:
        """Delete letters, counted from 0."""
        for index in indexes:
            _ok(self.client.ask(f"DELE {index + 1}"))
            self._marked.append(self.uidls[index])

    def quit(self, *, arrived: Callable[[], bool] = lambda: True) -> bytes:
        """Say QUIT; the answer.

        :param arrived: whether it has come to the office, where no answer comes.
        :raises OSError: none came, and that is written down.
        """
        self._history.quitting(self._session, self._marked)
        answer = b""
        try:
            answer = self.client.ask("QUIT")
        finally:
            if answer or arrived():
                self._history.quit(self._session, answer)
        return answer


class _Door(POP3):
    """A client whose office may greet it with a refusal."""

    def begin(self) -> None:
        """Read the greeting."""
        _ok(self.line())


def _log_in(client: POP3, view: str) -> None:
    client.send(f"USER {view}\r\nPASS {PASSWORD}\r\n".encode())
    _ok(client.line())
    _ok(client.line())


def _ok(answer: bytes) -> None:
    """See that it is +OK, or one of the reasons to come again."""
    if answer.startswith(b"-ERR [IN-USE]"):
        raise InUseError(answer)
    if answer.startswith(b"-ERR [SYS/TEMP]"):
        raise NotNowError(answer)
    assert answer.startswith(b"+OK"), answer


def look(history: Telling, port: int, view: str) -> list[Letter]:
    """Read everything that a view shows, and leave it as it is; what that was."""
    with Collector(history, port, view) as collector:
        collector.read()
        with suppress(OSError):
            collector.quit()
    return collector.letters
