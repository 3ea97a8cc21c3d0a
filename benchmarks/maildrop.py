"""A maildrop as its owner sees it: how many letters there are, and taking all of them away.

Not measured; a few lines over a socket, since ``poplib`` waits for each DELE.
"""

from __future__ import annotations

import poplib
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from benchmarks.systems import PASSWORD, System, user_name

if TYPE_CHECKING:
    import socket

TIMEOUT_SECONDS = 120
DELETES_AT_ONCE = 200


def count(system: System, user: int) -> int:
    """Return how many letters STAT announces."""
    return _stat(_login(system, user), close=True)


def empty(system: System, user: int) -> None:
    """Delete every letter, and see that none is left."""
    session = _login(system, user)
    letters = _stat(session)
    connection: socket.socket = session.sock
    replies = session.file
    for first in range(1, letters + 1, DELETES_AT_ONCE):
        numbers = range(first, min(first + DELETES_AT_ONCE, letters + 1))
        connection.sendall(b"".join(b"DELE %d\r\n" % number for number in numbers))
        for _ in numbers:
            reply = replies.readline()
            if not reply.startswith(b"+OK"):
                raise BenchmarkError(f"{system.name}: reply to DELE: {reply!r}")
    session.quit()
    if left := count(system, user):
        raise BenchmarkError(f"{system.name}: {left} letters are left after all were deleted")


def _login(system: System, user: int) -> poplib.POP3:
    try:
        session = poplib.POP3("127.0.0.1", system.pop3_port, timeout=TIMEOUT_SECONDS)
        session.user(user_name(user))
        session.pass_(PASSWORD)
    except (OSError, poplib.error_proto) as failure:
        raise BenchmarkError(f"{system.name}: {user_name(user)} cannot log in: {failure}") from None
    return session


def _stat(session: poplib.POP3, *, close: bool = False) -> int:
    letters, _ = session.stat()
    if close:
        session.quit()
    return letters
