"""A maildrop that fills up, and letters that come back, with smtplib and poplib and the real commands."""

from __future__ import annotations

import poplib
import smtplib
import time
from typing import TYPE_CHECKING

import pytest

from .office import PASSWORD, PATIENCE, attempts

if TYPE_CHECKING:
    from .office import Office

LARGE = "Subject: large\r\n\r\n" + ("x" * 98 + "\r\n") * 300


def log_in(office: Office, name: str) -> poplib.POP3:
    session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
    session.user(name)
    session.pass_(PASSWORD)
    return session


def command(office: Office, *words: str) -> str:
    return office.mailpost("--config", str(office.config), *words)


def expires(office: Office, name: str) -> list[str]:
    """What CAPA says of EXPIRE, before login and after it."""
    session = log_in(office, name)
    inside = session.capa()["EXPIRE"]
    session.quit()
    session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
    before = session.capa()["EXPIRE"]
    session.quit()
    return [" ".join(before), " ".join(inside)]


def test_a_maildrop_is_filled_and_emptied(office: Office) -> None:
    """452 when it is full, a letter about it, room again after deletions; and they come back, anew."""
    name, other = office.newcomer("filling"), office.newcomer("other")
    command(office, "user", "set", name, "--quota", "100K")
    time.sleep(1)  # it promises to go by it within a second
    to = f"{name}@example.org"
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        for _ in range(3):
            client.sendmail("bob@example.net", to, LARGE)
        with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"452, b'4\.2\.2 "):
            client.sendmail("bob@example.net", to, LARGE)
        both = [to, f"{other}@example.org"]
        assert set(client.sendmail("bob@example.net", both, LARGE)) == {to}
    for _ in attempts():
        session = log_in(office, name)
        count, octets = session.stat()
        letters = [b"\n".join(session.retr(number + 1)[1]) for number in range(count)]
        if b"per cent full" in letters[-1]:
            break
        session.quit()
    assert octets < 105_000
    assert letters[-1].startswith(b"Return-Path: <>\nDelivered-To: " + to.encode())
    assert b"it may hold 100 KiB" in letters[-1]
    before = {line.split()[1] for line in session.uidl()[1]}
    for number in range(count):
        session.dele(number + 1)
    session.quit()
    for _ in attempts():
        if f"{count} letters of {name} would" in command(office, "undelete", name, "--dry-run"):
            break
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        assert client.sendmail("bob@example.net", to, "Subject: again\r\n\r\nhi\r\n") == {}
    assert f"{count} letters of {name} are back" in command(office, "undelete", name)
    session = log_in(office, name)
    uidls = [line.split()[1] for line in session.uidl()[1]]
    assert len(uidls) == count + 1
    assert not before.intersection(uidls)
    session.quit()


def test_what_is_announced(office: Office) -> None:
    """A running office announces what a command has set, within a second, and to the right ones."""
    name, other = office.newcomer(), office.newcomer()
    command(office, "user", "set", name, "--retention", "9d after collected")
    for _ in attempts():
        if expires(office, name) == ["9 USER", "9"]:
            break
    assert expires(office, other) == ["9 USER", "NEVER"]
    command(office, "user", "set", name, "--retention", "default")
    for _ in attempts():
        if expires(office, name) == ["NEVER", "NEVER"]:
            break
