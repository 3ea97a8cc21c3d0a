"""Makes connections that hand letters out, and holds what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.accounts.checkers import Login
from mailpost.accounts.portal import login
from mailpost.collection.protocol import POP3Connection
from mailpost.connection import Connection, ConnectionFactory
from mailpost.limits import ConnectionLimits
from mailpost.wire.pop3 import POP3Server

if TYPE_CHECKING:
    from twisted.cred.portal import Portal
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from mailpost.interfaces import IMaildrop

IDLE_SECONDS = 600.0
"""RFC 1939 §3: at least 10 minutes."""


class POP3Factory(ConnectionFactory):
    """A listener for POP3 behind a Portal.

    :param portal: its realm gives :class:`~mailpost.interfaces.IMaildrop`, or the
        ``twisted.mail.pop3.IMailbox`` that a realm written for Twisted's own POP3 server gives.
    """

    def __init__(
        self,
        hostname: str,
        portal: Portal,
        clock: IReactorTime,
        limits: ConnectionLimits | None = None,
        idle_seconds: float = IDLE_SECONDS,
        max_errors: int = 30,
    ) -> None:
        super().__init__(clock, limits or ConnectionLimits(), idle_seconds)
        self._hostname = hostname
        self._portal = portal
        self._max_errors = max_errors

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return POP3Connection(POP3Server(self._hostname, self._max_errors), peer)

    def log_in(self, name: str, password: bytes, peer: str) -> Deferred[IMaildrop]:
        """Ask the Portal who this is."""
        return login(self._portal, Login(name.encode("ascii"), password, peer))
