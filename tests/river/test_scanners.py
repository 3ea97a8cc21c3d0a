"""What those find who look at every door with the usual tools: nmap, sslscan, testssl.sh."""

from __future__ import annotations

import json
import poplib
import smtplib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from .authority import HOSTNAME
from .office import PATIENCE
from .programs import run

if TYPE_CHECKING:
    from pathlib import Path

    from .authority import CertifiedOffice
    from .programs import Program

SEALED = {
    "starttls": "smtp",
    "submission": "smtp",
    "submissions": "",
    "stls": "pop3",
    "pop3s": "",
}
"""The doors that know TLS, and by which protocol it begins; "" where it does with the first octet."""

# nmap's scripts go by a port's usual service; so it is told which services these ports are.
_SERVICES = {
    "smtp": "smtp",
    "starttls": "smtp",
    "submission": "smtp",
    "submissions": "smtps",
    "pop3": "pop3",
    "stls": "pop3",
    "pop3s": "pop3s",
}
_SCRIPTS = (
    *("smtp-commands", "smtp-open-relay", "smtp-enum-users", "smtp-strangeport"),
    *("smtp-ntlm-info", "pop3-capabilities", "pop3-ntlm-info", "ssl-enum-ciphers"),
)
_RELAY = "Server doesn't seem to be an open relay, all tests failed"
_NO_USERS = "Couldn't find any accounts"


def nmap(
    office: CertifiedOffice, program: Program, home: Path, *words: str
) -> dict[tuple[str, str], ET.Element]:
    """Run scripts of nmap's on every door; what they had to say, by the door and the script."""
    ports = {getattr(office, door): door for door in _SERVICES}
    data = home / "nmap"
    data.mkdir(exist_ok=True)
    lines = [f"{_SERVICES[door]} {port}/tcp 1\n" for port, door in ports.items()]
    (data / "nmap-services").write_text("".join(lines))
    told = run(
        *(program("nmap", "nmap"), "-Pn", "-n", "-p", ",".join(map(str, ports)), "-oX", "report"),
        *("--datadir", str(data), *words, "127.0.0.1"),
        home=home,
    )
    report = ET.parse(home / "report").getroot()
    found = {ports[int(port.get("portid", ""))]: port for port in report.iter("port")}
    assert set(found) == set(_SERVICES), told
    return {
        (door, script.get("id", "")): script
        for door, port in found.items()
        for script in port.iter("script")
    }


def test_nmap(certified: CertifiedOffice, program: Program, tmp_path: Path) -> None:
    """No open relay, no user's name told, what is announced told as it is, TLS of the best grade."""
    certified.add_users(["admin"])  # one of those that nmap tries
    found = nmap(
        *(certified, program, tmp_path),
        *("--script", ",".join(_SCRIPTS)),
        *(
            "--script-args",
            "smtp-enum-users.domain=example.org,smtp-enum-users.methods={VRFY,EXPN}",
        ),
    )
    for door in ("smtp", "starttls"):
        assert found[door, "smtp-open-relay"].get("output") == _RELAY
        assert _NO_USERS in found[door, "smtp-enum-users"].get("output", "")
    for door in ("submission", "submissions"):
        assert "authentication needed" in found[door, "smtp-open-relay"].get("output", "")
        assert _NO_USERS in found[door, "smtp-enum-users"].get("output", "")
    for door in ("smtp", "starttls", "submission", "submissions"):
        _, *extensions = smtp_extensions(certified, door)
        (commands, *_) = found[door, "smtp-commands"].get("output", "").strip().splitlines()
        assert commands.split(", ")[1:] == extensions
    for door in ("pop3", "stls", "pop3s"):
        shown = found[door, "pop3-capabilities"].get("output", "").replace(")", "").split(" ")
        words = [word for name, rest in capabilities(certified, door) for word in (name, *rest)]
        assert sorted(" ".join(shown).replace("(", " ").split()) == sorted(words)
    for door in SEALED:
        ciphers = found[door, "ssl-enum-ciphers"]
        assert {table.get("key") for table in ciphers.findall("table")} == {"TLSv1.2", "TLSv1.3"}
        assert ciphers.findtext("elem[@key='least strength']") == "A"
    # NTLM, which tells a machine's inner names, is not to be had; and smtp-strangeport says no more than
    # that these ports are not 25.
    ntlm = {"smtp-ntlm-info", "pop3-ntlm-info"}
    assert {script for _, script in found} == {*_SCRIPTS} - ntlm


def smtp_extensions(office: CertifiedOffice, door: str) -> list[str]:
    """The lines of the answer to EHLO."""
    port = getattr(office, door)
    if door == "submissions":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            "localhost", port, context=office.context, timeout=PATIENCE
        )
    else:
        client = smtplib.SMTP("localhost", port, timeout=PATIENCE)
    with client:
        client.ehlo()
        assert client.ehlo_resp is not None
        return client.ehlo_resp.decode().splitlines()


