"""Mail programs that submit and collect under TLS, whose certificate they check; by SCRAM where they can.

What each does by the other way to TLS, or in the clear, is in ``test_senders``, ``test_collectors``,
``test_encrypted`` and ``test_mechanisms``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .maildrop import collect, only_letter
from .office import PASSWORD
from .programs import Program, run, secret_file
from .test_collectors import Visit, below

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .authority import CertifiedOffice

TEXT = "Grüße\n.\n..\n.a dot first\nthe end\n".encode()
LETTER = (
    b"Subject: by a program\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + TEXT.replace(b"\n", b"\r\n")
)


@pytest.fixture(scope="module")
def member(certified: CertifiedOffice) -> str:
    """Somebody whose account was made by the command, and so has SCRAM's keys."""
    config = ("--config", str(certified.config))
    certified.mailpost(*config, "user", "add", "mary", "--password-stdin", typed=f"{PASSWORD}\n")
    return "mary"


# Submitting -----------------------------------------------------------------------------------------


def curl(office: CertifiedOffice, door: str, user: str, program: Program, home: Path) -> None:
    """Submit with curl."""
    (home / "letter").write_bytes(LETTER)
    scheme = "smtps" if door == "submissions" else "smtp"
    run(
        *(program("curl", "curl"), "--silent", "--show-error", "--max-time", "20", "--ssl-reqd"),
        *("--cacert", office.certificate, "--user", f"{user}:{PASSWORD}"),
        *("--mail-from", f"{user}@example.org", "--mail-rcpt", f"{user}@example.org"),
        *(
            "--upload-file",
            "letter",
            f"{scheme}://localhost:{getattr(office, door)}/client.example",
        ),
        home=home,
    )


def swaks(office: CertifiedOffice, door: str, user: str, program: Program, home: Path) -> None:
    """Submit with swaks."""
    (home / "letter").write_bytes(LETTER.removesuffix(b"\r\n"))  # it ends the last line itself
    run(
        *(program("swaks", "swaks"), "--server", f"localhost:{getattr(office, door)}"),
        *("--tls-on-connect" if door == "submissions" else "--tls", "--timeout", "20"),
        *("--tls-verify", "--tls-ca-path", office.certificate, "--data", "@letter"),
        *("--auth", "PLAIN", "--auth-user", user, "--auth-password", PASSWORD),
        *("--from", f"{user}@example.org", "--to", f"{user}@example.org"),
        home=home,
    )


def msmtp(office: CertifiedOffice, door: str, user: str, program: Program, home: Path) -> None:
    """Submit with msmtp, by SCRAM."""
    settings = secret_file(
        home / "msmtprc",
        f"account default\nhost localhost\nport {getattr(office, door)}\ntls on\n"
        f"tls_starttls {'off' if door == 'submissions' else 'on'}\n"
        f"tls_trust_file {office.certificate}\nauth scram-sha-256\nuser {user}\n"
        f"password {PASSWORD}\nfrom {user}@example.org\n",
    )
    run(
        *(program("msmtp", "msmtp"), f"--file={settings}", f"{user}@example.org"),
        home=home,
        typed=LETTER.replace(b"\r\n", b"\n"),
    )


def muttrc(office: CertifiedOffice, user: str, home: Path) -> str:
    """A configuration of mutt's, by SCRAM alone, with what all of its tests need."""
    return secret_file(
        home / "muttrc",
        f'set ssl_ca_certificates_file="{office.certificate}" certificate_file=/dev/null\n'
        "set ssl_force_tls=yes ssl_starttls=yes sleep_time=0 beep=no\n"
        f'set smtp_pass="{PASSWORD}" smtp_authenticators="scram-sha-256"\n'
        f'set pop_pass="{PASSWORD}" pop_authenticators="scram-sha-256" pop_delete=yes\n'
        f'set from="{user}@example.org" use_from=yes envelope_from=yes hostname="client.example"\n'
        f'set folder="{home}" spoolfile="{home}/spool" mbox_type=mbox copy=no record=""\n'
        "set move=no quit=yes delete=no charset=utf-8 send_charset=utf-8 allow_8bit=yes\n",
    )


def mutt(office: CertifiedOffice, door: str, user: str, program: Program, home: Path) -> None:
    """Submit with mutt, by SCRAM."""
    scheme = "smtps" if door == "submissions" else "smtp"
    url = f"{scheme}://{user}@localhost:{getattr(office, door)}/"
    run(
        *(program("mutt", "mutt"), "-n", "-F", muttrc(office, user, home), "-s", "by a program"),
        *("-e", f'set smtp_url="{url}"', "--", f"{user}@example.org"),
        home=home,
        typed=TEXT,
    )


