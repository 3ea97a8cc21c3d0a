"""A word to the supervisor that has started us (systemd's protocol, sd_notify(3)).

``systemctl start`` then waits until the doors are open, and fails where they do not open.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def tell_supervisor(state: str) -> None:
    """Tell a state, such as ``READY=1``, to a supervisor that wants to know of it; without one do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # in the abstract namespace
        address = "\0" + address[1:]
    # Whoever no longer listens need not be told.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(state.encode(), address)
