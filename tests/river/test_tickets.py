"""TLS sessions in an office of two workers are good at both; and where workers come from."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from contextlib import contextmanager
from pathlib import Path
from ssl import TLSVersion
from typing import TYPE_CHECKING

import pytest

from mailpost.control_client import ask, beside

from .office import PATIENCE, EncryptedOffice, attempts, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MORE = """
[[listen]]
protocol = "pop3"
endpoint = "tcp:{stls}:interface=127.0.0.1"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3s}:interface=127.0.0.1"
tls = "implicit"

[[certificate]]
chain = "certificate.pem"
key = "key.pem"
"""


class Two(EncryptedOffice):
    """An office of two workers, with a port for TLS from the first octet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, office="workers = 2")
        self.stls, self.pop3s = free_ports(2)
        self.certificate = str(folder / "certificate.pem")
        with self.config.open("a") as file:
            file.write(_MORE.format(**vars(self)))

    def await_log(self, words: str, times: int = 1) -> None:
        """Wait until it has logged something so many times."""
        for _ in attempts():
            if self.log.count(words) >= times:
                return

    def await_others(self, gone: set[int]) -> set[int]:
        """Wait until some are gone and two serve, as the office says; which two."""
        for _ in attempts():
            told = ask(beside(self.folder / "mailpost.db"), "status")
            now = {one["process"] for one in told["workers"]}
            if len(now) == 2 and now.isdisjoint(gone) and now == set(self.workers):
                break
        return now


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """A running office."""
    with Two(tmp_path_factory.mktemp("two") / "office").opened() as office:
        office.await_log("2 workers serve")
        yield office


class Client:
    """One that keeps its session from one connection to the next."""

    def __init__(self, office: Two, version: TLSVersion) -> None:
        self._port = office.pop3s
        self._context = office.context
        self._context.minimum_version = self._context.maximum_version = version
        self._session: ssl.SSLSession | None = None

    def resumes(self) -> bool:
        """Come and go; whether the session was resumed."""
        with (
            socket.create_connection(("127.0.0.1", self._port), PATIENCE) as plain,
            self._context.wrap_socket(
                plain, server_hostname="localhost", session=self._session
            ) as door,
        ):
            assert door.recv(512).startswith(b"+OK")
            self._session = door.session
            assert door.session_reused is not None
            return door.session_reused


@contextmanager
def only(worker: int, workers: Iterable[int]) -> Iterator[None]:
    """Have one worker alone serve."""
    others = [one for one in workers if one != worker]
    for one in others:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in others:
            os.kill(one, signal.SIGCONT)


def resumed(clients: Iterable[Client], workers: Iterable[int]) -> list[bool]:
    """Whether clients resume their sessions, at each worker."""
    found = []
    for worker in workers:
        with only(worker, workers):
            found += [client.resumes() for client in clients]
    return found


def test_nobody_has_what_is_not_theirs(two: Two) -> None:
    """Each worker has its own line to the first process; the fork server has no child, and one thread."""
    workers = two.workers
    lines = [Path(f"/proc/{one}/fd/0").readlink() for one in (two.fork_server, *workers)]
    assert len(set(lines)) == 3
    for process, line in zip(workers, lines[1:], strict=True):
        has = [one.readlink() for one in Path(f"/proc/{process}/fd").iterdir()]
        assert has.count(line) == 2  # standard input and output
        assert not set(lines) - {line} & set(has)
    (task,) = Path(f"/proc/{two.fork_server}/task").iterdir()
    assert (task / "children").read_text() == ""


def test_sessions_are_resumed_everywhere(two: Two) -> None:
    """At either worker, and at the one that takes the place of a dead one; after a reload once more."""
    clients = [Client(two, version) for version in (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)]
    before = two.workers
    assert resumed(clients, before[:1]) == [False] * 2
    assert resumed(clients, before) == [True] * 4
    os.kill(before[0], signal.SIGKILL)
    assert resumed(clients, two.await_others({before[0]})) == [True] * 4
    os.kill(two.pid, signal.SIGHUP)
    after = two.await_others(set(before))
    resumed(clients, after)
    assert resumed(clients, after) == [True] * 4


def test_the_fork_server_is_killed(two: Two) -> None:
    """The workers go on; where one is to be replaced, it comes from another fork server."""
    before, fork_server = two.workers, two.fork_server
    os.kill(fork_server, signal.SIGKILL)
    two.await_log("what starts workers has ended unasked, by signal 9")
    clients = [Client(two, TLSVersion.TLSv1_3)]
    resumed(clients, before[:1])
    assert resumed(clients, before) == [True] * 2
    os.kill(before[0], signal.SIGKILL)
    after = two.await_others({before[0]})
    assert before[1] in after
    assert two.fork_server != fork_server
    os.kill(two.pid, signal.SIGHUP)  # all come from the same one again
    after = two.await_others(after)
    resumed(clients, after)
    assert resumed(clients, after) == [True] * 2


def test_all_are_told_to_close(tmp_path: Path) -> None:
    """SIGTERM to every process at once, as systemd sends it: they end in order, and nobody complains."""
    with Two(tmp_path / "office").opened() as office:
        office.await_log("2 workers serve")
        everybody = [office.pid, office.fork_server, *office.workers]
        for one in everybody:
            os.kill(one, signal.SIGTERM)
        assert office.wait() == 0
        assert not any(Path(f"/proc/{one}").exists() for one in everybody[2:])
        assert "unasked" not in office.log
