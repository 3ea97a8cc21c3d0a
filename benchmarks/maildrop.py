"""A maildrop as its owner sees it: how many letters there are, and taking all of them away.

Not measured; a few lines over a socket, since ``poplib`` waits for each DELE.
"""

from __future__ import annotations

import poplib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from benchmarks.systems import PASSWORD, System, user_name

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

TIMEOUT_SECONDS = 120
DELETES_AT_ONCE = 200


def count(system: System, user: int) -> int:
    """Return how many letters STAT announces."""
    with _session(system, user) as session:
        letters, _ = session.stat()
        session.quit()
    return letters


def empty(system: System, user: int, keep: int = 0) -> None:
    """Delete every letter behind the first ``keep``, and see that none of them is left."""
    with _session(system, user) as session:
        letters, _ = session.stat()
        connection: socket.socket = session.sock
        replies = session.file
        for first in range(keep + 1, letters + 1, DELETES_AT_ONCE):
            numbers = range(first, min(first + DELETES_AT_ONCE, letters + 1))
            connection.sendall(b"".join(b"DELE %d\r\n" % number for number in numbers))
            for _ in numbers:
                reply = replies.readline()
                if not reply.startswith(b"+OK"):
                    raise BenchmarkError(f"{system.name}: reply to DELE: {reply!r}")
        session.quit()
    if (left := count(system, user)) != keep:
        raise BenchmarkError(f"{system.name}: {left} letters are left, {keep} were to be kept")


@contextmanager
def _session(system: System, user: int) -> Iterator[poplib.POP3]:
    """Log in; what goes wrong then is a failure of the benchmark, told with the user's name."""
    session = None
    try:
        session = poplib.POP3("127.0.0.1", system.pop3_port, timeout=TIMEOUT_SECONDS)
        session.user(user_name(user))
        session.pass_(PASSWORD)
        yield session
    except (OSError, poplib.error_proto) as failure:
        raise BenchmarkError(f"{system.name}, {user_name(user)}: {failure}") from None
    finally:
        if session is not None:
            session.close()
