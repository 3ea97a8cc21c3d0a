"""The login of a connection, whatever the dialect: what its engine asks is put to the entrance.

Between :mod:`mailpost.connection` and the rooms, which add what a login gives there and what is said of one
that fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.cred.error import LoginFailed
from twisted.logger import Logger

from mailpost.connection import Connection
from mailpost.logs import told
from mailpost.outcome import MaildropInUse, MaildropLocked, TemporaryFailure, TooSoon
from mailpost.wire.login import Login
from mailpost.wire.sasl_events import KeysAsked

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from mailpost.accounts.entrance import Entrance
    from mailpost.wire.login import LoginSession
    from mailpost.wire.session import Event, SessionEnded

_log = Logger(namespace="mailpost.accounts")

_NOT_LET_IN = (LoginFailed, MaildropLocked, MaildropInUse, TooSoon, TemporaryFailure)


class LoginConnection(Connection):
    """A connection whose peer may log in."""

    def __init__(self, session: LoginSession, peer: str) -> None:
        super().__init__(session, peer)
        self._login: Deferred[None] | None = None  # while it is under way

    @property
    def entrance(self) -> Entrance:
        """Where it is asked; there is one where an engine offers a login."""
        raise NotImplementedError

    async def let_in(self, event: Login) -> Callable[[], None]:
        """Ask for what a login gives here; what is returned is called when the session is to have it.

        By then the session may be closed. Fails with LoginFailed, MaildropLocked, MaildropInUse, TooSoon
        or TemporaryFailure.
        """
        raise NotImplementedError

    def not_let_in(self, why: Exception) -> SessionEnded | None:
        """Say that the login failed; the end that this leads to, if any."""
        raise NotImplementedError

    def act(self, event: Event) -> SessionEnded | None:
        """Act on what leads to a login."""
        if isinstance(event, Login):
            self._login = self.answer_later(self._log_in(event))
        elif isinstance(event, KeysAsked):
            return self._give_keys(event)
        return None

    def may_go(self, *, alone: bool) -> bool:
        """Likewise, and where a login is one of many that wait: those are guesses."""
        return super().may_go(alone=alone) or (not alone and isinstance(self.session.asked, Login))

    def gone(self) -> None:
        """Nobody waits for the login: its place in the queue is free."""
        if self._login is not None:
            self._login.cancel()

    def _give_keys(self, event: KeysAsked) -> SessionEnded | None:
        try:
            self.session.give_keys(self.entrance.keys(event.name))
        except TemporaryFailure as failure:
            return self._put_off(event.name, failure)
        return None

    async def _log_in(self, event: Login) -> None:
        try:
            admit = await self.let_in(event)
        except _NOT_LET_IN as why:
            if not self.session.closed and (end := self._put_off(event.name, why)):
                self.end(end)
        else:
            admit()
            if self.stranger:
                self.factory.acquainted(self)
        finally:
            self._login = None

    def _put_off(self, name: str, why: Exception) -> SessionEnded | None:
        if isinstance(why, TemporaryFailure):
            _log.warn("login of {user} put off: {why}", user=told(name), why=why)
        return self.not_let_in(why)
