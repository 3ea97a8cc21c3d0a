"""How a running office fares: what lives in its memory, told at the control socket.

Nothing is counted for it on the way of a letter: a listener adds up what each connection has counted for its
own line in the log.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mailpost import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.doors import Door
    from mailpost.store import Store


def report(doors: Sequence[Door], store: Store, since: float) -> dict[str, Any]:
    """Tell it, as JSON can say it.

    :param since: when the office opened, in seconds since 1970.
    """
    return {
        "process": os.getpid(),
        "version": __version__,
        "since": int(since),
        "listeners": [_listener(door) for door in doors],
        "waiting_writes": store.ledger.waiting,
    }


def _listener(door: Door) -> dict[str, Any]:
    room = door.room
    return {
        "protocol": door.listen.protocol,
        "where": door.where,
        "tls": door.listen.tls,
        "sessions": 0 if room is None else len(room.connections),
        "sessions_ended": 0 if room is None else room.ended,
        "refused": 0 if room is None else room.refused,
        "letters": 0 if room is None else room.letters,
    }
