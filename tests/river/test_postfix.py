"""A real Postfix in front: what it takes in is collected here, octet for octet.

One Postfix and one office for all of it. By which way a letter is handed over is in the recipient's name:
``tcp-1@example.org`` goes by LMTP over TCP, ``secure-2@example.org`` by SMTP under TLS.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .authority import HOSTNAME, Authority, CertifiedOffice
from .conftest import not_here
from .maildrop import collect
from .office import PATIENCE, attempts, free_ports
from .postfix import Postfix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .maildrop import Letter
    from .programs import Program

AT_ONCE = 40
"""To how many recipients this office takes a letter."""

_DOORS = """
[[listen]]
protocol = "lmtp"
endpoint = "tcp:{lmtp_port}:interface=127.0.0.1"

[[listen]]
protocol = "lmtp"
endpoint = "unix:{place}/lmtp:mode=666"
"""

_ROUTES = """\
/^tcp-/ lmtp:inet:127.0.0.1:{lmtp_port}
/^unix-/ lmtp:unix:{place}/lmtp
/^encrypt-/ encrypt:[127.0.0.1]:{starttls}
/^secure-/ secure:[127.0.0.1]:{starttls}
/^betrayed-/ betrayed:[127.0.0.1]:{starttls}
"""

# "encrypt" asks for TLS, "secure" checks the certificate as well (postconf(5)); "betrayed" trusts another CA.
_SERVICES = """\
encrypt unix - - n - - smtp -o smtp_tls_security_level=encrypt
secure unix - - n - - smtp -o smtp_tls_security_level=secure -o smtp_tls_CAfile={place}/ca.pem
betrayed unix - - n - - smtp -o smtp_tls_security_level=secure -o smtp_tls_CAfile={place}/other.pem
"""

_MORE = """\
transport_maps = regexp:{place}/routes
lmtp_destination_recipient_limit = 200
smtp_tls_secure_cert_match = {host}
smtp_tls_loglevel = 1
"""

BODY = b"Subject: through Postfix\r\n\r\n" + bytes(range(0xA0, 0x100)) + b"\r\n.dots\r\n..\r\n"
LARGE = BODY + (b"x" * 70 + b"\r\n") * 80_000


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that the user ``postfix`` reaches too; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="mailpost-postfix-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def office(
    place: Path, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CertifiedOffice]:
    """The office of this module."""
    program("postfix", "postfix")
    if os.geteuid() != 0:
        not_here("Postfix's master can only be started by root")
    (lmtp_port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("behind") / "office"
    doors = _DOORS.format(lmtp_port=lmtp_port, place=place)
    office = CertifiedOffice(folder, doors, office=f"max_recipients = {AT_ONCE}\n")
    routes = _ROUTES.format(lmtp_port=lmtp_port, place=place, starttls=office.starttls)
    (place / "routes").write_text(routes)
    with office.opened():
        yield office


@pytest.fixture(scope="module")
def front(place: Path, office: CertifiedOffice) -> Iterator[Postfix]:
    """The Postfix in front of it."""
    shutil.copy(office.certificate, place / "ca.pem")
    Authority(place / "other.pem")
    more = _MORE.format(place=place, host=HOSTNAME)
    postfix = Postfix(place / "postfix", "error:no way", more, _SERVICES.format(place=place))
    postfix.start()
    yield postfix
    postfix.stop()


def send(front: Postfix, sender: str, recipients: list[str], body: bytes) -> None:
    """Hand a letter to Postfix, who takes it for all."""
    with smtplib.SMTP("127.0.0.1", front.port, timeout=PATIENCE) as client:
        addresses = [f"{one}@example.org" for one in recipients]
        assert client.sendmail(sender, addresses, body, ["BODY=8BITMIME"]) == {}


def wait_for(office: CertifiedOffice, user: str) -> Letter:
    """The one letter that comes."""
    for _ in attempts():
        if found := collect(office.pop3, user):
            (letter,) = found
            return letter
    raise AssertionError


@pytest.mark.parametrize(
    ("how", "protocol"),
    [("tcp", b"LMTP"), ("unix", b"LMTP"), ("encrypt", b"ESMTPS"), ("secure", b"ESMTPS")],
)
def test_one_of_three_is_refused(
    office: CertifiedOffice, front: Postfix, how: str, protocol: bytes
) -> None:
    """Two have the letter, 8-bit and dots and all; about the third alone its sender has a bounce."""
    sender, first, second = (office.newcomer(how) for _ in range(3))
    send(front, f"{sender}@example.org", [first, f"{how}-nobody", second], BODY)
    for user in (first, second):
        letter = wait_for(office, user)
        assert b" with " + protocol + b" id " in letter.postmark
        assert letter.octets.endswith(b"\r\n" + BODY)
    bounce = wait_for(office, sender)
    assert bounce.postmark.startswith(b"Return-Path: <>\r\n")
    report = bounce.body
    assert report.count(b"Final-Recipient: ") == 1
    assert b"Final-Recipient: rfc822; %b-nobody@example.org" % how.encode() in report
    assert b"Status: 5.1.1" in report
    if how == "secure":
        front.await_log("Verified TLS connection established", "TLSv1.3")


@pytest.mark.parametrize("how", ["unix", "secure"])
def test_a_large_letter(office: CertifiedOffice, front: Postfix, how: str) -> None:
    """Some megabytes come out as they went in."""
    user = office.newcomer(how)
    send(front, "bob@example.net", [user], LARGE)
    assert wait_for(office, user).octets.endswith(b"\r\n" + LARGE)


def test_a_certificate_of_another_authority(office: CertifiedOffice, front: Postfix) -> None:
    """A Postfix that trusts somebody else hands nothing over, and keeps the letter."""
    user = office.newcomer("betrayed")
    send(front, "bob@example.net", [user], BODY)
    told = front.await_log("status=deferred", f"<{user}@example.org>")
    assert "dsn=4.7.5" in told
    assert collect(office.pop3, user) == []


def test_more_recipients_than_are_taken_at_a_time(office: CertifiedOffice, front: Postfix) -> None:
    """Those past the limit are put off (452) and come with the next try; each has one copy.

    Who is unknown among them is refused for good (550), and holds nobody up.
    """
    users = [f"tcp-member-{n}" for n in range(AT_ONCE * 3 // 2)]
    office.add_users(users)
    send(front, "bob@example.net", [*users[:20], "tcp-stranger", *users[20:]], BODY)
    front.await_log("status=bounced", "<tcp-stranger@example.org>", "550 5.1.1")
    front.await_log("status=deferred", f"<{users[-1]}@example.org>", "452 4.5.3")
    for user in users:
        assert wait_for(office, user).octets.endswith(b"\r\n" + BODY)
        front.await_log("status=sent", f"<{user}@example.org>")
    assert [user for user in users if collect(office.pop3, user)] == []


def test_closed_for_a_moment(office: CertifiedOffice, front: Postfix) -> None:
    """While the office is closed the letter stays in Postfix's queue; it comes when it is open, once."""
    user = office.newcomer("tcp")
    assert office.stop() == 0
    send(front, "bob@example.net", [user], BODY)
    front.await_log("status=deferred", f"<{user}@example.org>", "Connection refused")
    office.start()
    assert wait_for(office, user).octets.endswith(b"\r\n" + BODY)
    front.await_log("status=sent", f"<{user}@example.org>")
    assert collect(office.pop3, user) == []
