"""Keep one server: run it, collect every process it leaves behind, stop it on request.

Postfix and Dovecot are families of processes whose members come and go. Linux adds the processor
time of a child to its parent when the parent collects it; a grandchild whose parent is gone would
be collected by init and its time lost to us. So each server runs under a keeper that declares
itself the *subreaper* of all its descendants: whatever ends anywhere below it is accounted for in
the keeper's own ``cutime`` and ``cstime``, which :mod:`benchmarks.processes` reads.

The keeper ends when its server has ended. SIGTERM to the keeper is passed on to the server; what
has not gone after some seconds is killed, each process by its id. If the benchmark itself dies,
the kernel sends that SIGTERM, so that no server is ever left running.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.processes import descendants

if TYPE_CHECKING:
    from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

GRACE_SECONDS = 15


def keep(command: list[str]) -> int:
    """Run ``command`` until it and all its descendants have ended; return its exit status."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, argument in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_PDEATHSIG, signal.SIGTERM)):
        if prctl(option, int(argument), 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() == 1:  # the benchmark died before the kernel knew that we want to be told
        return 1

    # A session of its own: Postfix's master signals its whole process group when it stops.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.alarm(GRACE_SECONDS)
        server.send_signal(signal.SIGTERM)

    def kill(_number: int, _frame: FrameType | None) -> None:
        for pid in descendants(os.getpid()):
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the benchmark's affair
    signal.signal(signal.SIGALRM, kill)
    return _reap(server.pid)


def _reap(server_pid: int) -> int:
    """Collect every descendant as it ends; return the server's exit status once none is left."""
    code = 1
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return code
        if pid == server_pid:
            code = os.waitstatus_to_exitcode(status)
            # Members of the family that outlive their head get the same grace.
            signal.alarm(GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(abs(keep(sys.argv[1:])))
