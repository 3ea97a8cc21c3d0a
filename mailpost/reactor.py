"""The reactor of ``mailpost serve``: Twisted's own for epoll, without the old log's word on every event.

Twisted sets the context of ``twisted.python.log`` anew for each socket that has something to say, which
costs 3 µs: a tenth of a letter that goes out, a twentieth of one that comes in by four commands. Nobody here
logs by that. What fails within an event is logged and closes its connection, as before. Under ``twistd``
the reactor is whatever was asked for there.
"""

from __future__ import annotations

import errno
import sys

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor


class PlainReactor(EPollReactor):
    """Reads and writes what is ready, and tells nobody."""

    def doPoll(self, timeout: float | None) -> None:
        """Wait for what is ready, and see to all of it.

        :param timeout: seconds; None: as long as it takes.
        """
        try:
            ready = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        selectables, see_to = self._selectables, self._doReadOrWrite
        for number, event in ready:
            selectable = selectables.get(number)
            if selectable is not None:  # one before it may have closed it
                see_to(selectable, number, event)  # type: ignore[no-untyped-call]

    doIteration = doPoll


def install() -> None:
    """Make it the process's reactor, unless there is one already."""
    if "twisted.internet.reactor" not in sys.modules:
        installReactor(PlainReactor())  # type: ignore[no-untyped-call]
