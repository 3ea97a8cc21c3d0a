"""Load from programs that cost less than the server: Postfix's ``smtp-source``, and our own in C.

A client in Python would measure itself. ``smtp-source`` sends one letter after the other over each
of its connections and ends with an error at the first reply that is not positive; it speaks no TLS.
``pop3load.c`` and ``smtpload.c`` check every reply, count octets, and end with a sentence when
something is not as it must be; :func:`compiled` builds them into a temporary folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from benchmarks.systems import PASSWORD, USER_PREFIX, System, address, require, user_name

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = ("-lssl", "-lcrypto")
SOURCES = Path(__file__).resolve().parent
LOAD_SECONDS = 900


class TLS(Enum):
    """How a POP3 session is encrypted, and how its handshake goes."""

    NONE = ()
    IMPLICIT = ("-t", "implicit")
    RESUMED = ("-t", "implicit", "-r")
    STLS = ("-t", "stls")


class StartTLS(Enum):
    """Whether an SMTP connection begins with STARTTLS, and how its handshake goes."""

    NO = ()
    FULL = ("-T",)
    RESUMED = ("-T", "-R")


@dataclass(frozen=True)
class Mailing:
    """Letters to be sent to one user: how many, how large, over how many connections.

    ``login``: the user sends them to itself, over the port for submission, after AUTH PLAIN.
    ``lmtp``: over the UNIX socket of what delivers, which for Postfix and Dovecot is Dovecot.
    """

    user: int
    letters: int
    octets: int
    connections: int
    connection_per_letter: bool = False
    tls: StartTLS = StartTLS.NO
    login: bool = False
    lmtp: bool = False


@dataclass(frozen=True)
class Work:
    """What a load program has done: units, seconds, octets, latency of a unit in seconds."""

    done: int
    seconds: float
    octets: int
    p50: float
    p90: float
    p99: float
    max: float
    client_cpu: float
    resumed: int  # handshakes that resumed a session
    server_cpu: float


def why_not() -> str | None:
    """Return why no load can be made here, or None."""
    if require("cc") is not None:
        return "no C compiler: cc is needed to build the load programs (Debian: gcc libc6-dev)"
    if require("smtp-source") is not None:
        return "smtp-source is not installed (Debian: postfix)"
    return None


def compiled(name: str, folder: Path) -> Path:
    """Build the load program ``name`` in ``folder``, once, and return where it is."""
    program = folder / name
    if not program.exists():
        source = str(SOURCES / f"{name}.c")
        command = ["cc", "-O2", "-std=c11", "-Wall", "-o", str(program), source]
        command += LIBRARIES
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            said = result.stderr.strip()
            if "openssl/" in said:
                said = "OpenSSL's headers are not installed (Debian: libssl-dev)"
            raise BenchmarkError(f"{name}.c cannot be compiled: {said}")
    return program


def send(system: System, mailing: Mailing) -> float:
    """Send by ``smtp-source``; return the seconds until all lay in the maildrop."""
    program = shutil.which("smtp-source", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    host = f"127.0.0.1:{system.smtp_port}"
    command = [
        program or "smtp-source",
        *("-s", str(mailing.connections), "-m", str(mailing.letters), "-l", str(mailing.octets)),
        *("-f", "sender@example.com", "-t", address(mailing.user), "-M", "client.example.com"),
        *([] if mailing.connection_per_letter else ["-d"]),
        *(["-L", f"unix:{system.lmtp_socket}"] if mailing.lmtp else [host]),
    ]
    begun = time.monotonic()
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"smtp-source did not end within {LOAD_SECONDS} s") from None
    # It warns of a reply it did not expect and may go on: then it is no measurement.
    if result.returncode or result.stderr.strip():
        raise BenchmarkError(result.stderr.strip() or f"smtp-source ended with {result.returncode}")
    system.settle()
    return time.monotonic() - begun


class Load:
    """A load program that is ready, and does its work when told."""

    def __init__(self, system: System, process: subprocess.Popen[str]) -> None:
        self._system = system
        self._process = process
        self.abandoned = False  # it is ended in the middle of its work when the block ends

    def work(self) -> Work:
        """Let it do its work; measure what the servers spend on it meanwhile."""
        before = self._system.cpu_seconds()
        self.go_on()
        figures = json.loads(self.line())
        return Work(**figures, server_cpu=self._system.cpu_seconds() - before)

    def told(self) -> Iterator[dict[str, float]]:
        """Let it do its work; what it tells meanwhile, and at the end of all of it, with ``seconds``."""
        self.go_on()
        while True:
            figures = json.loads(self.line())
            yield figures
            if "seconds" in figures:
                return

    def go_on(self) -> None:
        """Tell the program that we have seen enough of the server as it is now."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """Read what the program says; raise with its own sentence when it has failed."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(self._process.stderr.read().strip() or "the load program ended")
        return line


@contextmanager
def running(system: System, program: Path, *arguments: str | float) -> Iterator[Load]:
    """Run a load program: prepared when the block begins, its sessions closed when it ends."""
    with subprocess.Popen(
        [program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            load = Load(system, process)
            load.line()  # ready
            yield load
            if load.abandoned:
                return
            load.go_on()
            if process.wait(LOAD_SECONDS):
                load.line()
        finally:
            process.kill()


def smtp(system: System, mailing: Mailing) -> list[str | float]:
    """Give the arguments with which ``smtpload`` sends a mailing as fast as it is taken."""
    who = address(mailing.user)
    return [
        *("-p", system.submission_port if mailing.login else system.smtp_port),
        *("-t", who, "-c", mailing.connections, "-l", mailing.octets, "-n", mailing.letters),
        *(["-1"] if mailing.connection_per_letter else []),
        *mailing.tls.value,
        *(["-f", who, "-a", user_name(mailing.user), "-P", PASSWORD] if mailing.login else []),
    ]


def pop3(
    system: System,
    first_user: int,
    connections: int,
    tls: TLS = TLS.NONE,
    password: str = PASSWORD,
) -> list[str | float]:
    """Give the arguments that every mode of ``pop3load`` needs."""
    implicit = tls in (TLS.IMPLICIT, TLS.RESUMED)
    return [
        *("-p", system.pop3s_port if implicit else system.pop3_port),
        *("-u", USER_PREFIX, "-f", first_user, "-P", password, "-c", connections),
        *tls.value,
    ]
