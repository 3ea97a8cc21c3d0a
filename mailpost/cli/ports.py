"""Whether the ports of the configuration can be listened on, found out by listening for a moment.

It does no harm: nothing is said to whoever should connect just then, and the port is free again.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from attrs import frozen

from mailpost import endpoint

if TYPE_CHECKING:
    from mailpost.config import Listen

FREE, TAKEN, FORBIDDEN, ELSEWHERE = "free", "taken", "forbidden", "elsewhere"

_STATES = {
    errno.EADDRINUSE: TAKEN,
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EADDRNOTAVAIL: ELSEWHERE,
}


@frozen
class Place:
    """Where on the network a listener is.

    :ivar host: an IP address; where all are meant, ``0.0.0.0`` or ``::``.
    """

    host: str
    port: int

    @property
    def shown(self) -> str:
        """The address as a person writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reached(self) -> str:
        """The address by which this machine itself reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - read, not bound

    @property
    def family(self) -> socket.AddressFamily:
        """Which of the two internets it is on."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def place(listen: Listen) -> Place | None:
    """Tell where a listener is; None where that is no port of TCP, or systemd's to say."""
    parts = endpoint.parse(listen.endpoint)
    if parts["type"] not in {"tcp", "tcp6"}:
        return None
    anywhere = "::" if parts["type"] == "tcp6" else "0.0.0.0"  # noqa: S104 - read, not bound
    return Place(parts.get("interface") or anywhere, int(parts["port"]))


def state(where: Place) -> str:
    """Find out whether it can be listened on.

    :returns: ``free``, ``taken`` by some program, ``forbidden`` to this user, or ``elsewhere``: it is no
        address of this machine.
    :raises OSError: it fails for another reason.
    """
    try:
        with socket.socket(where.family, socket.SOCK_STREAM) as tried:
            # As Twisted has it: a port that a program has just left is free.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((where.host, where.port))
            tried.listen(1)
    except OSError as error:
        if error.errno not in _STATES:
            raise
        return _STATES[error.errno]
    return FREE
