"""Letters that are hard to carry: what comes out is what went in, octet for octet, after the postmark."""

from __future__ import annotations

import hashlib
import random
import re
from typing import TYPE_CHECKING

import pytest

from .dialogue import POP3, SMTP, stuffed
from .maildrop import collect, only_letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .office import Office

KIB = 1024
HEADER = b"Subject: hard\r\n\r\n"
FEW = range(-6, 7)


def of_size(octets: int) -> bytes:
    """A letter of just so many octets."""
    line = b"0123456789" * 6 + b"ab\r\n"
    lines, rest = divmod(octets - len(HEADER) - 2, len(line))
    return HEADER + line * lines + b"z" * rest + b"\r\n"


LETTERS = {
    "an empty body": b"",
    "a header alone": b"Subject: no more than this\r\n",
    "an empty line alone": b"\r\n",
    "an empty line first": b"\r\nthe text\r\n",
    "no header": b"just text, no header at all\r\nand more of it\r\n",
    "a dot first": b".a dot is the first octet\r\n",
    "a dot alone first": b".\r\n",
    "two dots first": b"..\r\n",
    "dots alone": HEADER + b".\r\n..\r\n...\r\n" * 1_000,
    "a dot last": HEADER + b"text\r\n.\r\n",
    "dots at the ends of lines": HEADER + b"text.\r\n" * 100,
    "a line of 998": HEADER + b"x" * 998 + b"\r\n",
    "a line of 100,000": HEADER + b"y" * 100_000 + b"\r\n",
    "a line of 100,000 dots": b"." * 100_000 + b"\r\n",
    "8-bit text": HEADER + "Grüße aus Köln, из Москвы, 東京から\r\n".encode() * 50,
    "every octet there is": bytes(set(range(256)) - {10, 13}) + b"\r\n",
    "a postmark of its own": (
        b"Return-Path: <forged@example.net>\r\nDelivered-To: forged@example.net\r\n"
        b"Received: from here (by there)\r\n\tfor <forged>; now\r\n" + HEADER + b"text\r\n"
    ),
    "a From line": b"From bob@example.net Mon Jan  2 10:00:00 2023\r\nFrom the start\r\n",
    "one octet less than a row": of_size(64 * KIB - 1),
    "exactly a row": of_size(64 * KIB),
    "one octet more than a row": of_size(64 * KIB + 1),
    "3 MiB": of_size(3 * KIB * KIB),
}


@pytest.mark.parametrize("name", LETTERS)
def test_every_octet_comes_out(office: Office, name: str) -> None:
    """The letter is collected as it was sent; TOP of a few lines begins it."""
    user = office.newcomer()
    body = LETTERS[name]
    with SMTP(office.smtp) as sender:
        assert sender.deliver(body, user).startswith(b"250")
    with POP3(office.pop3, user) as reader:
        reader.ok("TOP 1 2")
        top = reader.content()
    letter = only_letter(office.pop3, user)
    assert letter.body == body
    assert len(re.findall(rb"(?m)^(?:Return-Path|Delivered-To|Received):", letter.postmark)) == 3
    header, blank, text = letter.octets.partition(b"\r\n\r\n")
    lines = text.split(b"\r\n")
    expected = header + blank + b"".join(line + b"\r\n" for line in lines[:2])
    assert top == (expected if len(lines) > 2 else letter.octets)


def test_dots_at_every_offset_around_the_borders(office: Office) -> None:
    """A dot that begins a line is kept wherever it falls, in letters that hold nothing else special."""
    user = office.newcomer()
    bodies = []
    for border in (4, 8, 16, 64, 256):
        for offset in FEW:
            before = border * KIB + offset - 2
            bodies.append(b"x" * before + b"\r\n.\r\n" + b"y" * 100 + b"\r\n")
    with SMTP(office.smtp) as sender:
        for body in bodies:
            assert sender.deliver(body, user).startswith(b"250")
    assert [letter.body for letter in collect(office.pop3, user)] == bodies


