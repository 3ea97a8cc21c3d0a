"""A real Postfix in front: what it takes in is collected here, octet for octet."""

from __future__ import annotations

import os
import shutil
import smtplib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import not_here
from .maildrop import collect
from .office import PATIENCE, Office, attempts, free_ports
from .postfix import Postfix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .maildrop import Letter
    from .programs import Program

_DOORS = """
[[listen]]
protocol = "lmtp"
endpoint = "tcp:{lmtp_port}:interface=127.0.0.1"

[[listen]]
protocol = "lmtp"
endpoint = "unix:{lmtp}:mode=666"
"""

BODY = b"Subject: through Postfix\r\n\r\n" + bytes(range(0xA0, 0x100)) + b"\r\n.dots\r\n..\r\n"
LARGE = BODY + (b"x" * 70 + b"\r\n") * 80_000


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the user ``postfix`` reaches too; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="mailpost-postfix-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def in_front(
    place: Path, make_office: Callable[..., Office], program: Program
) -> Iterator[Callable[[str], tuple[Office, Postfix]]]:
    """Makes an office with Postfix before it; the word says how letters are handed over."""
    program("postfix", "postfix")
    if os.geteuid() != 0:
        not_here("Postfix's master can only be started by root")
    made: list[Postfix] = []

    def make(how: str) -> tuple[Office, Postfix]:
        office = make_office()
        (lmtp_port,) = free_ports(1)
        lmtp = place / "lmtp"
        with office.config.open("a") as file:
            file.write(_DOORS.format(lmtp_port=lmtp_port, lmtp=lmtp))
        office.start()
        transports = {"tcp": f"lmtp:inet:127.0.0.1:{lmtp_port}", "unix": f"lmtp:unix:{lmtp}"}
        made.append(Postfix(place / "postfix", transports[how]))
        made[-1].start()
        return office, made[-1]

    yield make
    for one in made:
        one.stop()


def send(front: Postfix, sender: str, recipients: list[str], body: bytes) -> None:
    """Hand a letter to Postfix, who takes it for all."""
    with smtplib.SMTP("127.0.0.1", front.port, timeout=PATIENCE) as client:
        addresses = [f"{one}@example.org" for one in recipients]
        assert client.sendmail(sender, addresses, body, ["BODY=8BITMIME"]) == {}


def wait_for(office: Office, user: str) -> Letter:
    """The one letter that comes."""
    for _ in attempts():
        if found := collect(office.pop3, user):
            (letter,) = found
            return letter
    raise AssertionError


@pytest.mark.parametrize("how", ["tcp", "unix"])
def test_one_of_three_is_refused(
    in_front: Callable[[str], tuple[Office, Postfix]], how: str
) -> None:
    """Two have the letter, 8-bit and dots and all; about the third alone its sender has a bounce."""
    office, front = in_front(how)
    sender, first, second = office.newcomer("sender"), office.newcomer(), office.newcomer()
    send(front, f"{sender}@example.org", [first, "nobody-here", second], BODY)
    for user in (first, second):
        letter = wait_for(office, user)
        assert b" with LMTP id " in letter.postmark
        assert letter.octets.endswith(b"\r\n" + BODY)
    bounce = wait_for(office, sender)
    assert bounce.postmark.startswith(b"Return-Path: <>\r\n")
    report = bounce.body
    assert report.count(b"Final-Recipient: ") == 1
    assert b"Final-Recipient: rfc822; nobody-here@example.org" in report
    assert b"Status: 5.1.1" in report


def test_a_large_letter(in_front: Callable[[str], tuple[Office, Postfix]]) -> None:
    """Some megabytes come out as they went in."""
    office, front = in_front("unix")
    user = office.newcomer()
    send(front, "bob@example.net", [user], LARGE)
    assert wait_for(office, user).octets.endswith(b"\r\n" + LARGE)


def test_closed_for_a_moment(in_front: Callable[[str], tuple[Office, Postfix]]) -> None:
    """While the office is closed the letter stays in Postfix's queue; it comes when it is open, once."""
    office, front = in_front("tcp")
    user = office.newcomer()
    assert office.stop() == 0
    send(front, "bob@example.net", [user], BODY)
    front.await_log("status=deferred", f"<{user}@example.org>", "Connection refused")
    office.start()
    assert wait_for(office, user).octets.endswith(b"\r\n" + BODY)
    front.await_log("status=sent", f"<{user}@example.org>")
    assert collect(office.pop3, user) == []
