"""Command-line programs that hand letters in: curl, swaks, msmtp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .maildrop import only_letter
from .programs import Program, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .office import Office

BODY = (
    b"From: Bob <bob@example.net>\r\n"
    b"To: somebody@example.org\r\n"
    b"Subject: sent by a program\r\n"
    b"Date: Mon, 02 Jan 2023 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.net>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\n"
    b"Gr\xc3\xbc\xc3\x9fe\r\n"
    b".\r\n"
    b"..\r\n"
    b".a dot first\r\n"
    b"\r\n" + b"x" * 998 + b"\r\n"
    b"the end\r\n"
)


def curl(office: Office, program: Program, home: Path, *to: str, status: int = 0) -> bytes:
    """Send the letter with curl."""
    file = home / "letter"
    file.write_bytes(BODY)
    recipients = [part for one in to for part in ("--mail-rcpt", one)]
    return run(
        *(program("curl", "curl"), "--silent", "--show-error", "--max-time", "20"),
        f"smtp://127.0.0.1:{office.smtp}/client.example",
        *("--mail-from", "bob@example.net", *recipients, "--upload-file", str(file)),
        home=home,
        status=status,
    )


def swaks(office: Office, program: Program, home: Path, *to: str, status: int = 0) -> bytes:
    """Send the letter with swaks, pipelined."""
    file = home / "letter"
    file.write_bytes(BODY.removesuffix(b"\r\n"))  # it ends the last line itself
    return run(
        *(program("swaks", "swaks"), "--server", f"127.0.0.1:{office.smtp}", "--timeout", "20"),
        *("--from", "bob@example.net", "--to", ",".join(to), "--data", f"@{file}", "--pipeline"),
        home=home,
        status=status,
    )


def msmtp(office: Office, program: Program, home: Path, *to: str, status: int = 0) -> bytes:
    """Send the letter with msmtp, which reads it with the line ends of UNIX."""
    return run(
        *(program("msmtp", "msmtp"), "--file=/dev/null", "--host=127.0.0.1"),
        *(f"--port={office.smtp}", "--timeout=20", "--from=bob@example.net", "--domain=client"),
        *("--", *to),
        typed=BODY.replace(b"\r\n", b"\n"),
        home=home,
        status=status,
    )


@pytest.mark.parametrize("send", [curl, swaks, msmtp])
def test_what_it_sends_is_what_is_kept(
    office: Office, program: Program, tmp_path: Path, send: Callable[..., bytes]
) -> None:
    """Every octet arrives, below exactly one postmark, once for each of two recipients."""
    alice, bob = office.newcomer("alice"), office.newcomer("bob")
    send(office, program, tmp_path, f"{alice}@example.org", f"{bob}@example.org")
    for user in (alice, bob):
        letter = only_letter(office.pop3, user)
        assert letter.body == BODY
        assert letter.postmark.startswith(
            b"Return-Path: <bob@example.net>\r\nDelivered-To: %b@example.org\r\n" % user.encode()
        )
        assert b"with ESMTP id " in letter.postmark


@pytest.mark.parametrize(
    ("send", "status"), [(curl, 55), (swaks, 24), (msmtp, 65)], ids=["curl", "swaks", "msmtp"]
)
def test_it_hears_of_a_refusal(
    office: Office, program: Program, tmp_path: Path, send: Callable[..., bytes], status: int
) -> None:
    """An unknown recipient is an error to the program, which has read the reply."""
    assert b"550" in send(office, program, tmp_path, "nobody@example.org", status=status)
