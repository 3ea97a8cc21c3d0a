"""Maildrops: what a login gives, the right to open one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailpost.interfaces import IMaildrop
from mailpost.outcome import MaildropInUse
from mailpost.store.snapshot import Room, Snapshot
from mailpost.store.views import Places, look

if TYPE_CHECKING:
    from twisted.python.failure import Failure


@implementer(IMaildrop)
class Maildrop:
    """A maildrop, seen through one view."""

    __slots__ = ("_maildrop", "_room", "_view")

    def __init__(self, room: Room, maildrop: int, view: int) -> None:
        self._room = room
        self._maildrop = maildrop
        self._view = view

    def open(self) -> Deferred[Snapshot]:
        """Lock the view and see what is in it."""
        if not self._room.locks.take(self._view):
            raise MaildropInUse
        looking = self._room.readers.defer(look, self._maildrop, self._view)
        return looking.addCallbacks(self._opened, self._failed)

    def _opened(self, places: Places) -> Snapshot:
        return Snapshot(self._room, self._maildrop, self._view, places)

    def _failed(self, failure: Failure) -> Failure:
        self._room.locks.free(self._view)
        return failure
