"""What the benchmark asks of a system under test, and how its servers are started and stopped.

Every system serves SMTP (with STARTTLS), submission, POP3 (with STLS) and POP3 over TLS on loopback,
and LMTP at a UNIX socket, from a folder of its own,
has the same users with the same password, and is driven through its public protocols only. Its
servers run each under a keeper (:mod:`benchmarks.keeper`) and are stopped by its id, never by name.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks import processes
from benchmarks.errors import BenchmarkError

DOMAIN = "example.org"
HOSTNAME = "mx.example.org"
USER_PREFIX = "user"
PASSWORD = "correct-horse-battery"  # noqa: S105 - of servers that live for minutes, on loopback
DEVICE_PASSWORD = "phone-horse-battery"  # noqa: S105 - likewise

LOWEST_PORT = 10_000
START_SECONDS = 60
STOP_SECONDS = 60

PROJECT = Path(__file__).resolve().parent.parent


def user_name(number: int) -> str:
    """Name the user of that number; the load programs count users up from a prefix."""
    return f"{USER_PREFIX}{number}"


def address(number: int) -> str:
    """Give the mail address of the user of that number."""
    return f"{user_name(number)}@{DOMAIN}"


def crowd_name(number: int) -> str:
    """Name one of the many who never log in."""
    return f"crowd{number}"


def sleeper_name(number: int) -> str:
    """Name one of the many who log in and do nothing."""
    return f"sleeper{number}"


def crowd_address(number: int) -> str:
    """Give the mail address of one of the many."""
    return f"{crowd_name(number)}@{DOMAIN}"


def alias_address(number: int) -> str:
    """Give the mail address that is the alias of that number; each leads to one user."""
    return f"alias{number}@{DOMAIN}"


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment.

    It is one that the kernel gives to nobody who connects: the load opens thousands of connections.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    end = int(given.read_text().split()[0]) if given.exists() else 32768
    for port in random.sample(range(LOWEST_PORT, end), min(100, end - LOWEST_PORT)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BenchmarkError(f"no port between {LOWEST_PORT} and {end} is free")


def child_environment(**more: str) -> dict[str, str]:
    """Our own environment, in which the project can be imported though it is not installed."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


class System(ABC):
    """A mail system: SMTP in, POP3 out, and the processes that do it."""

    name: str
    hashes_passwords = False  # a first login costs more than those that follow

    def __init__(self, folder: Path, users: int) -> None:
        self.folder = folder
        self.users = users
        self.smtp_port = free_port()
        self.submission_port = free_port()
        self.pop3_port = free_port()
        self.pop3s_port = free_port()
        # One pair for every system of the run, beside their folders: the same handshake for each.
        self.certificate = folder.parent / "certificate.pem"
        self.key = folder.parent / "key.pem"
        self.lmtp_socket = folder / "lmtp"
        self.log = folder / "servers.log"
        self.environment: dict[str, str] = {}  # of every start
        self._keepers: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def prepare(self) -> None:
        """Write the configuration and make the users, before the first start."""

    @abstractmethod
    def commands(self) -> list[list[str]]:
        """Give the command of each server, to be run in the foreground."""

    @abstractmethod
    def settle(self) -> None:
        """Return once every letter that was accepted lies in its maildrop."""

    @abstractmethod
    def stock(self, user: int, letters: int, octets: int) -> None:
        """Fill an empty maildrop with so many letters, by the quickest way that is honest."""

    @abstractmethod
    def version(self) -> str:
        """Name the programs and their versions."""

    def start(self, **environment: str) -> None:
        """Start the servers; return once its ports greet."""
        with self.log.open("ab") as log:
            for command in self.commands():
                keeper = [sys.executable, "-m", "benchmarks.keeper", *command]
                self._keepers.append(
                    subprocess.Popen(
                        keeper,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=child_environment(**self.environment, **environment),
                        cwd=self.folder,
                    )
                )
        for port in (self.smtp_port, self.submission_port, self.pop3_port):
            self._await_greeting(port)

    def stop(self) -> None:
        """Stop the servers; return once all their processes are gone."""
        for keeper in self._keepers:
            keeper.send_signal(signal.SIGTERM)
        for keeper in self._keepers:
            try:
                keeper.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                keeper.kill()
                raise BenchmarkError(f"{self.name} did not stop") from None
        self._keepers.clear()

    def restart(self, **environment: str) -> None:
        """Begin again with fresh processes over the same data, in this environment."""
        self.stop()
        self.start(**environment)

    def cpu_seconds(self) -> float:
        """User and system time of all the system's processes, living and gone, since the start."""
        return processes.cpu_seconds([keeper.pid for keeper in self._keepers])

    def pids(self) -> list[int]:
        """All the system's living processes, the oldest first as far as their numbers tell."""
        return sorted(pid for one in self._keepers for pid in processes.descendants(one.pid))

    def memory(self) -> processes.Memory:
        """Memory of all the system's living processes."""
        return processes.memory([keeper.pid for keeper in self._keepers])

    def obituary(self) -> str | None:
        """Tell that a server has ended by itself, and its last words; None when all are alive."""
        if all(keeper.poll() is None for keeper in self._keepers):
            return None
        return f"a server has ended by itself; its last words:\n{self.last_words()}"

    def last_words(self) -> str:
        """Give the end of the servers' output, to tell why something failed."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-12:])

    def _await_greeting(self, port: int) -> None:
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            if obituary := self.obituary():
                raise BenchmarkError(f"{self.name}: {obituary}")
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as connection:
                    connection.settimeout(5)
                    if connection.recv(1) in (b"2", b"+"):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise BenchmarkError(f"{self.name} does not greet on port {port}:\n{self.last_words()}")


def require(*programs: str) -> str | None:
    """Return the first of ``programs`` that is not installed, or None."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return next((name for name in programs if shutil.which(name, path=path) is None), None)
