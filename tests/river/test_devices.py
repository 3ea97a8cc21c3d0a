"""Several devices on one maildrop, with poplib and smtplib, mpop and getmail."""

from __future__ import annotations

import poplib
import re
import smtplib
import time
from typing import TYPE_CHECKING

import pytest

from .office import PASSWORD, PATIENCE, Office, attempts
from .programs import Program, run, secret_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def alice(office: Office) -> str:
    """Somebody with three letters."""
    name = office.newcomer("alice")
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        for n in range(3):
            client.sendmail("bob@example.net", f"{name}@example.org", f"Subject: {n}\r\n\r\nhi\r\n")
    return name


@pytest.fixture
def add(office: Office, alice: str) -> Callable[..., str]:
    """Adds a device; its password."""

    def added(device: str, *words: str) -> str:
        told = office.mailpost(
            "--config", str(office.config), "device", "add", alice, device, *words
        )
        return told.split("password:")[1].split()[0]

    return added


def log_in(office: Office, name: str, password: str) -> poplib.POP3:
    session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
    try:
        session.user(name)
        session.pass_(password)
    except poplib.error_proto:
        session.close()
        raise
    return session


def uidls(session: poplib.POP3) -> list[bytes]:
    return [line.split()[1] for line in session.uidl()[1]]


def fetch_and_delete(session: poplib.POP3) -> int:
    count, _ = session.stat()
    for number in range(1, count + 1):
        session.retr(number)
        session.dele(number)
    session.quit()
    return count


def stored(office: Office, name: str) -> int:
    """How many letters are shown to one who looks at what came of late, whoever has it."""
    session = log_in(office, f"recent:{name}", PASSWORD)
    count, _ = session.stat()
    session.quit()
    return count


def test_what_the_phone_deletes_the_desktop_has(
    office: Office, alice: str, add: Callable[..., str]
) -> None:
    """Each has the same unique-ids, and its own deletions; when both have deleted, the letters are gone."""
    phone, desk = add("phone"), add("desk")
    on_phone, on_desk = log_in(office, alice, phone), log_in(office, alice, desk)
    assert uidls(on_phone) == uidls(on_desk)
    on_desk.quit()
    assert fetch_and_delete(on_phone) == 3
    again = log_in(office, f"{alice}#phone", phone)
    assert again.stat()[0] == 0
    again.quit()
    assert stored(office, alice) == 3
    assert fetch_and_delete(log_in(office, alice, desk)) == 3
    for _ in attempts():
        if stored(office, alice) == 0:
            break


@pytest.mark.parametrize("form", ["{}", "{}#phone"])
def test_a_device_by_scram(
    office: Office,
    alice: str,
    add: Callable[..., str],
    program: Program,
    tmp_path: Path,
    form: str,
) -> None:
    """Mpop proves that it knows the phone's password, and takes the phone's letters alone."""
    inbox = tmp_path / "inbox"
    settings = secret_file(
        tmp_path / "mpoprc",
        f"account default\nhost 127.0.0.1\nport {office.pop3}\ntls off\nauth scram-sha-256\n"
        f"user {form.format(alice)}\npassword {add('phone')}\ndelivery mbox {inbox}\n"
        f"uidls_file {tmp_path / 'uidls'}\nkeep off\n",
    )
    run(program("mpop", "mpop"), f"--file={settings}", home=tmp_path)
    assert inbox.read_bytes().count(b"\nSubject: ") == 3
    run(program("mpop", "mpop"), f"--file={settings}", home=tmp_path)
    assert inbox.read_bytes().count(b"\nSubject: ") == 3
    assert fetch_and_delete(log_in(office, alice, PASSWORD)) == 3


