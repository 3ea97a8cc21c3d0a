"""Aliases, groups and domains, added by the command while the office runs; with smtplib and poplib."""

from __future__ import annotations

import re
import smtplib
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from mailpost.cli import main

from .dialogue import SMTP
from .maildrop import collect
from .office import PASSWORD, PATIENCE, Office

if TYPE_CHECKING:
    from collections.abc import Iterator

LETTER = "Subject: tea\r\n\r\nAt five?\r\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office whose aliases are for these tests alone."""
    office = Office(tmp_path_factory.mktemp("addresses") / "office")
    office.start()
    yield office
    assert office.stop() == 0
    assert "Traceback" not in office.log, office.log


@pytest.fixture
def people(own: Office) -> list[str]:
    """Three of them, new for each test."""
    return [own.newcomer(name) for name in ("alice", "bob", "carol")]


@pytest.fixture
def client(own: Office) -> Iterator[smtplib.SMTP]:
    """A session that stays while things change."""
    with smtplib.SMTP("127.0.0.1", own.smtp, timeout=PATIENCE) as session:
        session.ehlo()
        yield session


def mailpost(own: Office, *words: str) -> int:
    """Run a command, in this process and so not in the office's; its exit status."""
    return CliRunner().invoke(main, ["--config", str(own.config), *words]).exit_code


def change(own: Office, *words: str) -> None:
    """Run a command that does what it should."""
    assert mailpost(own, *words) == 0, words


def asked(client: smtplib.SMTP, address: str) -> int:
    """What RCPT is answered."""
    client.mail("me@example.net")
    code, _ = client.rcpt(address)
    client.rset()
    return code


def test_a_change_is_seen_at_once(own: Office, client: smtplib.SMTP, people: list[str]) -> None:
    """The very next RCPT of a session that is open knows of it, and within a second."""
    alice, _, _ = people
    address, detailed = "nobody@example.org", f"{alice}+x@example.org"
    assert asked(client, address) == 550
    assert asked(client, detailed) == 250
    for words, asks, code in (
        (("alias", "add", address, alice), address, 250),
        (("alias", "remove", address), address, 550),
        (("alias", "add", "@example.org", alice), address, 250),
        (("alias", "remove", "@example.org"), address, 550),
        (("domain", "set", "example.org", "--separator", "none"), detailed, 550),
        (("domain", "set", "example.org", "--separator", "+"), detailed, 250),
        (("domain", "add", "seen.example"), f"{alice}@seen.example", 250),
        (("domain", "remove", "seen.example"), f"{alice}@seen.example", 550),
    ):
        change(own, *words)
        started = time.monotonic()
        assert asked(client, asks) == code, words
        assert time.monotonic() - started < 1


def test_by_many_ways_once(own: Office, client: smtplib.SMTP, people: list[str]) -> None:
    """However often somebody is meant, and by whatever group, they have the letter once."""
    alice, bob, carol = people
    change(own, "alias", "add", "sales", alice, bob)
    change(own, "alias", "add", "all@example.org", "sales", bob, f"{carol}@example.org")
    to = [f"{bob}+work", "all", "sales", bob.upper()]
    assert client.sendmail("me@example.net", [f"{one}@example.org" for one in to], LETTER) == {}
    expected = {alice: (alice, "all"), bob: (f"{bob}+work", f"{bob}+work"), carol: (carol, "all")}
    for name, (delivered_to, recipient) in expected.items():
        (letter,) = collect(own.pop3, name)
        assert letter.body == LETTER.encode()
        told = re.findall(rb"Delivered-To: (\S+)@example\.org\r\n", letter.postmark)
        assert told == [delivered_to.encode()]
        assert f"\tfor <{recipient}@example.org>;".encode() in letter.postmark


def test_sending_in_the_name_of_an_alias(
    own: Office, client: smtplib.SMTP, people: list[str]
) -> None:
    """Whoever has logged in sends from the addresses that lead to them, and from no other."""
    alice, bob, carol = people
    change(own, "alias", "add", "support", alice, bob)
    client.login(alice, PASSWORD)
    for sender, code in (("support", 250), (f"{alice}+x", 250), (carol, 553), ("gone", 553)):
        assert client.mail(f"{sender}@example.org")[0] == code, sender
        client.rset()


def test_a_login_with_an_added_domain(own: Office, people: list[str]) -> None:
    """A login name may end with any domain of the office."""
    change(own, "domain", "add", "shop.example")
    assert collect(own.pop3, f"{people[0]}@shop.example") == []


def test_what_the_command_tells_is_what_happens(own: Office, people: list[str]) -> None:
    """A route's end is the answer to RCPT."""
    alice, bob, _ = people
    change(own, "alias", "add", "old", alice)
    change(own, "user", "remove", alice, "--yes")
    expected = {"old": 67, alice: 67, bob: 0, "abuse": 0, "postmaster+x": 0}
    with SMTP(own.smtp) as session:
        assert session.ask(b"MAIL FROM:<>").startswith(b"250")
        for name, status in expected.items():
            assert mailpost(own, "route", f"{name}@example.org") == status, name
            reply = session.ask(f"RCPT TO:<{name}@example.org>".encode())
            assert reply.startswith(b"250" if status == 0 else b"550"), name
