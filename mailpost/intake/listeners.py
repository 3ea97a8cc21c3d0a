"""What listens for letters: SMTP, submission and LMTP, each a factory of its connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mailpost.accounts.entrance import Entrance
from mailpost.intake.desk import Desk
from mailpost.intake.postmarks import Postmarks
from mailpost.intake.protocol import LMTPConnection, SMTPConnection
from mailpost.intake.reports import Reports
from mailpost.limits import ConnectionLimits
from mailpost.listener import ConnectionFactory
from mailpost.wire.lmtp import LMTPServer
from mailpost.wire.sasl import Checks
from mailpost.wire.smtp import Settings, SMTPServer

if TYPE_CHECKING:
    from twisted.cred.portal import Portal
    from twisted.internet.interfaces import IReactorTime

    from mailpost.connection import Connection
    from mailpost.interfaces import IDelivery, ISorter

IDLE_SECONDS = 300.0
"""RFC 5321 §4.5.3.2.7: at least 5 minutes."""

S = TypeVar("S", bound=SMTPServer)


class SMTPFactory(ConnectionFactory):
    """A listener for SMTP.

    :param sorter: decides at RCPT.
    :param delivery: keeps what is handed in.
    :param clock: its ``seconds()`` are taken for the time of day as well.
    :param portal: who may log in; its realm gives :class:`~mailpost.interfaces.ISender`. None: nobody.
    :ivar desk: what its connections work with.
    """

    atomic = True
    """All recipients of a letter are served, or none is."""

    submission = False
    """Letters come from their authors: what they lack is added (RFC 6409)."""

    def __init__(
        self,
        settings: Settings,
        sorter: ISorter,
        delivery: IDelivery,
        clock: IReactorTime,
        limits: ConnectionLimits | None = None,
        idle_seconds: float = IDLE_SECONDS,
        portal: Portal | None = None,
    ) -> None:
        super().__init__(clock, limits or ConnectionLimits(), idle_seconds)
        self._settings = settings
        postmarks = Postmarks(settings.hostname)
        self.desk = Desk(
            sorter=sorter,
            delivery=delivery,
            postmarks=postmarks,
            reports=Reports(settings.hostname, postmarks),
            entrance=None if portal is None else Entrance(portal, clock),
            atomic=self.atomic,
            submission=self.submission,
        )

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return SMTPConnection(self._session(SMTPServer, peer), peer, self.desk)

    def _session(self, dialect: type[S], peer: str) -> S:
        entrance = self.desk.entrance
        if entrance is None:
            return dialect(self._settings, self.security.access_from(peer, Checks(0)))
        access = self.security.access_from(peer, entrance.checks, entrance.told)
        return dialect(self._settings, access)


class SubmissionFactory(SMTPFactory):
    """A listener for the office's own users (RFC 6409). Its settings say that a login is needed."""

    submission = True


class LMTPFactory(SMTPFactory):
    """A listener for a relay that stands in front (RFC 2033)."""

    atomic = False

    def connection(self, peer: str) -> Connection:
        """A new connection with a new session."""
        return LMTPConnection(self._session(LMTPServer, peer), peer, self.desk)
