"""The keys that session tickets are encrypted with (RFC 5077, RFC 8446 §4.6.1).

OpenSSL makes them with each context, and pyOpenSSL has no word for them. But a connection keeps to those of
the context that it began with, whichever shows the certificate later. So a context without a certificate is
a key: what it has sealed stays good when certificates change, and in every process that was forked while it
was there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mailpost.tls.contexts import make_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL import SSL

KEY_SECONDS = 12 * 3600.0
"""How old a key becomes: who steals one reads no older TLS 1.2 session."""

DAYS = 60
"""How long several processes have the same keys; later each makes its own, until there are new processes."""


class TicketKeys:
    """One key after the other, each for its time; then it is gone from memory.

    :param now: a clock, in seconds; the same one in all processes that share the keys.
    :param ahead: how many keys there are from the beginning, for those who are forked from here. Later ones
        are made when their time has come.
    """

    def __init__(self, now: Callable[[], float], ahead: int = 1) -> None:
        self._now = now
        self._since = now()
        self._keys = deque(make_context([]) for _ in range(ahead))

    @classmethod
    def for_processes(cls, now: Callable[[], float]) -> TicketKeys:
        """Keys for :data:`DAYS`: some 1.6 MB, which processes share."""
        return cls(now, int(DAYS * 86400 / KEY_SECONDS))

    def current(self) -> SSL.Context:
        """What a connection begins with now."""
        past = int((self._now() - self._since) // KEY_SECONDS)
        if past > 0:
            self._since += past * KEY_SECONDS
            for _ in range(min(past, len(self._keys))):
                self._keys.popleft()
            if not self._keys:
                self._keys.append(make_context([]))
        return self._keys[0]
