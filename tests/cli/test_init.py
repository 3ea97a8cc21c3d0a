"""``mailpost init``: what it makes, and what it refuses."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost import config
from mailpost.cli import failures, main
from mailpost.tls import TLSError, describe


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def init(*words):
    return CliRunner().invoke(main, ("init", *words))


def test_what_it_makes():
    """A folder of its owner's own, a configuration that is right, a store, and what to do next."""
    answer = init("office", "--domain", "Example.ORG")
    assert answer.exit_code == 0
    found = config.load(Path("office/mailpost.toml"))
    assert found.office.hostname == "mail.example.org"
    assert found.office.domains == ("example.org",)
    assert found.office.database.is_file()
    assert stat.S_IMODE(Path("office").stat().st_mode) == 0o700
    assert stat.S_IMODE(found.office.database.stat().st_mode) == 0o600
    for part in (
        "2525",
        "1587",
        "1110",
        "self-signed",
        "from this machine alone",
        "office/certificate.pem",
        "office/mailpost.toml user add alice",
        "office/mailpost.toml serve",
    ):
        assert part in answer.stdout


def test_it_listens_on_this_machine_alone():
    """Whoever wants more opens it by hand: every door is on loopback, with TLS on request."""
    init("office", "--domain", "example.org")
    found = config.load(Path("office/mailpost.toml"))
    assert {one.interface for one in found.listen} == {"127.0.0.1"}
    assert [one.protocol for one in found.listen] == ["smtp", "submission", "pop3"]
    assert {one.tls for one in found.listen} == {"starttls"}
    description = describe(Path("office/certificate.pem"))
    assert description.self_signed
    assert set(description.names) == {"mail.example.org", "example.org", "localhost", "127.0.0.1"}
    assert stat.S_IMODE(Path("office/key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("office/certificate.pem").stat().st_mode) == 0o600
    (certificate,) = found.certificate
    assert certificate.chain.samefile("office/certificate.pem")
    assert certificate.key.samefile("office/key.pem")


def test_no_certificate(monkeypatch):
    """Where no certificate can be made, one line says why, and no configuration promises one."""

    def fail(*_):
        raise TLSError("office/key.pem cannot be written (No space left): name a folder that can")

    monkeypatch.setattr("mailpost.tls.make_self_signed", fail)
    answer = init("office", "--domain", "example.org")
    assert answer.exit_code == failures.CANNOT_CREATE
    assert answer.stderr.startswith("mailpost: office/key.pem cannot be written")
    assert answer.stderr.count("\n") == 1
    assert not Path("office/mailpost.toml").exists()


def test_every_key_is_explained():
    """Each key there is stands in the file, with a value or, behind a "#", with its default."""
    init("office", "--domain", "example.org")
    text = Path("office/mailpost.toml").read_text()
    for table in (config.Office, config.Limits, config.Listen, config.Certificate):
        for key in table.model_fields:
            assert re.search(rf"^(# )?{key} = ", text, re.MULTILINE), key


def test_domains_and_hostname():
    """Several domains, one of them in letters of its own; the hostname is as told."""
    answer = init(
        "office",
        "--domain",
        "example.org",
        "--domain",
        "B\u00fccher.example",
        "--hostname",
        "MX.a.b",
    )
    assert answer.exit_code == 0
    found = config.load(Path("office/mailpost.toml"))
    assert found.office.domains == ("example.org", "xn--bcher-kva.example")
    assert found.office.hostname == "mx.a.b"


def test_an_empty_folder_will_do():
    """A folder that is there may be used when nothing is in it."""
    Path("office").mkdir()
    assert init("office", "--domain", "example.org").exit_code == 0


def test_twice():
    """An office that is there is left as it is."""
    init("office", "--domain", "example.org")
    before = Path("office/mailpost.toml").read_bytes()
    answer = init("office", "--domain", "example.com")
    assert answer.exit_code == failures.CANNOT_CREATE
    assert answer.stderr == "mailpost: office is a post office already; choose another folder\n"
    assert Path("office/mailpost.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("full", "full is not empty; choose a folder of its own"),
        ("full/file", "full/file is a file; choose a folder"),
        ("full/file/x", "full/file/x cannot be made: Not a directory"),
        ("/dev/null/x", "/dev/null/x cannot be made: Not a directory"),
    ],
)
def test_no_place(folder, told):
    """Where no office can be, one line says why, and nothing is made."""
    Path("full").mkdir()
    Path("full/file").touch()
    answer = init(folder, "--domain", "example.org")
    assert answer.exit_code == failures.CANNOT_CREATE
    assert answer.stderr == f"mailpost: {told}\n"
    assert [one.name for one in Path("full").iterdir()] == ["file"]


@pytest.mark.parametrize("domain", ["", "example..org", "a b", "alice@example.org", "-x.y"])
def test_no_domain(domain):
    """What is no domain is refused before anything is made."""
    answer = init("office", "--domain", domain)
    assert answer.exit_code == failures.BAD_DATA
    assert answer.stderr == f'mailpost: --domain: expected a domain name; got "{domain}"\n'
    assert not Path("office").exists()