@pytest.mark.parametrize(
    ("submit", "door"),
    [
        (curl, "submissions"),
        (swaks, "submissions"),
        (msmtp, "submissions"),
        (mutt, "submissions"),
        (mutt, "submission"),
    ],
)
def test_smtp_80_submitted(
    certified: CertifiedOffice,
    member: str,
    program: Program,
    tmp_path: Path,
    submit: Callable[..., None],
    door: str,
) -> None:
    """A program logs in under TLS from the first octet (or, where it has no other test, by STARTTLS)."""
    submit(certified, door, member, program, tmp_path)
    letter = only_letter(certified.pop3, member)
    assert b" with ESMTPSA id " in letter.postmark
    assert b"\r\nSubject: by a program\r\n" in letter.octets
    assert letter.octets.endswith(b"\r\n\r\n" + TEXT.replace(b"\n", b"\r\n"))


# Collecting -----------------------------------------------------------------------------------------


@pytest.fixture
def visit(certified: CertifiedOffice, tmp_path: Path) -> Visit:
    """Somebody new, with three letters."""
    return Visit(certified, tmp_path)


@pytest.mark.parametrize("door", ["stls", "pop3s"])
def test_smtp_80_mutt_collects(
    certified: CertifiedOffice, member: str, program: Program, tmp_path: Path, door: str
) -> None:
    """It brings letters into its spool and deletes them, by STLS and from the first octet, by SCRAM."""
    for _ in range(2):
        swaks(certified, "submission", member, program, tmp_path)
    scheme = "pops" if door == "pop3s" else "pop"
    url = f"{scheme}://{member}@localhost:{getattr(certified, door)}/"
    settings = muttrc(certified, member, tmp_path)
    (tmp_path / "spool").touch()
    keys = f'set pop_host="{url}"; push <fetch-mail><quit>'
    # It wants a terminal: script(1) gives it one.
    run(
        *("env", "TERM=vt100", "script", "--quiet", "--return", "--command"),
        f"{program('mutt', 'mutt')} -n -F {settings} -e '{keys}'",
        "/dev/null",
        home=tmp_path,
    )
    spool = (tmp_path / "spool").read_bytes()
    assert spool.count(b"\nSubject: by a program\n") == 2
    assert spool.count(b"\n\n" + TEXT) == 2
    assert collect(certified.pop3, member) == []


@pytest.mark.parametrize(
    ("door", "how"), [("stls", 'sslproto "TLS1.2+"'), ("pop3s", "ssl")], ids=["stls", "pop3s"]
)
def test_smtp_80_fetchmail(visit: Visit, program: Program, door: str, how: str) -> None:
    """By STLS and from the first octet it brings every letter, and deletes it."""
    office = visit.office
    settings = secret_file(
        visit.home / "fetchmailrc",
        f"poll localhost service {getattr(office, door)} proto pop3 auth password uidl timeout 20\n"
        f'  user "{visit.user}" password "{PASSWORD}" {how} no keep no rewrite fetchall\n'
        f'  sslcertck sslcertfile "{office.certificate}" mda "{visit.deliver}"\n',
    )
    run(
        *(program("fetchmail", "fetchmail"), "--fetchmailrc", settings, "--invisible"),
        *("--pidfile", f"{visit.home}/pid", "--idfile", f"{visit.home}/ids"),
        home=visit.home,
    )
    assert sorted(map(below, visit.brought())) == sorted(map(below, visit.expected()))
    assert visit.nothing_left()


def test_smtp_80_getmail(visit: Visit, program: Program) -> None:
    """From the first octet, the only way to TLS it knows, it brings every letter, and deletes it."""
    office = visit.office
    settings = secret_file(
        visit.home / "getmailrc",
        f"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = {office.pop3s}\n"
        f"ca_certs = {office.certificate}\nusername = {visit.user}\npassword = {PASSWORD}\n"
        f"timeout = 20\n[destination]\ntype = MDA_external\npath = {visit.deliver}\n"
        "allow_root_commands = true\n"
        "[options]\nread_all = true\ndelete = true\ndelivered_to = false\nreceived = false\n",
    )
    command = (
        program("getmail", "getmail6"),
        "--getmaildir",
        str(visit.home),
        "--rcfile",
        settings,
    )
    assert b"3 messages" in run(*command, home=visit.home)
    assert sorted(map(below, visit.brought())) == sorted(map(below, visit.expected()))
    assert visit.nothing_left()
