"""TLS, logins, LMTP and PROXY over real ports, with clients that check the office's certificate."""

from __future__ import annotations

import poplib
import smtplib
import socket
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import pytest

from .conftest import not_here
from .maildrop import collect, only_letter
from .office import PASSWORD, PATIENCE, EncryptedOffice, free_ports
from .programs import Program, run, secret_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LETTER = b"Subject: sealed\r\n\r\n.nobody reads it on its way\r\n"

_MORE = """
[[listen]]
protocol = "submission"
endpoint = "tcp:{submission}:interface=127.0.0.1"
tls = "starttls"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{stls}:interface=127.0.0.1"
tls = "starttls"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3s}:interface=127.0.0.1"
tls = "implicit"

[[listen]]
protocol = "smtp"
endpoint = "tcp:{proxied}:interface=127.0.0.1"
proxy = ["127.0.0.0/8"]

[[listen]]
protocol = "lmtp"
endpoint = "unix:{lmtp}"

[[certificate]]
chain = "certificate.pem"
key = "key.pem"
"""


class SealedOffice(EncryptedOffice):
    """An office with more doors, most of them encrypted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.submission, self.stls, self.pop3s, self.proxied = free_ports(4)
        self.lmtp = folder / "lmtp"
        self.certificate = str(folder / "certificate.pem")
        with self.config.open("a") as file:
            file.write(_MORE.format(**vars(self)))


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SealedOffice]:
    """The office of this module."""
    with SealedOffice(tmp_path_factory.mktemp("sealed") / "office").opened() as office:
        yield office


def test_smtplib_submits(sealed: SealedOffice) -> None:
    """STARTTLS, a login, one's own address: the letter comes, with what it lacked in its postmark."""
    user = sealed.newcomer()
    with smtplib.SMTP("localhost", sealed.submission, timeout=PATIENCE) as client:
        with pytest.raises(smtplib.SMTPSenderRefused, match="log in first"):
            client.sendmail(f"{user}@example.org", [f"{user}@example.org"], LETTER)
        client.starttls(context=sealed.context)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(user, "wrong")
        client.login(user, PASSWORD)
        with pytest.raises(smtplib.SMTPSenderRefused, match="not an address of yours"):
            client.sendmail("somebody-else@example.org", [f"{user}@example.org"], LETTER)
        client.sendmail(f"{user}@example.org", [f"{user}@example.org"], LETTER)
    letter = only_letter(sealed.pop3, user)
    assert b" with ESMTPSA id " in letter.postmark
    assert b"\r\nDate: " in letter.octets
    assert b"\r\nMessage-ID: <" in letter.octets
    assert letter.octets.endswith(LETTER)


def test_a_report_on_delivery(sealed: SealedOffice) -> None:
    """Who asks for it by NOTIFY=SUCCESS collects a report, which a mail program can read."""
    user, friend = sealed.newcomer(), sealed.newcomer()
    mine, other = f"{user}@example.org", f"{friend}@example.org"
    with smtplib.SMTP("localhost", sealed.submission, timeout=PATIENCE) as client:
        client.starttls(context=sealed.context)
        client.login(user, PASSWORD)
        client.ehlo()
        assert client.has_extn("dsn")
        asked = ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{other}"]
        client.sendmail(mine, [other], LETTER, ["ENVID=tea+2B4", "RET=HDRS"], asked)
    assert only_letter(sealed.pop3, friend).octets.endswith(LETTER)
    collector = poplib.POP3_SSL("localhost", sealed.pop3s, context=sealed.context, timeout=PATIENCE)
    collector.user(user)
    collector.pass_(PASSWORD)
    octets = b"\r\n".join(collector.retr(1)[1])
    collector.quit()
    report = message_from_bytes(octets, policy=policy.default)
    assert report["Return-Path"] == "<>"
    assert report["Delivered-To"] == report["To"] == mine
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    text, status, header = report.iter_parts()
    assert f"<{other}>" in text.get_content()
    whole, recipient = status.get_payload()
    assert whole["Original-Envelope-Id"] == "tea+4"
    assert whole["Reporting-MTA"] == "dns; mx.example.org"
    assert recipient["Original-Recipient"] == recipient["Final-Recipient"] == f"rfc822;{other}"
    assert recipient["Action"] == "delivered"
    assert recipient["Status"] == "2.1.5"
    returned = message_from_bytes(header.get_payload(decode=True))
    assert returned["Subject"] == "sealed"
    assert returned["Message-ID"]
    assert b"nobody reads it" not in octets


@pytest.mark.parametrize("implicit", [False, True])
def test_poplib_collects(sealed: SealedOffice, implicit: bool) -> None:  # noqa: FBT001
    """By STLS or from the first octet on, a letter is collected, and deleted."""
    user = sealed.newcomer()
    deliver(sealed, user)
    if implicit:
        client: poplib.POP3 = poplib.POP3_SSL(
            "localhost", sealed.pop3s, context=sealed.context, timeout=PATIENCE
        )
    else:
        client = poplib.POP3("localhost", sealed.stls, timeout=PATIENCE)
        client.stls(context=sealed.context)
        assert "STLS" not in client.capa()
    client.user(user)
    client.pass_(PASSWORD)
    assert b"\r\n".join(client.retr(1)[1]).endswith(LETTER.strip())
    client.dele(1)
    client.quit()
    assert collect(sealed.pop3, user) == []


def deliver(office: SealedOffice, user: str) -> None:
    """Hand a letter in, in the clear."""
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        client.sendmail("bob@example.net", [f"{user}@example.org"], LETTER)


