"""Open files: each connection is one, and the system says how many a process may have.

Many systems begin with 1024, for programs of another age, and let a process help itself to more, up to a
second limit. Where that one is too low for the configuration, fewer connections are let in: whoever comes
beyond it hears so (421) and comes again, which is better than a connection that nobody can take.
"""

from __future__ import annotations

import resource  # now, and not when the owner of the store, who may read less, has come in root's place

SPARE = 200
"""Files that the office itself needs: database, listeners, threads, and letters that are written or read."""


def room_for(connections: int) -> int:
    """Allow this process as many open files as the system lets it have.

    :return: for how many connections there is room; at most as many as were asked for, at least one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A connection that hands in a large letter has a second one.
    wanted = 2 * connections + SPARE if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - SPARE))
