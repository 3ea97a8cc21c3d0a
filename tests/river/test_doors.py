"""Where an office may listen: UNIX sockets, IPv6, and sockets that systemd has bound."""

from __future__ import annotations

import os
import shutil
import smtplib
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .authority import CertifiedOffice
from .dialogue import SMTP
from .maildrop import collect, only_letter
from .office import PASSWORD, PATIENCE, Office, free_ports
from .programs import Program, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LETTER = b"Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose name is short enough for a UNIX socket in it (108 octets)."""
    folder = Path(tempfile.mkdtemp(prefix="mailpost-doors-"))
    yield folder
    shutil.rmtree(folder)


def serve(office: Office) -> list[str]:
    """The command that opens an office."""
    return [sys.executable, "-m", "mailpost", "--config", str(office.config), "serve"]


def refused(command: list[str]) -> tuple[int, str]:
    """Run an office that cannot open; its status, and what it said."""
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


# UNIX sockets ---------------------------------------------------------------------------------------


def add_lmtp(office: Office, file: Path, mode: str = "") -> None:
    """Give it a door that is a UNIX socket."""
    with office.config.open("a") as config:
        config.write(f'[[listen]]\nprotocol = "lmtp"\nendpoint = "unix:{file}{mode}"\n')


def deliver(file: Path, user: str) -> None:
    """Hand a letter in by LMTP."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        line.connect(str(file))
        line.sendall(
            b"LHLO relay\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<%b@example.org>\r\n"
            b"DATA\r\n%b.\r\nQUIT\r\n" % (user.encode(), LETTER)
        )
        assert b"250 2.0.0 kept as " in line.makefile("rb").read()


def mode(file: Path) -> int:
    """A file's mode."""
    return stat.S_IMODE(file.stat().st_mode)


def test_a_killed_office_s_socket_is_replaced(
    make_office: Callable[..., Office], place: Path
) -> None:
    """It has the mode that was asked for, without one its owner's alone; what SIGKILL leaves does no harm."""
    office, open_to_all, closed = make_office(), place / "open", place / "closed"
    add_lmtp(office, open_to_all, ":mode=622")
    add_lmtp(office, closed)
    office.start()
    assert mode(open_to_all) == 0o622
    assert mode(closed) == 0o600
    office.kill()
    assert open_to_all.is_socket()
    office.start()
    user = office.newcomer()
    deliver(open_to_all, user)
    assert only_letter(office.pop3, user).octets.endswith(LETTER)
    # The file goes away with the office; but not one that somebody has put in its place.
    open_to_all.unlink()
    closed.unlink()
    closed.write_text("somebody else's")
    assert office.stop() == 0
    assert "Traceback" not in office.log
    assert closed.read_text() == "somebody else's"


def test_whoever_listens_is_not_robbed(make_office: Callable[..., Office], place: Path) -> None:
    """A socket that is in use, even if its process does not answer, is told, and so is what is no socket."""
    office, file = make_office(), place / "lmtp"
    add_lmtp(office, file)
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(file))
        theirs.listen()
        status, said = refused(serve(office))
        assert status == 69
        assert said == (
            f"mailpost: {file} is in use by another program; end that one, or change the endpoint\n"
        )
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(file))
    file.unlink()
    file.write_text("a file")
    status, said = refused(serve(office))
    assert (status, said) == (69, f"mailpost: {file} is there, and it is no socket: move it away\n")
    assert file.read_text() == "a file"


# systemd --------------------------------------------------------------------------------------------

_SYSTEMD = """\
[office]
hostname = "mx.example.org"
domains = ["example.org"]

[[listen]]
protocol = "smtp"
endpoint = "systemd:domain=INET6:name=smtp"

[[listen]]
protocol = "pop3"
endpoint = "systemd:domain=INET:index=1"

[[listen]]
protocol = "lmtp"
endpoint = "systemd:domain=UNIX:name=lmtp"
"""


def activated(office: Office, lmtp: Path) -> list[str]:
    """A command that opens it with sockets that are bound already."""
    return [
        *(sys.executable, str(Path(__file__).with_name("activate.py"))),
        *(f"smtp=[::]:{office.smtp}", f"pop3=127.0.0.1:{office.pop3}", f"lmtp={lmtp}"),
        *("--", *serve(office)),
    ]


def test_sockets_of_systemd(make_office: Callable[..., Office], place: Path) -> None:
    """By name and by number, over IPv6, IPv4 and UNIX; the UNIX socket stays as it is, and where it is."""
    office, lmtp = make_office(), place / "lmtp"
    office.config.write_text(_SYSTEMD)
    office.start(activated(office, lmtp))
    assert mode(lmtp) == 0o640
    user = office.newcomer()
    deliver(lmtp, user)
    for host in ("127.0.0.1", "::1"):
        with smtplib.SMTP(host, office.smtp, timeout=PATIENCE) as client:
            client.sendmail("bob@example.net", [f"{user}@example.org"], LETTER)
    _, first, second = collect(office.pop3, user)
    assert b"([127.0.0.1])" in first.postmark  # as at a socket for IPv4 alone
    assert b"([IPv6:::1])" in second.postmark
    assert office.stop() == 0
    assert mode(lmtp) == 0o640


