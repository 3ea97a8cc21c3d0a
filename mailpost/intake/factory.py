"""Makes connections that take letters in, and holds what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.connection import Connection, ConnectionFactory
from mailpost.intake.postmarks import Postmarks
from mailpost.intake.protocol import SMTPConnection
from mailpost.limits import ConnectionLimits
from mailpost.wire.smtp import Settings, SMTPServer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from mailpost.interfaces import IDelivery, ISorter

IDLE_SECONDS = 300.0
"""RFC 5321 §4.5.3.2.7: at least 5 minutes."""


class SMTPFactory(ConnectionFactory):
    """A listener for SMTP.

    :param sorter: decides at RCPT.
    :param delivery: keeps what is handed in.
    :param clock: its ``seconds()`` are taken for the time of day as well.
    """

    def __init__(
        self,
        settings: Settings,
        sorter: ISorter,
        delivery: IDelivery,
        clock: IReactorTime,
        limits: ConnectionLimits | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        super().__init__(clock, limits or ConnectionLimits(), idle_seconds)
        self._settings = settings
        self.sorter = sorter
        self.delivery = delivery
        self.postmarks = Postmarks(settings.hostname)

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return SMTPConnection(SMTPServer(self._settings), peer)
