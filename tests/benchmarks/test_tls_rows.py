"""What the load program and the table do about TLS."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import load
from benchmarks.errors import BenchmarkError
from benchmarks.load import TLS, Mailing, StartTLS
from benchmarks.row import Plan
from benchmarks.rows import all_rows
from benchmarks.systems import System, require
from mailpost.tls.self_signed import make_self_signed
from tests.benchmarks.serving import compiles, serving, told_by

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSION = ("-u", "user", "-f", "0", "-P", "secret", "-e", "0", "-s", "0.05")
PLAN = Plan(seconds=1.0, idle_sessions=20, maildrops=(), stores=(), programs=Path())


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
        ("intake-tls", "intake-50", ", STARTTLS"),
        ("intake-connect-tls", "intake-connect", ", STARTTLS"),
        ("intake-resumed", "intake-connect", ", STARTTLS with tickets"),
        ("submission", "intake-tls", ", AUTH PLAIN"),
        ("submission-connect", "intake-connect-tls", ", AUTH PLAIN"),
    ]:
        assert titles[name] == titles[plain] + mark


def test_a_login_goes_to_the_port_for_submission() -> None:
    """Who logs in sends from the address that is its own; both systems refuse another."""
    system = Ports(Path(), 0)
    plain = load.smtp(system, Mailing(0, 9, 4096, 3, tls=StartTLS.RESUMED))
    assert plain[:2] == ["-p", system.smtp_port]
    assert plain[-2:] == ["-T", "-R"]
    login = load.smtp(system, Mailing(7, 9, 4096, 3, True, StartTLS.FULL, True))
    assert login[:2] == ["-p", system.submission_port]
    assert login[10:14] == ["-1", "-T", "-f", "user7@example.org"]


def test_a_letter_goes_to_what_delivers_over_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postfix is not in it: LMTP is measured against Dovecot's own."""
    said: list[list[str]] = []

    def ran(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        said.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(load.subprocess, "run", ran)
    system = Ports(tmp_path, 0)
    load.send(system, Mailing(0, 1, 4096, 1, lmtp=True))
    load.send(system, Mailing(0, 1, 4096, 1))
    assert said[0][-2:] == ["-L", f"unix:{tmp_path}/lmtp"]
    assert said[1][-2:] == ["-d", f"127.0.0.1:{system.smtp_port}"]


def test_missing_headers_are_named_by_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of the compiler's words helps nobody."""
    (tmp_path / "pop3load.c").write_text("#include <openssl/nothing-of-this-name.h>\n")
    monkeypatch.setattr(load, "SOURCES", tmp_path)
    with pytest.raises(BenchmarkError, match="libssl-dev" if not require("cc") else "cc"):
        load.compiled("pop3load", tmp_path)


@contextmanager
def server(folder: Path, *, stls: bool, tickets: bool) -> Iterator[tuple[int, list[bytes]]]:
    """A POP3 server for one session after the other, with an empty maildrop; what it heard."""
    verbs: list[bytes] = []
    context = server_context(folder, tickets=tickets)

    def session(connection: socket.socket) -> None:
        if stls:
            connection.sendall(b"+OK hello\r\n")
            assert connection.recv(99) == b"STLS\r\n"
            connection.sendall(b"+OK begin\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            if not stls:
                secure.sendall(b"+OK hello\r\n")
            verb = b""
            while verb != b"QUIT":
                verb = secure.recv(99)[:4]
                verbs.append(verb)
                secure.sendall(b"+OK 0 0\r\n")

    with serving(session) as port:
        yield port, verbs


def server_context(folder: Path, *, tickets: bool) -> ssl.SSLContext:
    chain, key = make_self_signed(folder, ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.num_tickets = 2 if tickets else 0
    return context


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
    *, tmp_path: Path, programs: Path, options: tuple[str, ...], tickets: bool, resumed: int
) -> None:
    """What the table calls resumed was resumed, and nothing else was."""
    with server(tmp_path, stls="stls" in options, tickets=tickets) as (port, verbs):
        figures = collect(programs, port, *options, "sessions")
    assert figures["done"] >= 1
    assert figures["resumed"] == resumed * figures["done"]
    assert verbs[:4] == [b"USER", b"PASS", b"STAT", b"QUIT"]


@compiles
@pytest.mark.parametrize(("options", "resumed"), [(TLS.IMPLICIT, 0), (TLS.RESUMED, 1)])
def test_where_handshakes_are_counted_nobody_logs_in(
    *, tmp_path: Path, programs: Path, options: TLS, resumed: int
) -> None:
    """A login would be counted with them."""
    with server(tmp_path, stls=False, tickets=True) as (port, verbs):
        figures = collect(programs, port, *options.value, "handshakes")
    assert set(verbs) == {b"QUIT"}
    assert len(verbs) == figures["done"] + resumed >= 1  # the first ticket comes before the work
    assert figures["resumed"] == resumed * figures["done"]
    assert figures["p99"] >= figures["p50"] > 0


@compiles
def test_a_handshake_without_tls_is_refused(programs: Path) -> None:
    """It would be the rate of greetings."""
    program = load.compiled("pop3load", programs)
    command = [program, "-p", "9", *SESSION, "handshakes"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "no such mode: handshakes\n")


def collect(programs: Path, port: int, *words: str) -> dict[str, float]:
    program = load.compiled("pop3load", programs)
    return told_by(program, port, *SESSION, *words)[0]


class Post:
    """An SMTP server for one session after the other, in the clear or with STARTTLS.

    :ivar letters: what came, each with who had logged in.
    """

    def __init__(self, folder: Path, *, tickets: bool, kept: bytes = b"250 kept\r\n") -> None:
        self.context = server_context(folder, tickets=tickets)
        self.kept = kept
        self.letters: list[tuple[bytes, bytes]] = []

    def session(self, connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        assert connection.recv(999).startswith(b"EHLO ")
        connection.sendall(b"250-hello\r\n250 STARTTLS\r\n")
        if connection.recv(999, socket.MSG_PEEK) != b"STARTTLS\r\n":
            self.letters_over(connection)
            return
        connection.recv(999)
        connection.sendall(b"220 begin\r\n")
        with self.context.wrap_socket(connection, server_side=True) as secure:
            assert secure.recv(999).startswith(b"EHLO ")
            secure.sendall(b"250 hello\r\n")
            self.letters_over(secure)

    def letters_over(self, connection: socket.socket) -> None:
        who = b""
        while (line := connection.recv(999)) != b"QUIT\r\n":
            if not line:  # the load has ended: a reply was not as it must be
                return
            if line.startswith(b"AUTH PLAIN "):
                who = base64.b64decode(line[11:])
                connection.sendall(b"235 welcome\r\n")
            elif line == b"DATA\r\n":
                connection.sendall(b"354 go on\r\n")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += connection.recv(9999)
                self.letters.append((who, letter))
                connection.sendall(self.kept)
            else:
                connection.sendall(b"250 fine\r\n")
        connection.sendall(b"221 bye\r\n")


def send(programs: Path, post: Post, *options: str) -> subprocess.CompletedProcess[str]:
    program = load.compiled("smtpload", programs)
    with serving(post.session) as port:
        command = [program, "-p", str(port), "-t", "bob@example.org", "-l", "160", "-n", "3"]
        return subprocess.run(
            [*command, *options],
            input="\n\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@compiles
@pytest.mark.parametrize(
    ("options", "tickets", "resumed"),
    [
        ((), True, 0),
        (("-1",), True, 0),
        (StartTLS.FULL.value, True, 0),
        ((*StartTLS.FULL.value, "-1"), True, 0),
        ((*StartTLS.RESUMED.value, "-1"), True, 3),
        ((*StartTLS.RESUMED.value, "-1"), False, 0),
    ],
)
def test_exactly_as_many_letters_are_sent_as_were_asked_for(
    *, tmp_path: Path, programs: Path, options: tuple[str, ...], tickets: bool, resumed: int
) -> None:
    """Over one connection or over one each; a handshake is resumed where that was wanted and can be."""
    post = Post(tmp_path, tickets=tickets)
    result = send(programs, post, *options)
    assert result.stderr == ""
    figures = json.loads(result.stdout.splitlines()[1])
    assert figures["done"] == len(post.letters) == 3
    assert figures["resumed"] == resumed
    for who, letter in post.letters:
        assert who == b""
        assert figures["octets"] == 3 * len(letter)
        assert b"\r\nMessage-ID: <load@client.example.com>\r\n" in letter
        assert letter.count(b"X") == 2 * 76


@compiles
@pytest.mark.parametrize("options", [(), ("-1",)])
def test_a_login_comes_before_the_letters(
    tmp_path: Path, programs: Path, options: tuple[str, ...]
) -> None:
    """RFC 4616, under TLS; once for each connection."""
    post = Post(tmp_path, tickets=True)
    result = send(programs, post, "-T", "-a", "bob", "-P", "secret", *options)
    assert result.stderr == ""
    assert [who for who, _ in post.letters] == [b"\0bob\0secret"] * 3


@compiles
def test_a_letter_that_is_refused_is_no_measurement(tmp_path: Path, programs: Path) -> None:
    """The load ends with the server's own words."""
    post = Post(tmp_path, tickets=True, kept=b"451 not now\r\n")
    result = send(programs, post, "-T")
    assert result.returncode == 1
    assert result.stderr == "an unexpected reply: 451 not now\n"
