"""An office of two workers: it goes on when one is killed, and while its configuration is read again."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from .dialogue import POP3, SMTP
from .office import DOMAIN, PATIENCE, Office, attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY = b"Subject: hello\r\n\r\nIt works.\r\n"


@pytest.fixture
def two(make_office: Callable[..., Office]) -> Iterator[Office]:
    """A running office of two workers, both of which have opened, with alice."""
    office = make_office(office="workers = 2")
    office.add_users(["alice"])
    office.start()
    for _ in attempts():
        if "2 workers serve" in office.log:
            break
    yield office
    office.stop()


def status(office: Office) -> dict[str, Any]:
    """What ``mailpost status`` says."""
    told: dict[str, Any] = json.loads(
        office.mailpost("--config", str(office.config), "status", "--json")
    )
    return told


def workers(office: Office) -> set[int]:
    """The processes that serve."""
    return {one["process"] for one in status(office)["workers"]}


def alive(process: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


class Senders:
    """Clients who send letters, each over a connection of its own, until they are told to stop."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.kept = 0
        self.errors: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def more(self, count: int) -> None:
        """Wait until so many more letters were kept."""
        enough = self.kept + count
        for _ in attempts():
            if self.kept >= enough or self.errors:
                return

    def _send(self) -> None:
        while not self._stop.is_set():
            try:
                with SMTP(self.office.smtp) as client:
                    assert client.deliver(BODY, "alice").startswith(b"250")
                    client.ask(b"QUIT")
                self.kept += 1
            except Exception as error:  # noqa: BLE001 - for the test's own thread
                self.errors.append(error)
                return


def test_the_configuration_is_read_again(two: Office) -> None:
    """By SIGHUP or ``mailpost reload``: nobody is refused, a session goes on, new ones hear the new words."""
    before = workers(two)
    assert len(before) == 2
    with SMTP(two.smtp) as session, Senders(two) as senders:
        senders.more(20)
        text = two.config.read_text()
        two.config.write_text(text.replace('"mx.example.org"', '"new.example.org"'))
        os.kill(two.pid, signal.SIGHUP)
        for _ in attempts():
            with SMTP(two.smtp) as other:
                if other.greeting.startswith(b"220 new."):
                    break
        senders.more(20)
        assert senders.errors == []
        assert session.deliver(BODY, "alice").startswith(b"250")
        assert session.ask(b"QUIT").startswith(b"221")
    for _ in attempts():
        if workers(two).isdisjoint(before) and not any(map(alive, before)):
            break
    assert len(workers(two)) == 2
    with POP3(two.pop3, "alice") as client:
        assert client.ok("STAT").split()[0] == str(senders.kept + 1).encode()


