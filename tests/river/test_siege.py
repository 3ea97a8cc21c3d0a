"""An office under attack, as it ships but smaller: somebody honest is served, and memory stays what it was.

Attackers and the honest come through a door that believes a PROXY header, each from an address of the world,
since loopback is exempt from the limits. ``python -m benchmarks --hostile`` measures the same with thousands.
"""

from __future__ import annotations

import contextlib
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from .office import PASSWORD, Office, attempts, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
CONNECTIONS = 50
STRANGERS = 45
"""All but the last tenth."""

DOORS = """
[[listen]]
protocol = "smtp"
endpoint = "tcp:{smtp}:interface=127.0.0.1"
proxy = ["127.0.0.0/8"]

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3}:interface=127.0.0.1"
cleartext = true
proxy = ["127.0.0.0/8"]
"""

BODY = b"Subject: honest\r\n\r\nserved all the same\r\n"


class Besieged(Office):
    """An office with doors for the world."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, limits=f"connections = {CONNECTIONS}")
        self.world_smtp, self.world_pop3 = free_ports(2)
        with self.config.open("a") as file:
            file.write(DOORS.format(smtp=self.world_smtp, pop3=self.world_pop3))


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """It runs; nothing unexpected was logged in the end."""
    office = Besieged(tmp_path_factory.mktemp("besieged") / "office")
    office.start()
    try:
        yield office
        assert office.stop() == 0
        assert "Traceback" not in office.log, office.log[-6000:]
    finally:
        office.stop()


def come(port: int, address: str, doors: ExitStack, *, window: int = 0) -> socket.socket:
    """Connect, as somebody from there."""
    peer = doors.enter_context(socket.socket())
    if window:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    peer.settimeout(30)
    peer.connect(("127.0.0.1", port))
    peer.sendall(f"PROXY TCP4 {address} 198.51.100.1 40000 25\r\n".encode())
    return peer


def hear(peer: socket.socket, begin: bytes) -> bytes:
    """What was said, up to the end of a reply that begins so."""
    heard = b""
    while True:
        piece = peer.recv(65536)
        heard += piece
        last = heard.splitlines()[-1] if heard else b""
        if heard.endswith(b"\r\n") and last.startswith(begin) and last[3:4] != b"-":
            return heard
        assert piece, heard


def hand_in(port: int, address: str, user: str) -> None:
    """A letter from there, up to its 250."""
    with ExitStack() as doors:
        peer = come(port, address, doors)
        hear(peer, b"220")
        for line, reply in (
            (b"EHLO friend.example", b"250"),
            (b"MAIL FROM:<friend@example.com>", b"250"),
            (b"RCPT TO:<%b@example.org>" % user.encode(), b"250"),
            (b"DATA", b"354"),
            (BODY + b".", b"250"),
        ):
            peer.sendall(line + b"\r\n")
            hear(peer, reply)


def look_in(port: int, address: str, user: str) -> None:
    """Log in from there, STAT, QUIT."""
    with ExitStack() as doors:
        peer = come(port, address, doors)
        hear(peer, b"+OK")
        for line in (f"USER {user}", f"PASS {PASSWORD}", "STAT", "QUIT"):
            peer.sendall(line.encode() + b"\r\n")
            hear(peer, b"+OK")


def served(office: Besieged, user: str) -> None:
    """A mail server that was never here brings a letter, and its receiver sees it."""
    hand_in(office.world_smtp, "192.0.2.25", user)
    look_in(office.world_pop3, "192.0.2.110", user)


def test_more_that_drip_than_are_let_in(besieged: Besieged) -> None:
    """They hold all places that strangers have, and one of them gives way to each newcomer."""
    user = besieged.newcomer()
    served(besieged, user)
    before = besieged.memory("VmRSS")
    with ExitStack() as doors:
        drips = [
            come(besieged.world_smtp, f"203.0.113.{number % 9}", doors)
            for number in range(2 * STRANGERS)
        ]
        for drip in drips:
            with contextlib.suppress(OSError):
                drip.sendall(b"N")
        for number in range(5):
            hand_in(besieged.world_smtp, f"192.0.2.{number}", user)
        served(besieged, user)
        assert besieged.memory("VmRSS") - before < 10 * MIB
    assert "the office is full of strangers: 203.0.113." in besieged.log


def test_commands_without_end(besieged: Besieged) -> None:
    """30 peers pipeline commands and read no reply: others are served meanwhile, and little is held of it."""
    user = besieged.newcomer()
    served(besieged, user)
    before = besieged.memory("VmRSS")
    with ExitStack() as doors:
        for number in range(30):
            peer = come(besieged.world_smtp, f"203.0.113.{number}", doors, window=4096)
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                peer.send(b"NOOP\r\n" * 20_000)
        for _ in range(5):
            served(besieged, user)
        assert besieged.memory("VmRSS") - before < 20 * MIB


def test_a_line_that_goes_on_after_its_session(besieged: Besieged) -> None:
    """Its sender hears 500, and is cut off when it does not stop."""
    with ExitStack() as doors:
        peer = come(besieged.world_smtp, "203.0.113.1", doors)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            peer.sendall(bytes(200 * MIB))
        heard = b"".join(iter(lambda: peer.recv(4096), b""))
        assert b"\r\n500 5.5.2 line too long\r\n" in heard
    served(besieged, besieged.newcomer())


def test_whoever_comes_and_goes(besieged: Besieged) -> None:
    """300 connections, closed as they were greeted: nothing is left of them."""
    user = besieged.newcomer()
    served(besieged, user)
    before = besieged.memory("VmRSS")
    for number in range(300):
        with ExitStack() as doors:
            hear(come(besieged.world_smtp, f"203.0.112.{number % 200}", doors), b"220")
    served(besieged, user)
    assert any(besieged.log.count("intake from 203.0.112.") == 300 for _ in attempts())
    assert besieged.memory("VmRSS") - before < 10 * MIB
