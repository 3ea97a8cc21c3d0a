"""A real HAProxy in front, which says in a PROXY header who comes, and looks whether the office is well."""

from __future__ import annotations

import poplib
import smtplib
import socket
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from .authority import CertifiedOffice
from .maildrop import only_letter
from .office import PASSWORD, PATIENCE, attempts, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .programs import Program

LETTER = b"Subject: from afar\r\n\r\nhello\r\n"
CLIENT = "127.0.0.77"
"""Who comes; the balancer itself, 127.0.0.1, is the only one whose header is believed."""

_DOORS = """
[[listen]]
protocol = "smtp"
endpoint = "tcp:{smtp}:interface=127.0.0.1"
tls = "starttls"
proxy = ["127.0.0.1"]

[[listen]]
protocol = "submission"
endpoint = "tcp:{submissions}:interface=127.0.0.1"
tls = "implicit"
proxy = ["127.0.0.1"]

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3s}:interface=127.0.0.1"
tls = "implicit"
proxy = ["127.0.0.1"]
"""

# Each way in, and how its backend is asked whether it is well: with the header and a greeting awaited, or by
# a connection that says nothing, with a header and without.
_WAYS = {
    "v1": ("smtp", "send-proxy", "option smtpchk EHLO balancer.example"),
    "v2": ("smtp", "send-proxy-v2", "option smtpchk EHLO balancer.example"),
    "submissions": ("submissions", "send-proxy-v2", ""),
    "pop3s": ("pop3s", "send-proxy-v2", ""),
    # TLS ends at the balancer, which says so.
    "ended": ("smtp", "send-proxy-v2-ssl", ""),
    # Where a port is named for it, the check comes without the header.
    "unsaid": ("smtp", "send-proxy-v2 port {behind}", ""),
    "headless": ("smtp", "send-proxy-v2 port {behind}", "option smtpchk EHLO balancer.example"),
}

_CONFIG = """\
global
    stats socket {folder}/stats mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
"""

_WAY = """\
listen {way}
    bind 127.0.0.1:{port}{tls}
    {check}
    server office 127.0.0.1:{behind} {options} check inter 200ms fall 1 rise 1
"""


class Balancer:
    """HAProxy with several ways into one office."""

    def __init__(self, folder: Path, office: BalancedOffice, haproxy: str) -> None:
        self._stats = folder / "stats"
        doors, certificate = office.behind, folder / "both.pem"
        parts = [(office.folder / name).read_text() for name in ("certificate.pem", "key.pem")]
        certificate.write_text("".join(parts))
        self.ports = dict(zip(_WAYS, free_ports(len(_WAYS)), strict=True))
        ways = [
            _WAY.format(
                way=way,
                tls=f" ssl crt {certificate}" if way == "ended" else "",
                port=self.ports[way],
                behind=doors[door],
                options=options.format(behind=doors[door]),
                check=check,
            )
            for way, (door, options, check) in _WAYS.items()
        ]
        config = folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(folder=folder) + "".join(ways))
        self.process = subprocess.Popen([haproxy, "-db", "-q", "-f", config])
        for _ in attempts():
            assert self.process.poll() is None
            if {self.state(way)[0] for way in _WAYS} <= {"UP", "DOWN"}:
                break

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def state(self, way: str) -> tuple[str, str]:
        """Whether a backend is ``UP`` or ``DOWN``, and how the last check of it ended."""
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(self._stats))
            except OSError:
                return "", ""
            line.sendall(b"show stat\n")
            names, *rows = line.makefile().read().lstrip("# ").splitlines()
        for row in rows:
            found = dict(zip(names.split(","), row.split(","), strict=False))
            if (found.get("pxname"), found.get("svname")) == (way, "office"):
                return (
                    (found["status"], found["check_status"]) if found["check_status"] else ("", "")
                )
        return "", ""


class BalancedOffice(CertifiedOffice):
    """An office with doors for a balancer.

    :ivar behind: their ports.
    """

    def __init__(self, folder: Path) -> None:
        self.behind = dict(zip(("smtp", "submissions", "pop3s"), free_ports(3), strict=True))
        super().__init__(folder, _DOORS.format(**self.behind))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BalancedOffice]:
    """The office of this module."""
    office = BalancedOffice(tmp_path_factory.mktemp("balanced") / "office")
    with office.opened():
        yield office


