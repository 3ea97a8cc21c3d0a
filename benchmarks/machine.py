"""On what was measured: a number without its machine is none."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.systems import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.systems import System


def machine(folder: Path, systems: Sequence[System]) -> dict[str, str]:
    """Describe machine, file system and programs."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": f"{len(os.sched_getaffinity(0))}",
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": file_system(folder, Path("/proc/self/mounts").read_text()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "programs": "; ".join(system.version() for system in systems),
        **commit(PROJECT),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def commit(project: Path) -> dict[str, str]:
    """Name the commit that is checked out, and say whether files differ from it; nothing without git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            cwd=project,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": described.stdout.strip()}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def file_system(folder: Path, mounts: str) -> str:
    """Name the type of the file system ``folder`` lies on, from the text of /proc/self/mounts."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        _, point, this_kind, *_ = line.split()
        # A later mount on the same point hides the earlier one.
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, this_kind
    return kind