def capabilities(office: CertifiedOffice, door: str) -> list[tuple[str, list[str]]]:
    """What CAPA announces."""
    port = getattr(office, door)
    if door == "pop3s":
        client: poplib.POP3 = poplib.POP3_SSL(
            "localhost", port, context=office.context, timeout=PATIENCE
        )
    else:
        client = poplib.POP3("localhost", port, timeout=PATIENCE)
    announced = client.capa()
    client.quit()
    return list(announced.items())


@pytest.mark.parametrize("door", SEALED)
def test_smtp_81_sslscan(
    certified: CertifiedOffice, program: Program, tmp_path: Path, door: str
) -> None:
    """TLS 1.2 and 1.3 and nothing before, good ciphers alone, no renegotiation, no Heartbleed."""
    begins = [f"--starttls-{SEALED[door]}"] if SEALED[door] else []
    command = (program("sslscan", "sslscan"), "--xml=report", "--show-sigs", *begins)
    run(*command, f"localhost:{getattr(certified, door)}", home=tmp_path)
    (found,) = ET.parse(tmp_path / "report").getroot()
    versions = {one.get("version"): one.get("enabled") for one in found.iter("protocol")}
    assert {one for one, enabled in versions.items() if enabled == "1"} == {"1.2", "1.3"}
    assert set(versions) == {"2", "3", "1.0", "1.1", "1.2", "1.3"}
    ciphers = list(found.iter("cipher"))
    assert {one.get("sslversion") for one in ciphers} == {"TLSv1.2", "TLSv1.3"}
    assert {one.get("strength") for one in ciphers} <= {"strong", "acceptable"}
    assert all(
        "ECDHE" in one.get("cipher", "") for one in ciphers if one.get("sslversion") != "TLSv1.3"
    )
    assert {one.get("supported") for one in found.iter("renegotiation")} == {"0"}
    assert {one.get("vulnerable") for one in found.iter("heartbleed")} == {"0"}
    assert HOSTNAME in found.findtext("certificates/certificate/subject", "")


_QUICK = ("--protocols", "--server-defaults")
_MINUTES = 600.0


def scan(
    office: CertifiedOffice, program: Program, home: Path, door: str, *checks: str
) -> dict[str, dict[str, str]]:
    """Run testssl.sh, which trusts the authority of the tests; its findings by their ids.

    :param checks: all of them, if none is named.
    """
    command = (
        *("env", "USLEEP_SND=0.02"),  # on loopback there is nothing to wait for
        *(program("testssl", "testssl.sh"), "--ip", "127.0.0.1", "--nodns", "none", "--quiet"),
        *(
            "--add-ca",
            office.certificate,
            "--jsonfile",
            "report",
            "--warnings",
            "batch",
            "--color",
            "0",
        ),
        *(("--starttls", SEALED[door]) if SEALED[door] else ()),
        *(*checks, f"{HOSTNAME}:{getattr(office, door)}"),
    )
    # Its status is how many things it could not find out, which the findings tell as well.
    told = run(*command, home=home, status=None, patience=_MINUTES)
    findings = json.loads((home / "report").read_text())
    assert findings, told
    return {finding["id"]: finding for finding in findings}


def above_low(findings: dict[str, dict[str, str]]) -> dict[str, str]:
    """What is worse than "low", and what it could not find out."""
    return {
        name: f"{finding['severity']}: {finding['finding']}"
        for name, finding in findings.items()
        if finding["severity"] not in {"OK", "INFO", "LOW"}
        and (name, finding["severity"]) not in _VAIN
    }


_VAIN = {
    ("service", "DEBUG"),  # it looks for HTTP behind implicit TLS
    # How many octets went to and fro is what it goes by, and that varies with what else is said; and it
    # hangs up as soon as the handshake is over, so that a ticket may come too late for it.
    ("sessionresumption_ID", "WARN"),
    ("sessionresumption_ticket", "WARN"),
}


def test_smtp_81_testssl(certified: CertifiedOffice, program: Program, tmp_path: Path) -> None:
    """Which versions there are, and what the server shows of itself: nothing to be said against it."""
    found = scan(certified, program, tmp_path, "stls", *_QUICK)
    assert above_low(found) == {}
    assert {name: found[name]["finding"] for name in ("SSLv3", "TLS1", "TLS1_1")} == dict.fromkeys(
        ("SSLv3", "TLS1", "TLS1_1"), "not offered"
    )
    assert found["TLS1_2"]["severity"] == found["TLS1_3"]["severity"] == "OK"
    assert found["cert_chain_of_trust"]["finding"] == "passed."
    assert found["cert_trust"]["severity"] == "OK"


@pytest.mark.slow
@pytest.mark.parametrize("door", SEALED)
def test_testssl_whole(
    certified: CertifiedOffice, program: Program, tmp_path: Path, door: str
) -> None:
    """Every check that testssl.sh has, at every door: nothing above "low"."""
    found = scan(certified, program, tmp_path, door)
    assert above_low(found) == {}
    checked = {
        "heartbleed",
        "CCS",
        "secure_client_renego",
        "LUCKY13",
        "BEAST",
        "cert_chain_of_trust",
    }
    assert checked <= set(found)