@pytest.fixture(scope="module")
def balancer(
    office: BalancedOffice, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Balancer]:
    """The balancer in front of it."""
    folder = tmp_path_factory.mktemp("haproxy")
    started = Balancer(folder, office, program("haproxy", "haproxy"))
    yield started
    started.stop()


@pytest.mark.parametrize("way", ["v1", "v2"])
def test_smtp_82_haproxy(office: BalancedOffice, balancer: Balancer, way: str) -> None:
    """By version 1 and 2 the letter's postmark names the client, and STARTTLS is the office's own."""
    user = office.newcomer()
    with smtplib.SMTP(
        "localhost", balancer.ports[way], timeout=PATIENCE, source_address=(CLIENT, 0)
    ) as client:
        client.starttls(context=office.context)
        client.ehlo("far.example.net")
        client.sendmail("bob@example.net", [f"{user}@example.org"], LETTER)
    postmark = only_letter(office.pop3, user).postmark
    assert b"from far.example.net ([%b])" % CLIENT.encode() in postmark
    assert b" with ESMTPS id " in postmark


def test_tls_passed_through(office: BalancedOffice, balancer: Balancer) -> None:
    """The header comes before the handshake, which the client has with the office itself."""
    user = office.newcomer()
    where = {"context": office.context, "timeout": PATIENCE}
    with smtplib.SMTP_SSL(
        "localhost", balancer.ports["submissions"], source_address=(CLIENT, 0), **where
    ) as client:
        client.login(user, PASSWORD)
        client.sendmail(f"{user}@example.org", [f"{user}@example.org"], LETTER)
    collector = poplib.POP3_SSL("localhost", balancer.ports["pop3s"], **where)
    collector.user(user)
    collector.pass_(PASSWORD)
    letter = b"\r\n".join(collector.retr(1)[1])
    collector.quit()
    assert b"([%b])" % CLIENT.encode() in letter
    assert b" with ESMTPSA id " in letter
    assert f"intake from {CLIENT} " in office.log


def test_tls_ends_at_the_balancer(office: BalancedOffice, balancer: Balancer) -> None:
    """The client's TLS is known from the header, and counts; it cannot begin a second time."""
    user = office.newcomer()
    with smtplib.SMTP_SSL(
        "localhost", balancer.ports["ended"], context=office.context, timeout=PATIENCE
    ) as client:
        client.ehlo("far.example.net")
        assert not client.has_extn("starttls")
        client.sendmail("bob@example.net", [f"{user}@example.org"], LETTER)
    assert b" with ESMTPS id " in only_letter(office.pop3, user).postmark


@pytest.mark.parametrize(
    ("way", "status", "how"),
    [
        ("v1", "UP", "L7OK"),
        ("v2", "UP", "L7OK"),
        ("submissions", "UP", "L4OK"),
        ("unsaid", "UP", "L4OK"),
        ("headless", "DOWN", "L7"),
    ],
)
def test_it_looks_whether_the_office_is_well(
    office: BalancedOffice, balancer: Balancer, way: str, status: str, how: str
) -> None:
    """With the header (LOCAL in version 2) it is greeted; without it the door opens, and nobody answers."""
    for _ in attempts():
        found, checked = balancer.state(way)
        if found == status and checked.startswith(how):
            break
    assert balancer.process.poll() is None
    assert "Traceback" not in office.log


def test_nobody_else_is_let_in(office: BalancedOffice, balancer: Balancer) -> None:
    """From a network that is not trusted nobody gets in, be it with a header or without one."""
    for said in (b"", b"EHLO me\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n"):
        with (
            socket.create_connection(
                ("127.0.0.1", office.behind["smtp"]), PATIENCE, source_address=(CLIENT, 0)
            ) as line,
            suppress(ConnectionError),
        ):  # closed is closed
            line.sendall(said)
            assert line.recv(512) == b""
    assert f"PROXY: connection from {CLIENT} closed: not a trusted proxy" in office.log


def test_who_is_trusted_and_says_no_header(office: BalancedOffice) -> None:
    """A trusted address that sends no header hears nothing: the connection is closed."""
    with socket.create_connection(("127.0.0.1", office.behind["smtp"]), PATIENCE) as line:
        line.sendall(b"EHLO me\r\n")
        with suppress(ConnectionError):  # closed is closed
            assert line.recv(512) == b""
