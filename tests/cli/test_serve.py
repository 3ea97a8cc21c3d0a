"""``mailpost serve``: what it says, how it ends, and what it says when it cannot begin."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError

from mailpost.cli import failures, main, serve
from mailpost.cli.welcome import welcome
from mailpost.config import Config, Listen, Office

serve_module = sys.modules["mailpost.cli.serve"]


def config(*endpoints):
    return Config(
        office=Office(hostname="mx.example.org", domains=("example.org", "example.net")),
        listen=tuple(Listen(protocol=one, endpoint=where) for one, where in endpoints),
    )


class Port:
    def __init__(self, host):
        self.host = host

    def getHost(self):
        return self.host


class Door:
    def __init__(self, listen, host):
        self.listen = listen
        self.port = Port(host)
        self.where = f"{getattr(host, 'host', '?')}:{getattr(host, 'port', '?')}"


def said(hosts, names):
    protocols = ("smtp", "pop3")
    found = config(*((one, "tcp:0") for one in protocols))
    doors = [Door(listen, host) for listen, host in zip(found.listen, hosts, strict=True)]
    return welcome(Path("a.toml"), found, doors, names)


HERE = (IPv4Address("TCP", "127.0.0.1", 2525), IPv4Address("TCP", "127.0.0.1", 1110))


def test_where_as_whom_and_what_next():
    """The doors, the names to log in with, a line that sends and one that collects."""
    told = said(HERE, ["alice", "bob"])
    for part in (
        "serves example.org, example.net",
        "SMTP  127.0.0.1:2525",
        "POP3  127.0.0.1:1110",
        "Log in as alice, bob, with or without @example.org.",
        "smtplib.SMTP('127.0.0.1', 2525).sendmail('me@example.org', 'alice@example.org'",
        "curl --user alice pop3://127.0.0.1:1110/1",
        "Ctrl-C",
    ):
        assert part in told


def offered(*listeners):
    """What is to be tried at these doors, one port each."""
    found = [Listen(endpoint="tcp:0", **one) for one in listeners]
    doors = [Door(one, IPv4Address("TCP", "127.0.0.1", port)) for port, one in enumerate(found, 1)]
    return welcome(Path("a.toml"), config(("smtp", "tcp:0")), doors, ["alice"])


@pytest.mark.parametrize(
    ("tls", "begins"),
    [
        ("none", "s = smtplib.SMTP('127.0.0.1', 1); s.login('alice'"),
        ("starttls", "s = smtplib.SMTP('127.0.0.1', 1); s.starttls(); s.login('alice'"),
        ("implicit", "s = smtplib.SMTP_SSL('127.0.0.1', 1); s.login('alice'"),
    ],
)
def test_a_submission(tls, begins):
    """At the door for submission a program logs in, with TLS as it is spoken there."""
    told = offered({"protocol": "submission", "tls": tls})
    line = next(one for one in told.splitlines() if "smtplib" in one)
    program = line.strip().removeprefix('python3 -c "').removesuffix('"')
    compile(program, "line", "exec")
    assert begins in program


@pytest.mark.parametrize(
    ("tls", "command"),
    [
        ("none", "curl --user alice pop3://127.0.0.1:1/1"),
        ("starttls", "curl --insecure --ssl-reqd --user alice pop3://127.0.0.1:1/1"),
        ("implicit", "curl --insecure --user alice pop3s://127.0.0.1:1/1"),
    ],
)
def test_collecting_with_tls(tls, command):
    """Letters are collected with TLS where there is any."""
    assert command in offered({"protocol": "pop3", "tls": tls})


def test_doors_that_are_not_tried():
    """Of two doors the first is tried; none behind a proxy is, nor SMTP with TLS from the first octet."""
    told = offered({"protocol": "smtp", "tls": "implicit"}, {"protocol": "smtp"})
    assert "smtplib.SMTP('127.0.0.1', 2)" in told
    told = offered({"protocol": "pop3"}, {"protocol": "pop3", "tls": "implicit"})
    assert "pop3://127.0.0.1:1/1" in told
    assert "pop3s:" not in told
    told = offered(
        {"protocol": "pop3", "proxy": ["10.0.0.0/8"]},
        {"protocol": "smtp", "tls": "implicit"},
        {"protocol": "lmtp"},
    )
    assert "curl" not in told
    assert "smtplib" not in told


def test_the_line_that_sends_is_python():
    """What is to be copied is a program, in one line."""
    line = next(one for one in said(HERE, []).splitlines() if "smtplib" in one)
    program = line.strip().removeprefix('python3 -c "').removesuffix('"')
    compile(program, "line", "exec")


def test_nobody_there_yet():
    """Without accounts it says how to make one."""
    assert "mailpost --config a.toml user add alice" in said(HERE, [])


def test_many_accounts():
    """Of a whole class a few are named."""
    told = said(HERE, [f"student{n}" for n in range(30)])
    assert "student4 and 25 more, with" in told


def test_every_address_of_this_machine():
    """A door at every address is tried at loopback; IPv6 is bracketed in a URL; others have no line."""
    told = said((IPv4Address("TCP", "0.0.0.0", 25), IPv6Address("TCP", "::", 110)), ["alice"])
    assert "smtplib.SMTP('127.0.0.1', 25)" in told
    assert "pop3://[::1]:110/1" in told
    told = said((UNIXAddress("/run/a"), UNIXAddress("/run/b")), ["alice"])
    assert "smtplib" not in told
    assert "curl" not in told


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [
        (errno.EADDRINUSE, failures.UNAVAILABLE, "127.0.0.1:25 is in use by another program"),
        (errno.EACCES, failures.NOT_PERMITTED, "127.0.0.1:25 may not be opened by this user"),
        (errno.EADDRNOTAVAIL, failures.UNAVAILABLE, "127.0.0.1:25 is not an address of this mac"),
        (errno.ENOBUFS, failures.UNAVAILABLE, "127.0.0.1:25 cannot be listened on: "),
    ],
)
def test_a_port_that_cannot_be_had(number, status, told):
    """Why a port cannot be had is one line, with a status of its own."""
    error = CannotListenError("127.0.0.1", 25, OSError(number, "reason"))
    failed = serve_module._reason(error)
    assert failed.exit_code == status
    assert failed.message.startswith(told)
    assert "\n" not in failed.message


def test_another_reason():
    """Other failures are told as every command tells them, or left as they are."""
    assert serve_module._reason(OSError("x")).exit_code == failures.FAILED
    fault = ZeroDivisionError()
    assert serve_module._reason(fault) is fault


@pytest.fixture
def office(tmp_path):
    """An office whose doors are wherever the system has room."""
    folder = tmp_path / "office"
    assert CliRunner().invoke(main, ("init", str(folder), "--domain", "example.org")).exit_code == 0
    file = folder / "mailpost.toml"
    file.write_text(
        file.read_text()
        .replace("tcp:2525", "tcp:0")
        .replace("tcp:1587", "tcp:0")
        .replace("tcp:1110", "tcp:0")
    )
    return file


def start(file):
    return subprocess.Popen(
        [sys.executable, "-m", "mailpost", "--config", str(file), "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_opens_and_closes(office, how):
    """It says that it is open, and ends with status 0 within ten seconds of being told to."""
    with start(office) as process:
        assert process.stdout is not None
        told = ""
        while "Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line, process.communicate()
            told += line
        began = time.monotonic()
        process.send_signal(how)
        _, log = process.communicate(timeout=10)
        assert time.monotonic() - began < 10
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "SMTP, TLS on request        127.0.0.1:" in told
    assert f"mailpost --config {office} user add alice" in told


def test_new_certificates(office):
    """SIGHUP has the certificates read again; one that is broken is told, and the former stays in use."""
    with start(office) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "Ctrl-C" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGHUP)
        while "taken from" not in (line := process.stderr.readline()):
            assert line
        (office.parent / "key.pem").write_text("no key")
        process.send_signal(signal.SIGHUP)
        while "the former certificate stays in use" not in (line := process.stderr.readline()):
            assert line
        assert "key.pem" in line
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_broken_certificate(office):
    """With a certificate that cannot be used no office opens: one line and status 78."""
    (office.parent / "key.pem").unlink()
    with start(office) as process:
        out, log = process.communicate(timeout=30)
    assert process.returncode == failures.BAD_CONFIG
    assert out == ""
    assert log.startswith("mailpost: there is no file ")
    assert log.count("\n") == 1


def test_a_port_in_use(office):
    """A port that another program has is one line and status 69."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        office.write_text(office.read_text().replace("tcp:0", f"tcp:{port}", 1))
        with start(office) as process:
            out, log = process.communicate(timeout=30)
    assert process.returncode == failures.UNAVAILABLE
    assert out == ""
    assert log == (
        f"mailpost: 127.0.0.1:{port} is in use by another program; "
        "end that one, or change the endpoint\n"
    )


def test_no_store(office):
    """Without its store no office opens: one line and status 78."""
    (office.parent / "mailpost.db").unlink()
    with start(office) as process:
        out, log = process.communicate(timeout=30)
    assert process.returncode == failures.BAD_CONFIG
    assert out == ""
    assert log.startswith("mailpost: there is no store at ")
    assert log.count("\n") == 1


def test_the_command_is_there():
    """The name imported from the package is the module, whose command is called the same."""
    assert serve.serve.name == "serve"
