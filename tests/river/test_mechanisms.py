"""SCRAM and bearer tokens with the clients of others, over TLS that they check."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from .maildrop import collect, only_letter
from .office import PASSWORD
from .programs import Program, run, secret_file
from .test_encrypted import LETTER, SealedOffice, collect_by_mpop, deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OAUTH = """
[oauth]
endpoint = "http://127.0.0.1:{port}/introspect"
client_id = "mailpost"
client_secret = "oauth.secret"
scope = "mail"
"""


class Issuer(BaseHTTPRequestHandler):
    """Knows one token for each user: ``token-of-NAME`` (RFC 7662)."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])))
        token = form[b"token"][0].decode()
        ours = self.headers["Authorization"] == "Basic bWFpbHBvc3Q6aHVzaA=="  # mailpost:hush
        name = token.removeprefix("token-of-")
        claims = {"active": ours and name != token, "username": name, "scope": "mail"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(claims).encode())

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SealedOffice]:
    """The office of this module, and an issuer of tokens beside it."""
    issuer = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=issuer.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("mechanisms") / "office"
    office = SealedOffice(folder)
    (folder / "oauth.secret").write_text("hush\n")
    with office.config.open("a") as file:
        file.write(_OAUTH.format(port=issuer.server_address[1]))
    with office.opened():
        yield office
    issuer.shutdown()
    issuer.server_close()


@pytest.fixture(scope="module")
def user(sealed: SealedOffice) -> str:
    """Somebody whose account was made by the command, and so has SCRAM's keys."""
    config = ("--config", str(sealed.config))
    sealed.mailpost(*config, "user", "add", "sarah", "--password-stdin", typed=f"{PASSWORD}\n")
    return "sarah"


def test_msmtp_by_scram(sealed: SealedOffice, user: str, program: Program, tmp_path: Path) -> None:
    """Msmtp submits by SCRAM; a wrong password is refused."""

    def send(password: str, status: int) -> bytes:
        settings = secret_file(
            tmp_path / "msmtprc",
            f"account default\nhost localhost\nport {sealed.submission}\ntls on\ntls_starttls on\n"
            f"tls_trust_file {sealed.certificate}\nauth scram-sha-256\nuser {user}\n"
            f"password {password}\nfrom {user}@example.org\n",
        )
        command = (program("msmtp", "msmtp"), f"--file={settings}", f"{user}@example.org")
        return run(*command, home=tmp_path, typed=LETTER.replace(b"\r\n", b"\n"), status=status)

    assert b"535 5.7.8" in send("wrong", 77)  # EX_NOPERM
    send(PASSWORD, 0)
    assert b" with ESMTPSA id " in only_letter(sealed.pop3, user).postmark


@pytest.mark.parametrize("starttls", ["on", "off"])
def test_mpop_by_scram(
    sealed: SealedOffice, user: str, program: Program, tmp_path: Path, starttls: str
) -> None:
    """Mpop collects by SCRAM, by STLS and by implicit TLS."""
    deliver(sealed, user)
    inbox = collect_by_mpop(
        sealed, user, program, tmp_path, starttls=starttls, auth="scram-sha-256"
    )
    assert b"\n.nobody reads it on its way\n" in inbox
    assert collect(sealed.pop3, user) == []


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_curl_by_token(
    sealed: SealedOffice, program: Program, tmp_path: Path, mechanism: str
) -> None:
    """Curl submits and collects by a bearer token; another's token is refused."""
    user = sealed.newcomer()
    file = tmp_path / "letter"
    file.write_bytes(LETTER)
    curl = (program("curl", "curl"), "--silent", "--show-error", "--max-time", "20", "--ssl-reqd")
    known = (*curl, "--cacert", sealed.certificate, "--user", user)
    by = ("--login-options", f"AUTH={mechanism}", "--oauth2-bearer")
    submit = (
        *(f"smtp://localhost:{sealed.submission}/client.example", "--upload-file", str(file)),
        *("--mail-from", f"{user}@example.org", "--mail-rcpt", f"{user}@example.org"),
    )
    run(*known, *by, "token-of-somebody-else", *submit, home=tmp_path, status=67)  # login denied
    run(*known, *by, "never issued", *submit, home=tmp_path, status=67)
    run(*known, *by, f"token-of-{user}", *submit, home=tmp_path)
    place = f"pop3s://localhost:{sealed.pop3s}/1"
    assert run(*known, *by, f"token-of-{user}", place, home=tmp_path).endswith(LETTER)


def test_gsasl_by_scram_plus(
    sealed: SealedOffice, user: str, program: Program, tmp_path: Path
) -> None:
    """GNU SASL binds its proof to TLS 1.3 (RFC 9266); a wrong password is refused."""
    known = (
        *(program("gsasl", "gsasl"), "--smtp", "--no-client-first", "--verbose"),
        *(f"--connect=localhost:{sealed.submission}", f"--x509-ca-file={sealed.certificate}"),
        *("--mechanism=SCRAM-SHA-256-PLUS", f"--authentication-id={user}"),
    )
    said = run(*known, f"--password={PASSWORD}", home=tmp_path)
    assert b"235 2.7.0" in said
    assert b"535 5.7.8" in run(*known, "--password=wrong", home=tmp_path, status=1)
