"""What a family of processes costs: processor time and memory, from ``/proc``.

Processor time must count what has already ended: Dovecot and Postfix fork processes that serve for
a while and go. The sum taken here is

* for every living descendant of a keeper its own time, in nanoseconds, from its POSIX clock of
  processor time (``/proc/PID/stat`` counts in hundredths of a second, too coarse for two hundred
  processes that each ran for a few milliseconds), and
* for the keeper and every living descendant the time of the children it has collected.

Nothing falls between the two: a process that ends is collected by its parent or, through the
keeper being the subreaper, by the keeper. The keeper's own time is left out.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")

# Fields of /proc/PID/stat, counted from the one after the command's closing parenthesis; proc(5).
_PPID, _CUTIME, _CSTIME = 1, 13, 14


@dataclass(frozen=True)
class Memory:
    """Octets held by a family of processes.

    ``pss`` shares each common page among the processes that map it, so that its sum is what the
    machine would win back; ``rss`` counts such a page once for every process.
    """

    pss: int
    rss: int
    processes: int


def stat_fields(text: str) -> list[str]:
    """Split the text of ``/proc/PID/stat`` after the command, which may hold any character."""
    return text[text.rindex(")") + 2 :].split()


def _stat(pid: int) -> list[str] | None:
    try:
        return stat_fields(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def descendants(root: int) -> list[int]:
    """Every living process below ``root``, without ``root`` itself."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    for pid in pids:
        if (fields := _stat(pid)) is not None:
            children[int(fields[_PPID])].append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def own_seconds(pid: int) -> float:
    """User and system seconds of one process; 0 when it is gone."""
    # The clock id that clock_getcpuclockid(3) computes: all threads, those that ended included.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _collected_seconds(pid: int) -> float:
    fields = _stat(pid)
    return 0.0 if fields is None else (int(fields[_CUTIME]) + int(fields[_CSTIME])) / _TICKS


def cpu_seconds(keepers: list[int]) -> float:
    """User and system seconds spent so far by everything below ``keepers``.

    A process that ends while the sum is taken could be counted twice or not at all; so the sum is
    taken again until the family was the same before and after.
    """
    while True:
        before = [descendants(keeper) for keeper in keepers]
        family = [pid for pids in before for pid in pids]
        total = sum(own_seconds(pid) + _collected_seconds(pid) for pid in family)
        total += sum(_collected_seconds(keeper) for keeper in keepers)
        if before == [descendants(keeper) for keeper in keepers]:
            return total


def memory(keepers: list[int]) -> Memory:
    """What everything below ``keepers`` holds in memory at this moment."""
    pss = rss = count = 0
    for keeper in keepers:
        for pid in descendants(keeper):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            sizes = {
                line.split()[0]: int(line.split()[1]) * 1024
                for line in text.splitlines()
                if line.startswith(("Rss:", "Pss:"))
            }
            pss += sizes.get("Pss:", 0)
            rss += sizes.get("Rss:", 0)
            count += 1
    return Memory(pss=pss, rss=rss, processes=count)