def test_curl(sealed: SealedOffice, program: Program, tmp_path: Path) -> None:
    """curl submits by STARTTLS, and collects by POP3S and by STLS."""
    user = sealed.newcomer()
    file = tmp_path / "letter"
    file.write_bytes(LETTER)
    curl = (program("curl", "curl"), "--silent", "--show-error", "--max-time", "20", "--ssl-reqd")
    known = ("--cacert", sealed.certificate, "--user", f"{user}:{PASSWORD}")
    run(
        *(*curl, *known, f"smtp://localhost:{sealed.submission}/client.example"),
        *("--mail-from", f"{user}@example.org", "--mail-rcpt", f"{user}@example.org"),
        *("--upload-file", str(file)),
        home=tmp_path,
    )
    for place in (f"pop3s://localhost:{sealed.pop3s}/1", f"pop3://localhost:{sealed.stls}/1"):
        assert run(*curl, *known, place, home=tmp_path).endswith(LETTER)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(sealed: SealedOffice, program: Program, tmp_path: Path, mechanism: str) -> None:
    """Swaks submits with STARTTLS and either mechanism."""
    user = sealed.newcomer()
    if b"=== TLS supported" not in run(program("swaks", "swaks"), "--support", home=tmp_path):
        not_here("swaks knows no TLS (Debian's package: libnet-ssleay-perl)")
    run(
        *(program("swaks", "swaks"), "--server", f"localhost:{sealed.submission}"),
        *("--tls", "--tls-verify", "--tls-ca-path", sealed.certificate, "--timeout", "20"),
        *("--auth", mechanism, "--auth-user", user, "--auth-password", PASSWORD),
        *("--from", f"{user}@example.org", "--to", f"{user}@example.org"),
        home=tmp_path,
    )
    assert b" with ESMTPSA id " in only_letter(sealed.pop3, user).postmark


def test_msmtp(sealed: SealedOffice, program: Program, tmp_path: Path) -> None:
    """Msmtp submits, and trusts the office's own certificate."""
    user = sealed.newcomer()
    settings = secret_file(
        tmp_path / "msmtprc",
        f"account default\nhost localhost\nport {sealed.submission}\ntls on\ntls_starttls on\n"
        f"tls_trust_file {sealed.certificate}\nauth on\nuser {user}\npassword {PASSWORD}\n"
        f"from {user}@example.org\n",
    )
    run(
        *(program("msmtp", "msmtp"), f"--file={settings}", f"{user}@example.org"),
        home=tmp_path,
        typed=LETTER.replace(b"\r\n", b"\n"),
    )
    assert only_letter(sealed.pop3, user).octets.endswith(b".nobody reads it on its way\r\n")


@pytest.mark.parametrize("starttls", ["on", "off"])
def test_mpop(sealed: SealedOffice, program: Program, tmp_path: Path, starttls: str) -> None:
    """Mpop collects by STLS and by implicit TLS, and deletes."""
    user = sealed.newcomer()
    deliver(sealed, user)
    inbox = collect_by_mpop(sealed, user, program, tmp_path, starttls=starttls)
    assert b"\n.nobody reads it on its way\n" in inbox
    assert collect(sealed.pop3, user) == []


def collect_by_mpop(
    office: SealedOffice,
    user: str,
    program: Program,
    folder: Path,
    *,
    starttls: str,
    auth: str = "on",
    password: str = PASSWORD,
) -> bytes:
    """Collect and delete by mpop, which checks the office's certificate; what it collected."""
    port = office.stls if starttls == "on" else office.pop3s
    settings = secret_file(
        folder / "mpoprc",
        f"account default\nhost localhost\nport {port}\ntls on\ntls_starttls {starttls}\n"
        f"tls_trust_file {office.certificate}\nauth {auth}\nuser {user}\npassword {password}\n"
        f"delivery mbox {folder / 'inbox'}\nuidls_file {folder / 'uidls'}\nkeep off\n",
    )
    run(program("mpop", "mpop"), f"--file={settings}", home=folder)
    return (folder / "inbox").read_bytes()


def test_lmtp(sealed: SealedOffice) -> None:
    """Over a UNIX socket each recipient has a reply, and who exists has the letter."""
    user = sealed.newcomer()
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        line.connect(str(sealed.lmtp))
        line.sendall(
            b"LHLO relay\r\nMAIL FROM:<bob@example.net>\r\n"
            b"RCPT TO:<%b@example.org>\r\nRCPT TO:<nobody-here@example.org>\r\n"
            b"RCPT TO:<postmaster@example.org>\r\nDATA\r\n..dot\r\n.\r\nQUIT\r\n" % user.encode()
        )
        told = line.makefile("rb").read().split(b"\r\n")
    codes = [one[:3] for one in told if one and one[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"550", b"250", b"354", b"250", b"250", b"221"]
    letter = only_letter(sealed.pop3, user)
    assert b" with LMTP id " in letter.postmark
    assert letter.octets.endswith(b".dot\r\n")


def test_proxy(sealed: SealedOffice) -> None:
    """Behind a load balancer the client's own address is what the postmark names."""
    user = sealed.newcomer()
    with socket.create_connection(("127.0.0.1", sealed.proxied), timeout=PATIENCE) as line:
        line.sendall(
            b"PROXY TCP4 192.0.2.77 192.0.2.1 4000 25\r\nEHLO far.example.net\r\n"
            b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<%b@example.org>\r\n"
            b"DATA\r\nSubject: from afar\r\n\r\n.\r\nQUIT\r\n" % user.encode()
        )
        assert b"250 2.0.0 kept as " in line.makefile("rb").read()
    assert b"from far.example.net ([192.0.2.77])" in only_letter(sealed.pop3, user).postmark
