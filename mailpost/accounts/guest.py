"""A maildrop out of somebody else's realm: when its session ends, the login ends.

``twisted.cred`` gives a logout with every avatar. A session only knows of its snapshot, so the
logout is bound to the snapshot's ``close``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.interfaces import IMaildrop, ISnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

_log = Logger()


@implementer(IMaildrop)
class Guest:
    """A maildrop whose login ends with its session.

    :param logout: called once, when the snapshot is closed or could not be had.
    """

    def __init__(self, maildrop: IMaildrop, logout: Callable[[], object]) -> None:
        self._maildrop = maildrop
        self._logout = logout

    def open(self) -> Deferred[ISnapshot]:
        """Open it; where that fails, or is cancelled, the login has ended."""
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> ISnapshot:
        try:
            snapshot = self._maildrop.open()
            if isinstance(snapshot, Deferred):
                snapshot = await snapshot
        except BaseException:
            _end(self._logout)
            raise
        return GuestSnapshot(snapshot, self._logout)


@implementer(ISnapshot)
class GuestSnapshot:
    """The snapshot as it is, but for its ``close``."""

    def __init__(self, snapshot: ISnapshot, logout: Callable[[], object]) -> None:
        self.sizes = snapshot.sizes
        self.uidl = snapshot.uidl
        self.fetch = snapshot.fetch
        self.at_hand = snapshot.at_hand
        self.let_go = snapshot.let_go
        self._close = snapshot.close
        self._logout: Callable[[], object] | None = logout

    def close(self) -> None:
        """Close the snapshot, then end the login."""
        self._close()
        logout, self._logout = self._logout, None
        if logout is not None:
            _end(logout)


def _end(logout: Callable[[], object]) -> None:
    """Log out; a realm that fails at it, now or later, must not fail the session."""
    ended: Deferred[object] = maybeDeferred(logout)
    ended.addErrback(lambda failure: _log.failure("a logout failed", failure))
