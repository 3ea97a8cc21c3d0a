"""A fork server's own side: everything that workers need is ready, and one is forked when it is asked for.

``mailpost serve`` runs this where it was started by :mod:`mailpost.forkserver`, before there is a reactor or
a thread: what fork(2) copies is one quiet thread, and nothing that another one holds.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from mailpost.tls.tickets import TicketKeys

if TYPE_CHECKING:
    from mailpost.inheritance import Inheritance

_LOOK_SECONDS = 3600.0  # how long a key stays here at most when its time is over
_LINE = (0, 1)  # a worker's standard input and output
_NAME = Path("/proc/self/comm")  # proc(5)


def fork_workers(inheritance: Inheritance) -> Inheritance:
    """Fork workers until the supervisor wants no more, and end then.

    :param inheritance: what all of them are given.
    :return: in each worker, and only there: what it is given.
    """
    # Ctrl-C and SIGTERM may be meant for all processes of the office; this one ends when it is told to.
    for meant_for_others in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(meant_for_others, signal.SIG_IGN)
    name = _rename("mailpost-forks")
    keys = TicketKeys.for_processes(time.monotonic)
    control = socket.socket(fileno=os.dup(_LINE[0]))
    control.settimeout(_LOOK_SECONDS)
    gc.collect()
    gc.freeze()  # what is here now stays; to look at it would copy its pages into every worker
    while True:
        keys.current()  # what is past its time is gone here too
        try:
            place, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        except TimeoutError:
            continue
        if not place:
            raise SystemExit(0)
        (line,) = descriptors
        if _fork():
            control.close()
            _become_worker(line)
            _rename(name)
            return evolve(inheritance, place=int(place), tickets=keys)
        os.close(line)


def _fork() -> bool:
    """Fork a process that is the supervisor's child; whether this is that process.

    It begins when the one between has ended, and so has been taken by the supervisor.
    """
    begin, hold = os.pipe()
    try:
        between = os.fork()
    except OSError:  # the supervisor sees that nobody has the line, and tries again
        os.close(hold)
        os.close(begin)
        return False
    if between == 0:
        try:
            worker = os.fork() == 0
        except OSError:
            worker = False
        if not worker:
            os._exit(0)
        os.close(hold)
        os.read(begin, 1)  # until nobody holds the other end any more
        os.close(begin)
        return True
    os.waitpid(between, 0)
    os.close(hold)
    os.close(begin)
    return False


def _become_worker(line: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for standard in _LINE:
        os.dup2(line, standard)
    os.close(line)
    with suppress(OSError):  # nobody is there any more, which the line will tell
        os.write(_LINE[1], b"%d\n" % os.getpid())


def _rename(name: str) -> str:
    """Call this process something else, for ps and top; what it was called before."""
    before = ""
    with suppress(OSError):  # no /proc: then nobody can look
        before = _NAME.read_text()
        _NAME.write_text(name)
    return before