@pytest.mark.parametrize("shift", range(4))
def test_dots_at_every_offset_of_all(office: Office, shift: int) -> None:
    """Lines that are dots, shifted by 0 to 3 octets, so that some letter has one at every offset."""
    user = office.newcomer()
    body = b"x" * shift + b"\r\n" + b".\r\n" * (100 * KIB)
    with SMTP(office.smtp) as sender:
        assert sender.deliver(body, user).startswith(b"250")
    assert only_letter(office.pop3, user).body == body


def test_segments_cut_anywhere(office: Office) -> None:
    """A letter that is sent in pieces of 1 to 7 octets is one letter, and its end is seen once."""
    user = office.newcomer()
    body = HEADER + b".\r\n..\r\n.x\r\n\r\n" * 40
    octets = stuffed(body) + b".\r\nQUIT\r\n"
    random.seed(4)
    with SMTP(office.smtp) as sender:
        sender.envelope(user)
        while octets:
            size = random.randint(1, 7)
            sender.send(octets[:size])
            octets = octets[size:]
        assert sender.reply().startswith(b"250")
        assert sender.reply().startswith(b"221")
        assert sender.rest() == b""
    assert only_letter(office.pop3, user).body == body


def test_a_thousand_recipients(office: Office) -> None:
    """One letter to 1,000 accounts is in each maildrop once, under a postmark of its own."""
    users = [f"crowd-{number}" for number in range(1_000)]
    office.add_users(users)
    body = of_size(4 * KIB)
    with SMTP(office.smtp) as sender:
        assert sender.deliver(body, *users).startswith(b"250")
        refused = sender.ask(b"RCPT TO:<nobody@example.org>")
        assert refused.startswith(b"503")
    for user in users:
        (letter,) = collect(office.pop3, user)
        assert letter.body == body
        assert b"Delivered-To: %b@example.org\r\n" % user.encode() in letter.postmark
        assert (
            letter.postmark.count(b"@example.org") == 2
        )  # Delivered-To and for: nobody else is named


def test_a_hundred_megabytes(make_office: Callable[..., Office]) -> None:
    """100 MB go in and come out, and the server never holds more than a small part of them."""
    office = make_office()
    office.start()
    user = office.newcomer()
    before = office.memory("VmRSS")
    sent = hashlib.sha256()
    octets = 0
    with SMTP(office.smtp) as sender:
        sender.envelope(user)
        for piece in pieces(100 * KIB * KIB):
            sent.update(piece)
            octets += len(piece)
            sender.send(stuffed(piece))
        sender.send(b".\r\n")
        assert sender.reply().startswith(b"250")
    with POP3(office.pop3, user) as reader:
        size = int(reader.listing("LIST")[0][1])
        assert size > octets > 100_000_000
        reader.ok("RETR 1")
        came = hashlib.sha256()
        skip = size - octets  # the postmark
        total = 0
        while (line := reader.line()) != b".":
            line = (line[1:] if line.startswith(b".") else line) + b"\r\n"
            total += len(line)
            if skip:
                skip -= len(line)
                assert skip >= 0
            else:
                came.update(line)
        assert total == size
        assert came.digest() == sent.digest()
        assert office.memory("VmHWM") - before < 150 * KIB * KIB
        reader.ok("DELE 1")
        reader.ok("QUIT")
    assert collect(office.pop3, user) == []


def pieces(octets: int) -> Iterator[bytes]:
    """Whole lines, many of which begin with a dot, in pieces of some 1 MiB."""
    random.seed(5)
    lines = [
        random.choice((b"", b".", b"..")) + random.randbytes(30).hex().encode()
        for _ in range(16_000)
    ]
    for number in range(octets // (KIB * KIB) + 1):
        yield b"%d\r\n" % number + b"\r\n".join(lines) + b"\r\n"
