"""A post office in a folder of its own, run as its users run it: by the public command line.

It listens on free ports of loopback, is waited for by asking its doors, and is ended by its own pid.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from argon2 import PasswordHasher
from twisted.internet.task import Clock

from mailpost.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DOMAIN = "example.org"
PASSWORD = "open sesame"
# A real hash with the smallest cost there is: a thousand logins are not what is tested here.
CHEAP_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
PATIENCE = 30.0
"""Seconds after which anything that is waited for counts as never coming."""

# Below what systems give to outgoing connections, so that no client takes an office's port.
_PORTS = range(20_000, 32_000)
# Whoever runs tests beside these takes none of their ports: each is an octet of this file, locked.
_TAKEN = Path(tempfile.gettempdir(), f"mailpost-tests-{os.geteuid()}.ports").open("ab")  # noqa: SIM115

_FORK_SERVER = "mailpost-forks"

_given: set[int] = set()
_serial = itertools.count(1)

_CONFIG = """\
[office]
hostname = "mx.example.org"
domains = ["example.org"]
{office}
[limits]
{limits}
[[listen]]
protocol = "smtp"
endpoint = "tcp:{smtp}:interface=127.0.0.1"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3}:interface=127.0.0.1"
"""


class Office:
    """One post office on this machine.

    :param folder: does not exist, or is empty.
    :param office: keys for the configuration's ``[office]``, one a line.
    :param limits: keys for ``[limits]``.
    """

    def __init__(self, folder: Path, *, office: str = "", limits: str = "") -> None:
        self.folder = folder
        self.log_file = folder.with_name(folder.name + ".log")
        self.config = folder / "mailpost.toml"
        self.smtp, self.pop3 = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None
        self.mailpost("init", str(folder), "--domain", DOMAIN)
        self.config.write_text(
            _CONFIG.format(office=office, limits=limits, smtp=self.smtp, pop3=self.pop3)
        )

    def mailpost(self, *arguments: str, typed: str = "") -> str:
        """Run a command of mailpost to its end; what it printed."""
        ended = subprocess.run(
            [sys.executable, "-m", "mailpost", *arguments],
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    # People -----------------------------------------------------------------------------------------

    def add_users(self, names: Iterable[str]) -> None:
        """Give accounts to many at once, all with the same cheap hash."""
        store = open_store(
            self.folder / "mailpost.db",
            clock=Clock(),
            call_in_reactor=lambda call, *arguments: call(*arguments),
            defer_to_thread=lambda *_: None,  # type: ignore[arg-type,return-value]
        )
        try:
            for name in names:
                store.accounts.add(name, CHEAP_HASH)
        finally:
            store.close()

    def newcomer(self, name: str = "user") -> str:
        """Give somebody new an account; the name is theirs alone."""
        unique = f"{name}-{next(_serial)}"
        self.add_users([unique])
        return unique

    # Opening and closing ----------------------------------------------------------------------------

    def start(self, command: Sequence[str] = (), *, cwd: Path | None = None) -> float:
        """Open the office and wait until both doors greet; how many seconds that took.

        :param command: another one than ``mailpost serve``.
        """
        given = [*command] or [
            sys.executable,
            "-m",
            "mailpost",
            "--config",
            str(self.config),
            "serve",
        ]
        started = time.monotonic()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                given, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd
            )
        for port in (self.smtp, self.pop3):
            await_greeting(port, self.process)
        return time.monotonic() - started

    def stop(self) -> int:
        """Close the office by SIGTERM; its exit status. Harmless when repeated."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.wait()
        self.process = None
        return status

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until the process has ended by itself; its exit status."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self.process is not None
        return self.process.pid

    # Looking on -------------------------------------------------------------------------------------

    @property
    def workers(self) -> list[int]:
        """The processes that serve, where the first does not (proc(5))."""
        return [child for child, name in self._children() if name != _FORK_SERVER]

    @property
    def fork_server(self) -> int:
        """The process that they come from, as soon as there is just one."""
        for _ in attempts():
            found = [child for child, name in self._children() if name == _FORK_SERVER]
            if len(found) == 1:
                break
        return found[0]

    def _children(self) -> Iterator[tuple[int, str]]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in map(int, children):
            with suppress(FileNotFoundError):  # it has just ended
                yield child, Path(f"/proc/{child}/comm").read_text().strip()

    @property
    def log(self) -> str:
        """All that it has printed so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def memory(self, what: str) -> int:
        """Octets of the process's memory.

        :param what: ``VmHWM``, the most there ever was, or ``VmRSS``, what there is now (proc(5)).
        """
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(what)


class EncryptedOffice(Office):
    """An office with doors that have TLS.

    :ivar certificate: what those who connect are to trust.
    :ivar stls: the port of POP3 with STLS.
    """

    certificate: str
    stls: int

    @property
    def context(self) -> ssl.SSLContext:
        """Trusts that certificate, and nothing else."""
        return ssl.create_default_context(cafile=self.certificate)

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Open it, and close it again; nothing unexpected was logged meanwhile."""
        self.start()
        assert self.process is not None
        await_greeting(self.stls, self.process)
        yield self
        assert self.stop() == 0
        assert "Traceback" not in self.log, self.log[-6000:]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, this process's own until it ends."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as tried:
            try:
                fcntl.lockf(_TAKEN, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            found.append(port)
    return found


def await_greeting(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a door opens and somebody behind it speaks."""
    for _ in attempts():
        assert process.poll() is None, f"the office ended with status {process.returncode}"
        with suppress_connection_errors(), socket.create_connection(("127.0.0.1", port), 5) as door:
            if door.recv(512):
                door.sendall(b"QUIT\r\n")
                while door.recv(512):
                    pass
                return


@contextmanager
def suppress_connection_errors() -> Iterator[None]:
    """What a door that is not open yet may do."""
    with suppress(ConnectionError, TimeoutError):
        yield


def attempts(seconds: float = PATIENCE) -> Iterator[float]:
    """Try again and again, with a breath between, until the caller is content or time is up."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield left
        time.sleep(0.02)
    raise TimeoutError(f"it has not happened within {seconds} s")
