"""What the load program and the table do about TLS."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import load
from benchmarks.errors import BenchmarkError
from benchmarks.load import TLS
from benchmarks.row import Plan
from benchmarks.rows import all_rows
from benchmarks.systems import System, require
from mailpost.tls.self_signed import make_self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator

compiles = pytest.mark.skipif(
    require("cc") is not None or not Path("/usr/include/openssl/ssl.h").exists(),
    reason="needs cc and OpenSSL's headers (Debian: gcc libc6-dev libssl-dev)",
)

SESSION = ("-u", "user", "-f", "0", "-P", "secret", "-e", "0", "-s", "0.05")
PLAN = Plan(seconds=1.0, idle_sessions=20, maildrops=(), programs=Path())


class Ports(System):
    """A system of which only the ports are asked."""

    name = "ports"

    def prepare(self) -> None: ...
    def commands(self) -> list[list[str]]:
        return []

    def settle(self) -> None: ...
    def stock(self, user: int, letters: int, octets: int) -> None: ...
    def version(self) -> str:
        return self.name


@pytest.mark.parametrize(
    ("tls", "implicit", "options"),
    [
        (TLS.NONE, False, []),
        (TLS.STLS, False, ["-t", "stls"]),
        (TLS.IMPLICIT, True, ["-t", "implicit"]),
        (TLS.RESUMED, True, ["-t", "implicit", "-r"]),
    ],
)
def test_the_port_is_the_one_for_the_kind_of_tls(
    *, tls: TLS, implicit: bool, options: list[str]
) -> None:
    """STLS begins in the clear, on the port of those who stay there."""
    system = Ports(Path(), 0)
    arguments = load.pop3(system, 40, 20, tls)
    assert arguments[:2] == ["-p", system.pop3s_port if implicit else system.pop3_port]
    assert arguments[arguments.index("-c") + 2 :] == options


def test_a_row_with_tls_says_so_and_has_one_without_beside_it() -> None:
    """What TLS costs is read by comparing two rows whose titles differ in nothing else."""
    titles = {row.name: row.title for row in all_rows(PLAN)}
    for name, plain, mark in [
        ("idle-tls", "idle", ", TLS"),
        ("sessions-tls", "sessions", ", TLS"),
        ("sessions-resumed", "sessions", ", TLS tickets"),
        ("sessions-stls", "sessions", ", STLS"),
        ("retr-tls", "retr", ", TLS"),
        ("retr-1mb-tls", "retr-1mb", ", TLS"),
    ]:
        assert titles[name] == titles[plain] + mark


def test_missing_headers_are_named_by_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of the compiler's words helps nobody."""
    (tmp_path / "pop3load.c").write_text("#include <openssl/nothing-of-this-name.h>\n")
    monkeypatch.setattr(load, "SOURCES", tmp_path)
    with pytest.raises(BenchmarkError, match="libssl-dev" if not require("cc") else "cc"):
        load.compiled("pop3load", tmp_path)


@contextmanager
def server(folder: Path, *, stls: bool, tickets: bool) -> Iterator[int]:
    """A POP3 server for one session after the other, with an empty maildrop."""
    chain, key = make_self_signed(folder, ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.num_tickets = 2 if tickets else 0

    def session(connection: socket.socket) -> None:
        if stls:
            connection.sendall(b"+OK hello\r\n")
            assert connection.recv(99) == b"STLS\r\n"
            connection.sendall(b"+OK begin\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            if not stls:
                secure.sendall(b"+OK hello\r\n")
            for verb in (b"USER", b"PASS", b"STAT", b"QUIT"):
                assert secure.recv(99).startswith(verb)
                secure.sendall(b"+OK 0 0\r\n")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                session(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@compiles
@pytest.mark.parametrize(
    ("options", "tickets", "resumed"),
    [
        (TLS.STLS.value, True, 0),
        (TLS.IMPLICIT.value, True, 0),
        (TLS.RESUMED.value, False, 0),
        (TLS.RESUMED.value, True, 1),
    ],
)
def test_a_handshake_is_full_unless_a_ticket_was_given_and_wanted(
    *, tmp_path: Path, options: tuple[str, ...], tickets: bool, resumed: int
) -> None:
    """What the table calls resumed was resumed, and nothing else was."""
    program = load.compiled("pop3load", tmp_path)
    with server(tmp_path, stls="stls" in options, tickets=tickets) as port:
        result = subprocess.run(
            [program, "-p", str(port), *SESSION, *options, "sessions"],
            input="\n\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert result.stderr == ""
    figures = json.loads(result.stdout.splitlines()[1])
    assert figures["done"] >= 1
    assert figures["resumed"] == resumed * figures["done"]
