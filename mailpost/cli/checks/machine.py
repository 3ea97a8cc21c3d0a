"""The machine beneath the office: its clock, its disk, and who may read the files."""

from __future__ import annotations

import ctypes
import os
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailpost.cli.checks.findings import ok, problem, warning
from mailpost.cli.table import lasting, minute, size
from mailpost.store.checkup import network_file_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailpost.cli.checks.findings import Finding, Patient
    from mailpost.store.checkup import Moments

CLOCK, DISK, PERMISSIONS = "clock", "disk", "permissions"
TOLERANCE = 300  # seconds that a clock may have been put back
YEARS = range(2025, 2100)
FEW_INODES = 1000
_UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
_TIMEX = 256  # octets: more than struct timex has anywhere
_MANY = 10_000  # files to be looked at


def clock(moments: Moments | None) -> Iterator[Finding]:
    """Whether it can be right: not before what the store has seen, and kept in step by something.

    :param moments: what the store knows; None: it cannot be read.
    """
    now = time.time()
    year = datetime.fromtimestamp(now, UTC).year
    mend = "timedatectl set-ntp true, or install chrony"
    known = [one for one in (moments.arrived, moments.looked) if one] if moments else []
    behind = max(known, default=0) - now
    if year not in YEARS:
        yield problem(CLOCK, f"it says that the year is {year}", mend)
    elif behind > TOLERANCE:
        yield problem(
            CLOCK,
            f"it says {minute(now)} UTC, and the store has seen {minute(max(known))}:"
            f" it is {lasting(behind)} behind, or was ahead then",
            f"{mend}; nothing is thrown away by age for a week after such a jump",
        )
    elif _unsynchronised():
        yield warning(CLOCK, f"it says {minute(now)} UTC, and nothing keeps it in step", mend)
    else:
        yield ok(CLOCK, f"it says {minute(now)} UTC")


def _unsynchronised() -> bool:
    """Whether the kernel knows that nobody keeps its clock in step; it is asked, and not set."""
    with suppress(AttributeError, OSError):
        return (
            int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))) == _UNSYNCHRONISED
        )
    return False


def disk(patient: Patient) -> Iterator[Finding]:
    """Room for letters, and a file system whose locks can be trusted."""
    folder = patient.config.office.database.parent
    reserve = patient.config.office.disk_reserve
    try:
        found = os.statvfs(folder)
    except OSError as error:
        yield problem(DISK, f"{folder}: {error.strerror}", "see whether the disk is there")
        return
    free = found.f_bavail * found.f_frsize
    mend = f"make room where {folder} is, or move the office to a larger disk"
    if network := network_file_system(folder):
        yield problem(
            DISK,
            f"{folder} is on a network file system ({network}), where locks cannot be trusted",
            "keep the store on a local disk",
        )
    if free < reserve:
        yield problem(
            DISK,
            f"{size(free)} free, and {size(reserve)} are kept in reserve: no letter is taken in",
            mend,
        )
    elif free < 2 * reserve:
        yield warning(DISK, f"{size(free)} free; below {size(reserve)} no letter is taken in", mend)
    else:
        yield ok(DISK, f"{size(free)} free; below {size(reserve)} no letter is taken in")
    if found.f_files and found.f_favail < FEW_INODES:
        yield problem(DISK, f"room for {found.f_favail} more files (df -i)", mend)


def permissions(patient: Patient) -> Iterator[Finding]:
    """All of it is the owner's alone, and of one owner."""
    database = patient.config.office.database
    try:
        owner = database.stat().st_uid
    except OSError as error:
        yield problem(
            PERMISSIONS, f"{database}: {error.strerror}", f"{patient.program} init makes one"
        )
        return
    # SQLite gives its -wal and -shm the mode of the database.
    ours = [path for path in _files_of(database) if not path.name.endswith(("-wal", "-shm"))]
    private = [*ours, *(one.key for one in patient.config.certificate)]
    well = True
    for path in private:
        with suppress(OSError):  # a key that is not there is the certificate's trouble
            mode = path.stat().st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO) and not stat.S_ISSOCK(mode):
                well = False
                yield problem(
                    PERMISSIONS,
                    f"{path} can be read or written by others (mode {stat.S_IMODE(mode):o})",
                    f"chmod go= {path}",
                )
    folder = database.parent
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        well = False
        yield problem(PERMISSIONS, f"others may write into {folder}", f"chmod go-w {folder}")
    strange = _of_another(database, owner)
    if strange:
        yield problem(
            PERMISSIONS,
            f"{strange[0]}{f' and {len(strange) - 1} more' * (len(strange) > 1)} is not of the store's owner",
            f"chown -R --reference={database} {folder}",
        )
    elif well:
        yield ok(PERMISSIONS, f"{folder} and the key are their owner's alone")


def _files_of(database: Path) -> list[Path]:
    ends = ("", "-wal", "-shm", ".locks", ".turn", ".control", ".parcels")
    every = [database.with_name(database.name + end) for end in ends]
    return [path for path in every if path.exists()]


def _of_another(database: Path, owner: int) -> list[Path]:
    found = _files_of(database)
    parcels = database.with_name(database.name + ".parcels")
    with suppress(OSError):
        for place, path in enumerate(parcels.iterdir()):
            if place == _MANY:
                break
            found.append(path)
    strange = []
    for path in found:
        with suppress(FileNotFoundError):  # swept away, or checkpointed, just now
            if path.stat().st_uid != owner:
                strange.append(path)
    return strange
