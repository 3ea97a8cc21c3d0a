"""strace(1) as a saboteur: a running office gets a signal, or an error, at a system call of our choice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.river.office import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a process waits or looks at the clock; to end there is to end at the call before.
_IDLE = "!futex,epoll_wait,epoll_pwait,clock_gettime,clock_nanosleep,select,poll,sched_yield,restart_syscall"
_CALL = re.compile(r"^(\d+) +(\w+)\(")


class Fault(NamedTuple):
    """What happens at which call.

    :ivar how: as strace's ``inject`` says it: ``signal=KILL``, ``error=EIO``.
    :ivar call: a system call's name.
    :ivar when: at which call of this name it happens, counted from 1 in each thread; or ``3+``, from the
        third on; or ``3..6``.
    """

    how: str
    call: str
    when: int | str


@contextmanager
def _attached(process: int, *options: str, mortal: bool = False) -> Iterator[None]:
    """Stand beside a process and all of its threads, from the first moment within to the last."""
    tracer = subprocess.Popen(
        ["strace", "-f", *options, "-p", str(process)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    try:
        said = tracer.stderr.readline()
        assert "attached" in said, said
        yield
    finally:
        # Where it has killed the process it ends by itself; told to end meanwhile, it may wait for ever.
        with suppress(subprocess.TimeoutExpired):
            tracer.wait(0.5 if mortal else 0)
        tracer.terminate()
        try:
            tracer.communicate(timeout=5 if mortal else PATIENCE)
        except subprocess.TimeoutExpired:
            if not mortal:
                raise
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            tracer.kill()
            tracer.communicate(timeout=PATIENCE)


@contextmanager
def injected(process: int, fault: Fault) -> Iterator[None]:
    """Do it to whatever is called within."""
    inject = f"inject={fault.call}:{fault.how}:when={fault.when}"
    mortal = fault.how.startswith("signal")
    only = ("-o", "/dev/null", "-e", f"trace={fault.call}", "-e", inject)
    with _attached(process, *only, mortal=mortal):
        yield


@contextmanager
def watched(process: int) -> Iterator[dict[str, int]]:
    """Find out which calls are made within: how many of each name a thread makes at most."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "calls")
        with _attached(process, "-o", str(output), "-e", f"trace={_IDLE}"):
            yield found
        calls = Counter(
            match.groups()
            for line in output.read_text().splitlines()
            if (match := _CALL.match(line))
        )
        for (_, name), count in calls.items():
            found[name] = max(count, found.get(name, 0))
