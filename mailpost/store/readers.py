"""Readers: a few connections that read, shared by the threads that need one for a moment."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import apsw

from mailpost.outcome import TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from mailpost.store.sqlite import Engine

T = TypeVar("T")
P = ParamSpec("P")


class Readers:
    """Runs what reads, each on a connection of its own while it lasts.

    :param in_thread: runs a callable in some thread; a Deferred of its result.
    """

    def __init__(self, engine: Engine, in_thread: Callable[..., Deferred[Any]]) -> None:
        self._engine = engine
        self._in_thread = in_thread
        self._idle: list[apsw.Connection] = []
        self._closed = False

    def call(
        self,
        read: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Read here and now.

        :raises TemporaryFailure: it cannot be read just now.
        """
        if self._closed:
            raise TemporaryFailure("the store is closed")
        try:
            try:
                db = self._idle.pop()
            except IndexError:
                db = self._engine.reader()
            try:
                return read(db, *args, **kwargs)
            finally:
                self._give_back(db)
        except apsw.Error as error:
            raise TemporaryFailure(f"the store cannot be read: {error}") from error

    def _give_back(self, db: apsw.Connection) -> None:
        self._idle.append(db)
        if self._closed:  # while it was reading
            self.close()

    def defer(
        self,
        read: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        """Read in a thread."""
        return self._in_thread(self.call, read, *args, **kwargs)

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()
