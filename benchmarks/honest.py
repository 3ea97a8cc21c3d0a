"""Honest people, who come again and again while others attack: a letter in, a maildrop looked at.

Each comes when it is due, whatever became of those before, over a connection of its own. The time of a
visit runs from connecting until the 250 to the letter, or the ``+OK`` to QUIT. A reply that is not what it
must be, or none within :data:`PATIENCE`, is a failure. Beside its time a visit has the processor time of the
servers in it, which tells how much they put before it even where the machine is busy with something else.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.systems import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Visit = Callable[[int], None]

AT_ONCE = 30  # visits under way, so that one that takes long holds up no other
PATIENCE = 10.0
"""Seconds after which nobody waits any longer."""

LETTER = b"From: <friend@example.com>\r\nSubject: honest\r\n\r\n" + 50 * (b"X" * 76 + b"\r\n")


@dataclass
class Visits:
    """What became of many visits: the seconds of each, the servers' processor time in it, why some failed."""

    took: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def quantile(self, part: float) -> float:
        """The seconds within which so large a part was served; a failure took for ever."""
        return _quantile([*self.took, *[PATIENCE] * len(self.failures)], part)

    def costs(self, part: float) -> float:
        """The servers' processor time within which so large a part of those that were served was."""
        return _quantile(self.cost, part)


def _quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[int(part * (len(values) - 1))] if values else PATIENCE


class Guest:
    """One connection of somebody who says who he is by a PROXY header.

    :param address: from where he comes.
    """

    def __init__(self, port: int, address: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._socket.sendall(b"PROXY TCP4 %b 198.51.100.1 40000 25\r\n" % address.encode())

    def expect(self, begin: bytes) -> None:
        """Read a reply that begins so; raise OSError for any other."""
        while True:
            line = self._file.readline()
            if not line.startswith(begin):
                raise OSError(line.decode(errors="replace").strip() or "the connection was closed")
            if line[3:4] != b"-":
                return

    def ask(self, line: bytes, begin: bytes) -> None:
        """Say a line and read the reply to it."""
        self._socket.sendall(line + b"\r\n")
        self.expect(begin)

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


def hand_in(port: int, address: str, recipient: str) -> None:
    """Bring a letter, up to its 250; raise OSError where that does not come."""
    guest = Guest(port, address)
    try:
        guest.expect(b"220")
        guest.ask(b"EHLO friend.example.com", b"250")
        guest.ask(b"MAIL FROM:<friend@example.com>", b"250")
        guest.ask(b"RCPT TO:<%b>" % recipient.encode(), b"250")
        guest.ask(b"DATA", b"354")
        guest.ask(LETTER + b".", b"250")
    finally:
        guest.close()


def look_in(port: int, address: str, user: str) -> None:
    """Log in, STAT, QUIT; raise OSError where that is not granted."""
    guest = Guest(port, address)
    try:
        guest.expect(b"+OK")
        guest.ask(b"USER " + user.encode(), b"+OK")
        guest.ask(b"PASS " + PASSWORD.encode(), b"+OK")
        guest.ask(b"STAT", b"+OK")
        guest.ask(b"QUIT", b"+OK")
    finally:
        guest.close()


def come(
    visits: Sequence[Visit], per_second: float, seconds: float, spent: Callable[[], float]
) -> list[Visits]:
    """Pay all these visits so often, for so long.

    :param visits: given the number of the time they are paid for.
    :param spent: processor time of the servers so far.
    """
    told = [Visits() for _ in visits]

    def pay(kind: int, number: int) -> None:
        begun, before = time.monotonic(), spent()
        try:
            visits[kind](number)
        except OSError as failure:
            told[kind].failures.append(str(failure))
        else:
            told[kind].took.append(time.monotonic() - begun)
            told[kind].cost.append(spent() - before)

    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(int(per_second * seconds)):
            time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            for kind in range(len(visits)):
                pool.submit(pay, kind, number)
    return told