def test_a_socket_that_is_not_there(make_office: Callable[..., Office], place: Path) -> None:
    """One that systemd has not given, or that is another than was said, is told; nothing opens."""
    office = make_office()
    there = "systemd has not given that socket; those that are there: smtp, pop3, lmtp"
    for n, (was, is_now, told) in enumerate(
        [
            ("name=smtp", "name=smpt", there),
            ("index=1", "index=7", there),
            ("INET6", "INET", "that socket is of another kind: write domain=INET6"),
        ]
    ):
        office.config.write_text(_SYSTEMD.replace(was, is_now))
        status, said = refused(activated(office, place / f"lmtp{n}"))
        assert status == 69
        assert told in said
        assert said.count("\n") == 1
    status, said = refused(serve(office))  # started by hand
    assert status == 69
    assert "systemd has not given that socket; none is there" in said


def test_systemd_socket_activate(make_office: Callable[..., Office], program: Program) -> None:
    """systemd's own program for trying it: the first who connects opens the office, and is served."""
    office = make_office()
    smtp, pop3 = (f'endpoint = "systemd:domain=INET:name={one}"' for one in ("smtp", "pop3"))
    config = office.config.read_text()
    config = config.replace(f'endpoint = "tcp:{office.smtp}:interface=127.0.0.1"', smtp)
    config = config.replace(f'endpoint = "tcp:{office.pop3}:interface=127.0.0.1"', pop3)
    office.config.write_text(config)
    office.start(
        [
            *(program("systemd-socket-activate", "systemd"), "--fdname=smtp:pop3"),
            *("-l", f"127.0.0.1:{office.smtp}", "-l", f"127.0.0.1:{office.pop3}", *serve(office)),
        ]
    )
    user = office.newcomer()
    with SMTP(office.smtp) as sender:
        assert sender.deliver(LETTER, user).startswith(b"250")
    assert only_letter(office.pop3, user).body == LETTER


def test_the_units(program: Program, tmp_path: Path) -> None:
    """systemd finds nothing wrong with the units in etc/."""
    etc = Path(__file__).parents[2] / "etc"
    service = (etc / "mailpost.service").read_text()
    there = service.replace("/usr/local/bin/mailpost", "/bin/true")
    (tmp_path / "mailpost.service").write_text(there)
    shutil.copy(etc / "mailpost@.socket", tmp_path / "mailpost@25.socket")
    said = run(
        *("env", f"SYSTEMD_UNIT_PATH={tmp_path}:", program("systemd-analyze", "systemd")),
        *("verify", "--man=no", "mailpost@25.socket", "mailpost.service"),
        home=tmp_path,
    )
    assert said == b""


def test_systemd_is_told(make_office: Callable[..., Office], place: Path) -> None:
    """systemctl start waits for READY=1, which is said when the doors are open, and not before."""
    office, file = make_office(), place / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(file))
        command = ["env", f"NOTIFY_SOCKET={file}", *serve(office)]
        with socket.create_server(("127.0.0.1", office.pop3)):
            refused(command)
            with pytest.raises(BlockingIOError):
                supervisor.recv(100, socket.MSG_DONTWAIT)
        office.start(command)
        assert supervisor.recv(100) == b"READY=1"


# IPv6 -----------------------------------------------------------------------------------------------

_SIX = """
[[listen]]
protocol = "submission"
endpoint = 'tcp6:{submission}:interface=\\:\\:1'
tls = "starttls"

[[listen]]
protocol = "pop3"
endpoint = 'tcp6:{pop3}:interface=\\:\\:1'
tls = "implicit"

[[listen]]
protocol = "smtp"
endpoint = "tcp6:{both}"
"""


def test_ipv6(tmp_path: Path, program: Program) -> None:
    """Real clients submit and collect under TLS; a socket for both families knows IPv4 as what it is."""
    submission, pop3, both = free_ports(3)
    office = CertifiedOffice(
        tmp_path / "office", _SIX.format(submission=submission, pop3=pop3, both=both)
    )
    (tmp_path / "letter").write_bytes(LETTER)
    curl = (program("curl", "curl"), "--silent", "--show-error", "--max-time", "20", "--ssl-reqd")
    with office.opened():
        user = office.newcomer()
        known = (*curl, "--cacert", office.certificate, "--user", f"{user}:{PASSWORD}")
        run(
            *(*known, "--mail-from", f"{user}@example.org", "--mail-rcpt", f"{user}@example.org"),
            *("--upload-file", "letter", f"smtp://[::1]:{submission}/client.example"),
            home=tmp_path,
        )
        for host in ("127.0.0.1", "::1"):
            with smtplib.SMTP(host, both, timeout=PATIENCE) as client:
                client.sendmail("bob@example.net", [f"{user}@example.org"], LETTER)
        collected = [run(*known, f"pop3s://[::1]:{pop3}/{n}", home=tmp_path) for n in (1, 2, 3)]
    assert all(letter.endswith(LETTER) for letter in collected)
    for letter, client in zip(
        collected, (b"[IPv6:::1]", b"[127.0.0.1]", b"[IPv6:::1]"), strict=True
    ):
        assert b"(" + client + b")" in letter