def test_another_mode_for_a_socket_that_is_there(
    make_office: Callable[..., Office], tmp_path: Path
) -> None:
    """It stays, and is given the mode; where that cannot be nothing is changed."""
    office, socket = make_office(office="workers = 2"), tmp_path / "lmtp"
    text = office.config.read_text()
    listen = '\n[[listen]]\nprotocol = "lmtp"\nendpoint = "unix:{}:mode={}:backlog={}"\n'
    office.config.write_text(text + listen.format(socket, 600, 100))
    office.start()
    made = socket.stat()
    office.config.write_text(text + listen.format(socket, 660, 50))
    office.mailpost("--config", str(office.config), "reload")
    now = socket.stat()
    assert (now.st_ino, stat.S_IMODE(now.st_mode)) == (made.st_ino, 0o660)
    socket.unlink()
    office.config.write_text(text + listen.format(socket, 666, 50))
    before = workers(office)
    command = [sys.executable, "-m", "mailpost", "--config", str(office.config), "reload"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "No such file" in told.stderr
    assert workers(office) == before


def test_a_mistake_changes_nothing(two: Office) -> None:
    """A file that cannot be used is told of, and the office goes on as it was."""
    before = workers(two)
    text = two.config.read_text()
    two.config.write_text(text.replace("hostname", "hostnmae", 1))
    command = [sys.executable, "-m", "mailpost", "--config", str(two.config), "reload"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    two.config.write_text(text)
    assert told.returncode == 78
    assert "did you mean hostname?" in told.stderr
    assert workers(two) == before


def test_a_worker_is_killed(two: Office) -> None:
    """Its lock is free at once for the other, what had a 250 is there, and a new one takes its place."""
    before = workers(two)
    with SMTP(two.smtp) as client:
        assert client.deliver(BODY, "alice").startswith(b"250")
    with POP3(two.pop3, "alice") as session:
        session.ok("STAT")
        client = session.socket.getsockname()[1]
        mine = next(one for one in before if serves(one, client))
        os.kill(mine, signal.SIGKILL)
    for _ in attempts():  # its threads take a moment to end
        with POP3(two.pop3) as again:
            if again.login("alice").startswith(b"+OK"):
                assert again.ok("STAT").split()[0] == b"1"
                break
    else:
        pytest.fail("the maildrop stays locked")
    for _ in attempts():
        if len(now := workers(two)) == 2:
            break
    assert mine not in now
    assert len(now & before) == 1
    assert "ended unasked" in two.log


def test_newcomers_spread(two: Office) -> None:
    """Each worker has its share; one that does not move leaves nobody waiting."""
    with ExitStack() as held:
        clients = [held.enter_context(SMTP(two.smtp)) for _ in range(24)]
        ports = [client.socket.getsockname()[1] for client in clients]
        served = {one: sum(serves(one, port) for port in ports) for one in workers(two)}
        assert sum(served.values()) == 24
        assert min(served.values()) >= 6  # 9 or 10, where both are quick
    stuck = min(workers(two))
    os.kill(stuck, signal.SIGSTOP)
    try:
        with ExitStack() as held:
            for _ in range(12):
                client = held.enter_context(SMTP(two.smtp))
                assert client.deliver(BODY, "alice").startswith(b"250")
    finally:
        os.kill(stuck, signal.SIGCONT)


def serves(process: int, client: int) -> bool:
    """Whether a process has the connection that came from a client's port (proc(5))."""
    proc = Path(f"/proc/{process}")
    rows = [line.split() for line in (proc / "net" / "tcp").read_text().splitlines()[1:]]
    sockets = {row[9] for row in rows if int(row[2].split(":")[1], 16) == client}
    for one in (proc / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed just now
            link = str(one.readlink())
            if link.startswith("socket:[") and link[8:-1] in sockets:
                return True
    return False


def test_the_first_process_is_killed(two: Office) -> None:
    """The workers end with it, and the office can be opened again."""
    before = workers(two)
    two.kill()
    for _ in attempts():
        if not any(map(alive, before)):
            break
    two.start()
    assert len(workers(two)) == 2


def test_the_first_process_is_killed_while_an_old_worker_finishes(two: Office) -> None:
    """The worker ends once, without a complaint: its session ends, and nobody leads it any more."""
    before = workers(two)
    with SMTP(two.smtp) as session:
        os.kill(two.pid, signal.SIGHUP)
        for _ in attempts():
            if "the configuration was read again" in two.log:
                break
        everybody = before | workers(two)
        two.kill()
        assert session.reply().startswith(b"421 ")
    for _ in attempts():
        if not any(map(alive, everybody)):
            break
    assert "Traceback" not in two.log


def test_told_to_close_while_it_opens(make_office: Callable[..., Office]) -> None:
    """That is no failure, and nothing is complained of."""
    office = make_office(office="workers = 2")
    command = [sys.executable, "-m", "mailpost", "--config", str(office.config), "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as serving:
        for (
            _
        ) in attempts():  # it can be told: SIGTERM is caught (proc(5)), and workers are starting
            status = Path(f"/proc/{serving.pid}/status").read_text()
            caught = int(status.partition("SigCgt:")[2].split()[0], 16)
            children = Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text()
            if caught >> (signal.SIGTERM - 1) & 1 and children:
                break
        serving.terminate()
        _, told = serving.communicate(timeout=PATIENCE)
    assert serving.returncode == 0, told
    assert b"Traceback" not in told
    assert b"has ended" not in told


def test_workers_that_cannot_open(make_office: Callable[..., Office]) -> None:
    """It is told in one line, and the status says why."""
    office = make_office(office="workers = 2")
    (office.folder / "mailpost.db").write_bytes(b"this is no database, and never was one" * 100)
    command = [sys.executable, "-m", "mailpost", "--config", str(office.config), "serve"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 78, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert DOMAIN not in ended.stdout


def test_twistd(make_office: Callable[..., Office]) -> None:
    """``twistd mailpost`` leads workers as well; what they log is in its log."""
    office = make_office(office="workers = 2")
    office.add_users(["alice"])
    twistd = [str(Path(sys.executable).with_name("twistd")), "--nodaemon", "--pidfile="]
    office.start([*twistd, "mailpost", "--config", str(office.config)], cwd=office.folder)
    with SMTP(office.smtp) as client:
        assert client.deliver(BODY, "alice").startswith(b"250")
    assert len(workers(office)) == 2
    for _ in attempts():
        if "to alice@example.org" in office.log:
            break
    assert office.stop() == -signal.SIGTERM  # as any application of twistd
