"""``mailpost settings``: the page to type from, for people and for programs, and the files it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main


@pytest.fixture(autouse=True)
def office(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init", "office", "--domain", "example.org", "--domain", "example.net", "--network")
    monkeypatch.setenv("MAILPOST_CONFIG", "office/mailpost.toml")


def run(*words):
    return CliRunner().invoke(main, words)


def test_for_a_user():
    """Server, port, encryption and name for both ways, and how a device gets a password."""
    run("user", "add", "alice", "--no-password")
    told = run("settings", "Alice").stdout
    for part in (
        "Settings for alice@example.org\n",
        "  server      mail.example.org\n  port        995\n  encryption  SSL/TLS\n",
        "  port        465\n",
        "  or          port 110 with encryption STARTTLS\n",
        "  mailpost device add alice phone\n",
        "\nThunderbird ",
        "The office's certificate is self-signed",
    ):
        assert part in told
    assert max(map(len, told.splitlines())) < 80
    assert "Not there yet" not in told


def test_without_a_certificate_that_can_be_read():
    """The settings are told all the same; what is wrong with it is the doctor's to tell."""
    Path("office/certificate.pem").write_text("none")
    answer = run("settings")
    assert answer.exit_code == 0
    assert "self-signed" not in answer.stdout


def test_for_nobody_who_is_here():
    """A name that has no account is a failure, with the usual words."""
    answer = run("settings", "bob")
    assert answer.exit_code == failures.NO_USER
    assert answer.stderr == "mailpost: there is no account bob; see them all: mailpost user list\n"


def test_json():
    """The same for programs."""
    told = json.loads(run("settings", "postmaster", "--json").stdout)
    assert told["username"] == "postmaster@example.org"
    assert told["incoming"][0] == {
        "protocol": "pop3",
        "host": "mail.example.org",
        "port": 995,
        "tls": "implicit",
        "this_machine_only": False,
    }
    assert [one["port"] for one in told["outgoing"]] == [465, 587]
    assert told["lacking"] == []
    assert json.loads(run("settings", "--json").stdout)["username"] is None


def test_files():
    """A set for each domain, where a web server is to have them."""
    answer = run("settings", "--write", "public")
    assert answer.exit_code == 0
    written = sorted(str(one) for one in Path("public").rglob("*") if one.is_file())
    assert written == sorted(answer.stdout.splitlines())
    for domain in ("example.org", "example.net"):
        folder = Path("public") / domain
        assert f"<domain>{domain}</domain>" in (folder / "mail/config-v1.1.xml").read_text()
        assert "<Type>POP3</Type>" in (folder / "autodiscover/autodiscover.xml").read_text()
        assert f"Mail at {domain}" in (folder / "settings.html").read_text()
        assert f"$ORIGIN {domain}." in (folder / "zone.txt").read_text()
    assert run("settings", "--write", "public").exit_code == 0


def test_a_domain_that_a_command_has_added():
    """It has its files too; one for aliases alone has none, since nobody collects there."""
    run("domain", "add", "example.com")
    run("domain", "add", "lists.example", "--aliases-only")
    assert json.loads(run("settings", "--json").stdout)["domains"] == [
        "example.org",
        "example.net",
        "example.com",
    ]
    run("settings", "--write", "public")
    assert (Path("public") / "example.com" / "zone.txt").exists()
    assert not (Path("public") / "lists.example").exists()


def test_files_of_a_try_out():
    """An office for this machine alone has a page, and says what others would need."""
    run("init", "here", "--domain", "example.org")
    answer = run("-c", "here/mailpost.toml", "settings", "--write", "public")
    assert answer.stdout == "public/example.org/settings.html\n"
    assert "tcp:995" in answer.stderr
    told = run("-c", "here/mailpost.toml", "settings").stdout
    assert "for programs on this machine alone" in told
    assert "  mailpost --config here/mailpost.toml device add NAME phone" in told


def test_nothing_to_collect_from():
    """Where there is no POP3 at all, what to change is told, with the file's name."""
    file = Path("office/mailpost.toml")
    file.write_text(file.read_text().replace('"pop3"', '"lmtp"'))
    answer = run("settings")
    assert answer.exit_code == failures.BAD_CONFIG
    assert answer.stderr.startswith("mailpost: office/mailpost.toml: no mail program on another")
    assert 'endpoint = "tcp:995"' in answer.stderr


def test_a_place_that_cannot_be_written():
    """One line says so."""
    Path("file").touch()
    answer = run("settings", "--write", "file/below")
    assert answer.exit_code == failures.CANNOT_CREATE
    assert "cannot be written: Not a directory" in answer.stderr