def test_mpop_is_the_phone_and_getmail_the_desktop(
    office: Office, alice: str, add: Callable[..., str], program: Program, tmp_path: Path
) -> None:
    """Both delete what they have fetched, and both get all; then the letters are gone."""
    inbox, desk, deliver = tmp_path / "inbox", tmp_path / "desk", tmp_path / "deliver"
    deliver.write_text(f'#!/bin/sh\nexec cat >>"{desk}"\n')
    deliver.chmod(0o700)
    phone = secret_file(
        tmp_path / "mpoprc",
        f"account default\nhost 127.0.0.1\nport {office.pop3}\ntls off\nauth user\n"
        f"user {alice}\npassword {add('phone')}\ndelivery mbox {inbox}\n"
        f"uidls_file {tmp_path / 'uidls'}\nkeep off\n",
    )
    desktop = secret_file(
        tmp_path / "getmailrc",
        "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\n"
        f"port = {office.pop3}\nusername = {alice}#desk\npassword = {add('desk')}\ntimeout = 20\n"
        f"[destination]\ntype = MDA_external\npath = {deliver}\nallow_root_commands = true\n"
        "[options]\nread_all = true\ndelete = true\ndelivered_to = false\nreceived = false\n",
    )

    def collect_on_phone() -> list[bytes]:
        run(program("mpop", "mpop"), f"--file={phone}", home=tmp_path)
        return subjects(inbox.read_bytes())

    def collect_on_desktop() -> list[bytes]:
        command = [program("getmail", "getmail6"), "--getmaildir", str(tmp_path)]
        run(*command, "--rcfile", desktop, home=tmp_path)
        return subjects(desk.read_bytes())

    assert collect_on_phone() == [b"0", b"1", b"2"]
    assert collect_on_phone() == [b"0", b"1", b"2"]  # there is nothing new for it
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        client.sendmail("bob@example.net", f"{alice}@example.org", "Subject: 3\r\n\r\nhi\r\n")
    assert collect_on_desktop() == [b"0", b"1", b"2", b"3"]
    assert collect_on_phone() == [b"0", b"1", b"2", b"3"]
    assert collect_on_desktop() == [b"0", b"1", b"2", b"3"]
    for _ in attempts():
        if stored(office, alice) == 0:
            break


def subjects(letters: bytes) -> list[bytes]:
    return sorted(re.findall(rb"^Subject: (.+)$", letters, re.MULTILINE))


def test_two_devices_are_locked_separately(
    office: Office, alice: str, add: Callable[..., str]
) -> None:
    """One session for each device (RFC 1939 §4), and as many as like look at what came of late."""
    phone = add("phone")
    sessions = [
        log_in(office, alice, phone),
        log_in(office, alice, PASSWORD),
        log_in(office, f"recent:{alice}", PASSWORD),
        log_in(office, f"recent:{alice}", phone),
    ]
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        log_in(office, f"{alice}#phone", PASSWORD)
    for session in sessions:
        session.quit()


def test_recent_mode_deletes_nothing(office: Office, alice: str) -> None:
    """DELE and QUIT are taken, as clients need it, and change nothing."""
    assert fetch_and_delete(log_in(office, f"recent:{alice}", PASSWORD)) == 3
    assert fetch_and_delete(log_in(office, alice, PASSWORD)) == 3


def test_a_device_that_may_not(office: Office, alice: str, add: Callable[..., str]) -> None:
    """A scanner that only submits collects nothing, and an unknown device is a wrong login."""
    scanner = add("scanner", "--rights", "submit")
    for name, password in ((alice, scanner), (f"{alice}#cabin", PASSWORD)):
        with pytest.raises(poplib.error_proto, match="AUTH"):
            log_in(office, name, password)


def test_a_removed_device_is_turned_out_within_a_second(
    office: Office, alice: str, add: Callable[..., str]
) -> None:
    """Its session ends, its password is good no longer, and nobody else notices."""
    phone = add("phone")
    session, other = log_in(office, alice, phone), log_in(office, alice, PASSWORD)
    office.mailpost("--config", str(office.config), "device", "remove", alice, "phone")
    removed = time.monotonic()
    assert session.file.readline().startswith(b"-ERR [AUTH]")
    assert time.monotonic() - removed < 1.0
    session.close()
    with pytest.raises(poplib.error_proto, match="AUTH"):
        log_in(office, alice, phone)
    assert other.stat()[0] == 3
    other.quit()
