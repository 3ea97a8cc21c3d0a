"""Maildrops: what a login gives, the right to open one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
from zope.interface import implementer

from mailpost.interfaces import IMaildrop, ISnapshot
from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store.lapsing import Opened, worth_noting
from mailpost.store.snapshot import Room, Snapshot
from mailpost.store.views import Places, look, look_since

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

AT_ONCE = 64  # letters: to list so few takes less than going to a thread


@implementer(IMaildrop)
class Maildrop:
    """A maildrop, seen through one view."""

    __slots__ = ("_maildrop", "_room", "_view")

    def __init__(self, room: Room, maildrop: int, view: int) -> None:
        self._room = room
        self._maildrop = maildrop
        self._view = view

    def open(self) -> ISnapshot | Deferred[ISnapshot]:
        """Lock the view and see what is in it."""
        if not self._room.locks.take(self._view):
            raise MaildropInUse
        try:
            places = look(self._room.finder, self._view, AT_ONCE)
        except apsw.Error as error:
            self._room.locks.free(self._view)
            raise TemporaryFailure(f"the maildrop cannot be read: {error}") from error
        if len(places.numbers) + places.exceptions < AT_ONCE:
            return self._opened(places)
        looking = self._room.readers.defer(look, self._view)
        return looking.addCallbacks(self._opened, self._failed)

    def _opened(self, places: Places) -> ISnapshot:
        now = self._room.clock.seconds()
        if worth_noting(places.living, places.opened, now):
            # Nobody waits for it: where it cannot be written, the next login's will do.
            noting = self._room.ledger.submit(Opened(self._view, int(now)))
            noting.addErrback(lambda _: None)
        return Snapshot(self._room, self._maildrop, self._view, places)

    def _failed(self, failure: Failure) -> Failure:
        self._room.locks.free(self._view)
        return failure


@implementer(IMaildrop)
class Lately:
    """A maildrop's letters of late, seen through no view: nothing is locked, nothing let go of.

    :param seconds: how old a letter may be.
    """

    __slots__ = ("_maildrop", "_room", "_seconds")

    def __init__(self, room: Room, maildrop: int, seconds: int) -> None:
        self._room = room
        self._maildrop = maildrop
        self._seconds = seconds

    def open(self) -> ISnapshot | Deferred[ISnapshot]:
        """See what has come of late and is still there."""
        since = int(self._room.clock.seconds()) - self._seconds
        looking = self._room.readers.defer(look_since, self._maildrop, since)
        return looking.addCallback(self._opened)

    def _opened(self, places: Places) -> ISnapshot:
        return Snapshot(self._room, self._maildrop, None, places)
