"""A full disk: letters are put off, what is there can be collected and deleted, and then there is room."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .dialogue import POP3, SMTP
from .maildrop import collect, read_all
from .office import attempts
from .small_disk import fill_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .office import Office

SETTINGS = 'disk_reserve = "16 MiB"'
LINE = b"x" * 98 + b"\r\n"
SMALL = b"Subject: small\r\n\r\n" + LINE * 600
LARGE = b"Subject: large\r\n\r\n" + LINE * 10_000


@pytest.fixture(params=[0])
def cramped(
    small_disk: Path, make_office: Callable[..., Office], request: pytest.FixtureRequest
) -> Office:
    """A running office on a disk of 64 MiB, 16 of which it leaves to those who collect; without a bin."""
    keeping = f"\n[keeping]\nbin = {request.param}"
    office = make_office(small_disk / "office", office=SETTINGS, limits=keeping)
    office.log_file = small_disk.with_name("office.log")
    office.start()
    return office


def offer(office: Office, user: str, body: bytes) -> bytes:
    """Try to deliver a letter; the reply that decided."""
    with SMTP(office.smtp) as sender:
        sender.send(f"MAIL FROM:<bob@example.net>\r\nRCPT TO:<{user}@example.org>\r\n".encode())
        mail, rcpt = sender.reply(), sender.reply()
        if not mail.startswith(b"250"):
            assert rcpt.startswith(b"503")
            return mail
        assert sender.ask(b"DATA").startswith(b"354")
        sender.send(body + b".\r\n")
        return sender.reply()


def fill(office: Office, user: str, body: bytes) -> list[bytes]:
    """Deliver until there is no room, which is told as 452 4.3.1; the letters that were kept."""
    kept = []
    for _ in attempts():
        reply = b"250"
        while reply.startswith(b"250"):
            letter = b"X-Number: %d\r\n" % len(kept) + body
            reply = offer(office, user, letter)
            if reply.startswith(b"250"):
                kept.append(letter)
        if reply.startswith(b"452 4.3.1 "):
            break
        assert reply.startswith(b"451 4.3.0 "), reply  # the store is being reopened
    return kept


def takes_letters_again(office: Office, user: str, body: bytes) -> None:
    """Wait until there is room again."""
    for _ in attempts(20):
        reply = offer(office, user, body)
        if reply.startswith(b"250"):
            return
        assert reply.startswith((b"452 4.3.1 ", b"451 4.3.0 ")), reply


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["rows", "parcels"])
def test_letters_fill_the_disk(cramped: Office, body: bytes) -> None:
    """Intake stops with 452 4.3.1; collecting and deleting go on, and make room for letters again."""
    user, other = cramped.newcomer(), cramped.newcomer()
    for _ in range(2):
        kept = fill(cramped, user, body)
        assert len(kept) * len(body) > 20_000_000
        fill(cramped, other, SMALL)
        assert [letter.body for letter in collect(cramped.pop3, user)] == kept
        assert collect(cramped.pop3, user) == []
        collect(cramped.pop3, other)
        takes_letters_again(cramped, user, body)
        assert [letter.body for letter in collect(cramped.pop3, user)] == [body]


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["rows", "parcels"])
def test_letters_do_not_touch_the_reserve(cramped: Office, small_disk: Path, body: bytes) -> None:
    """However fast letters come, what the office leaves to those who collect stays free."""
    user = cramped.newcomer()
    fill(cramped, user, body)
    found = os.statvfs(small_disk)
    assert found.f_bavail * found.f_frsize > 12 << 20


@pytest.mark.parametrize("cramped", [7], indirect=True)
def test_the_bin_makes_room(cramped: Office) -> None:
    """What was deleted can come back as long as nobody needs its room: more comes than the disk holds."""
    user = cramped.newcomer()
    offered = 0
    for _ in range(4):
        kept = []
        while len(kept) < 200:
            for _ in attempts(20):
                if (reply := offer(cramped, user, SMALL)).startswith(b"250"):
                    break
                assert reply.startswith(b"452 4.3.1 "), reply
            kept.append(SMALL)
        offered += len(kept) * len(SMALL)
        assert [letter.body for letter in collect(cramped.pop3, user)] == kept
    assert offered > 46_000_000
    cramped.mailpost("--config", str(cramped.config), "undelete", user)
    left = collect(cramped.pop3, user)
    assert (
        len(left) < 800
    )  # perhaps none: how much room is made depends on what else is being written
    told = "letters were taken out of the bin early"  # once room is made, which goes on meanwhile
    assert any(told in cramped.log for _ in attempts(20))


def test_a_disk_that_others_fill_to_the_last_octet(cramped: Office, small_disk: Path) -> None:
    """With no octet left, letters wait unharmed, each deletion is done or refused, and all recovers."""
    user = cramped.newcomer()
    bodies = [SMALL, LARGE, SMALL]
    for body in bodies:
        assert offer(cramped, user, body).startswith(b"250")
    filler = small_disk / "filler"
    fill_up(filler)
    for _ in attempts(5):
        if (reply := offer(cramped, user, SMALL)).startswith(b"452 4.3.1 "):
            break
        assert reply.startswith(b"45"), reply
    assert [letter.body for letter in collect(cramped.pop3, user, delete=False)] == bodies
    with POP3(cramped.pop3, user) as session:
        assert len(read_all(session)) == 3
        session.ok("DELE 1")
        said = session.ask("QUIT")
    left = bodies[1:] if said.startswith(b"+OK") else bodies
    assert said.startswith((b"+OK", b"-ERR [SYS/TEMP]")), said

    filler.unlink()
    takes_letters_again(cramped, user, SMALL)
    assert [letter.body for letter in collect(cramped.pop3, user, delete=False)] == [*left, SMALL]
    for _ in attempts(20):
        with POP3(cramped.pop3, user) as session:
            session.ok("DELE 1")
            if session.ask("QUIT").startswith(b"+OK"):
                break
    assert [letter.body for letter in collect(cramped.pop3, user)] == [*left[1:], SMALL]
    assert collect(cramped.pop3, user) == []


def test_a_letter_that_does_not_fit(cramped: Office) -> None:
    """A letter larger than the room there is: 452, nothing of it stays on the disk, others go on."""
    user = cramped.newcomer()
    with SMTP(cramped.smtp) as sender:
        assert sender.deliver(LINE * 700_000, user).startswith(b"452 4.3.1 ")
    takes_letters_again(cramped, user, SMALL)
    assert [letter.body for letter in collect(cramped.pop3, user)] == [SMALL]
    for _ in attempts(10):
        if not [
            file for file in (cramped.folder / "mailpost.db.parcels").rglob("*") if file.is_file()
        ]:
            break
