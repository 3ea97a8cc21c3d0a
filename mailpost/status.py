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

_NOTHING = {"sessions": 0, "sessions_ended": 0, "refused": 0, "letters": 0}


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


def together(reports: Sequence[dict[str, Any]], since: float) -> dict[str, Any]:
    """What several workers have told, as of one office; this process is the one that leads them.

    :param since: when the office opened, in seconds since 1970.
    """
    listeners: dict[tuple[str, str], dict[str, Any]] = {}
    for one in (listener for told in reports for listener in told["listeners"]):
        known = listeners.setdefault((one["protocol"], one["where"]), {**one, **_NOTHING})
        for count in _NOTHING:
            known[count] += one[count]
    return {
        "process": os.getpid(),
        "version": __version__,
        "since": int(since),
        "workers": [{"process": told["process"], "since": told["since"]} for told in reports],
        "listeners": list(listeners.values()),
        "waiting_writes": sum(told["waiting_writes"] for told in reports),
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
