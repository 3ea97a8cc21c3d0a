"""Why the protocol engines are our own: what ``twisted.mail`` does, and mailpost must never do.

Each test names a defect of the server sides of ``twisted.mail`` that was found by reading and running
it. What it lacks altogether (STLS, SASL PLAIN ...) is tested where mailpost has it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred

from mailpost.envelope import Destination
from tests.collection.office import LETTERS, Office, Pieces
from tests.intake.office import ENVELOPE, codes
from tests.intake.office import Office as Intake

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")


def test_smtp_63_answers_out_of_order() -> None:
    """It answers pipelined commands before the ones that still wait for a decision."""
    office = Intake()
    slow: Deferred[Any] = Deferred()
    office.sorter.answers["slow"] = slow
    peer = office.peer()
    heard = peer.ask(
        b"MAIL FROM:<>\r\nRCPT TO:<slow@x>\r\nRCPT TO:<alice@x>\r\nVRFY x\r\nFNORD\r\n"
    )
    assert codes(heard) == ["250 2.1.0"]
    slow.callback(Destination(9, "slow@x"))
    assert codes(peer.heard()) == ["250 2.1.5", "250 2.1.5", "252 2.1.5", "500 5.5.2"]


@pytest.mark.parametrize("length", [16_384, 16_385, 70_000, 300_000])
def test_smtp_21_lines_after_one_that_is_too_long_are_run(length: int) -> None:
    """It runs what follows an over-long line of a letter as commands."""
    office = Intake()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    body = b"l" * length + b"\r\nQUIT\r\nMAIL FROM:<evil@x>\r\n"
    assert peer.ask(body) == b""
    assert codes(peer.ask(b".\r\n")) == ["250 2.0.0"]
    assert office.delivery.kept[0].body == body


@pytest.mark.parametrize("size", [4096, 8192, 16_384, 65_536])
@pytest.mark.parametrize("shift", range(-4, 4))
def test_pop3_11_dots_are_lost_where_a_buffer_ends(size: int, shift: int) -> None:
    """It does not stuff a dot that stands at a boundary of 16 KiB."""
    letter = b"x" * (size + shift) + b"\r\n.\r\n..\r\n\r\n.end\r\n"
    sent = b"+OK %d octets\r\n%b.\r\n" % (len(letter), letter.replace(b"\r\n.", b"\r\n.."))
    office = Office([letter])
    peer = office.peer()
    assert peer.ask(b"RETR 1\r\n") == sent
    office.snapshot.answers[0] = Pieces(
        *[letter[start : start + size] for start in range(0, len(letter), size)]
    )
    assert peer.ask(b"RETR 1\r\n") == sent


def test_pop3_10_dele_0_deletes_the_last_letter() -> None:
    """It takes 0 for the letter before the first one, which Python finds at the end."""
    office = Office()
    peer = office.peer()
    assert peer.ask(b"DELE 0\r\n").startswith(b"-ERR")
    peer.ask(b"QUIT\r\n")
    assert office.maildrop.letters == LETTERS


def test_pop3_15_dele_removes_at_once() -> None:
    """It deletes at DELE, not at QUIT."""
    office = Office()
    peer = office.peer()
    assert peer.ask(b"DELE 1\r\n").startswith(b"+OK")
    peer.leave()
    assert office.maildrop.asked is None
    assert office.maildrop.letters == LETTERS


@pytest.mark.parametrize("verb", [b"RETR", b"DELE", b"TOP", b"TOP 1", b"USER", b"PASS", b"LIST x"])
def test_pop3_10_retr_without_an_argument_drops_the_session(verb: bytes) -> None:
    """It closes the connection, for want of an argument."""
    office = Office()
    peer = office.peer()
    assert peer.ask(verb + b"\r\n").startswith(b"-ERR ")
    assert peer.ask(b"NOOP\r\n") == b"+OK ok\r\n"


def test_pop3_14_quit_does_not_wait(log: Logbook) -> None:
    """It says +OK to QUIT whatever becomes of the deletions."""
    office = Office()
    office.maildrop.let_go_answer = going = Deferred()
    peer = office.peer()
    peer.ask(b"DELE 1\r\n")
    assert peer.ask(b"QUIT\r\n") == b""
    going.errback(OSError("disk full"))
    assert peer.heard().startswith(b"-ERR [SYS/TEMP] ")
    assert log.take_failures(OSError)


def test_it_lacks_size_and_pipelining() -> None:
    """It announces neither, and takes in what is too large."""
    office = Intake(max_octets=1000)
    peer = office.peer()
    announced = peer.ask(b"EHLO x\r\n").split(b"\r\n")
    assert {b"250-PIPELINING", b"250-SIZE 1000"} <= {*announced}
    assert codes(peer.ask(b"MAIL FROM:<> SIZE=1001\r\n")) == ["552 5.3.4"]


def test_its_command_line_fails() -> None:
    """``twistd mail`` fails on its documented options; ``twistd mailpost --help`` works."""
    helped = subprocess.run(
        [
            sys.executable,
            "-c",
            "from twisted.scripts.twistd import run; run()",
            "mailpost",
            "--help",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--config=" in helped.stdout
    assert "--auth=" in helped.stdout
