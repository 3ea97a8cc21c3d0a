"""The database: of the right version, whole, every letter as it came, nothing left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from mailpost.cli.checks.findings import ok, problem, warning
from mailpost.cli.table import counted
from mailpost.store import schema
from mailpost.store.checkup import Checkup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.cli.checks.findings import Finding, Patient
    from mailpost.store.checkup import Moments

DATABASE, LETTERS, PARCELS = "database", "letters", "parcels"
A_WHILE = 3600.0  # seconds that a thorough check may take
_SHOWN = 5
_RESTORE = (
    "stop the office, copy its folder away, then restore a backup; what came since can be exported"
    " from the damaged one as far as it can be read"
)


def opened(patient: Patient) -> tuple[Checkup | None, Finding | None]:
    """Open the database for looking, or tell why it cannot be."""
    path = patient.config.office.database
    if not path.is_file():
        told = problem(DATABASE, f"there is no store at {path}", "make an office: mailpost init")
        return None, told
    try:
        return Checkup(path), None
    except apsw.Error as error:
        return None, problem(DATABASE, f"{path} cannot be opened: {error}", _RESTORE)


def moments(checkup: Checkup) -> Moments | None:
    """What the store knows of the time; None where it cannot be read."""
    try:
        return checkup.moments()
    except apsw.Error:
        return None


def database(patient: Patient, checkup: Checkup) -> Iterator[Finding]:
    """Version, integrity, and with --thorough every letter."""
    try:
        yield from _look(patient, checkup)
    except apsw.Error as error:
        yield problem(DATABASE, f"it cannot be read: {error}", _RESTORE)


def usable(checkup: Checkup) -> bool:
    """Whether it is a store of this very version, so that nothing is migrated by opening it."""
    try:
        return checkup.version() == schema.VERSION
    except apsw.Error:
        return False


def _look(patient: Patient, checkup: Checkup) -> Iterator[Finding]:
    version = checkup.version()
    if version is None:
        yield problem(
            DATABASE,
            "it is a database, but not one of mailpost's",
            f"set office.store in {patient.file} to the right file",
        )
        return
    if version > schema.VERSION:
        yield problem(
            DATABASE,
            f"a newer mailpost has made it (store version {version}, this one knows {schema.VERSION})",
            "install that, or restore an older backup",
        )
        return
    if version < schema.VERSION:
        yield warning(
            DATABASE,
            f"it is of version {version}; this mailpost makes {schema.VERSION} of it at its next start",
            "back the office's folder up before that: the step cannot be taken back",
        )
    patience = A_WHILE if patient.thorough else patient.patience
    damage = checkup.damage(thorough=patient.thorough, patience=patience)
    if damage is None:
        yield warning(
            DATABASE,
            f"it is so large that it was not looked through within {patience:g} seconds",
            f"{patient.program} doctor --thorough takes its time",
        )
    elif damage:
        more = f"; and {len(damage) - 1} more" if len(damage) > 1 else ""
        yield problem(DATABASE, f"it is damaged: {damage[0]}{more}", _RESTORE)
    else:
        yield ok(DATABASE, f"whole; store version {version}")
    if patient.thorough and version == schema.VERSION:
        yield from _letters(checkup)
    orphans = checkup.orphans() if version == schema.VERSION else []
    if orphans:
        yield warning(
            PARCELS,
            f"{counted(len(orphans), 'file')} of no letter, left by a process that was killed",
            "nothing need be done: the running office removes them within the hour",
        )


def _letters(checkup: Checkup) -> Iterator[Finding]:
    from mailpost.cli.progress import progress  # noqa: PLC0415 - rich

    count = 0

    def seen(octets: int) -> None:
        nonlocal count
        count += 1
        told(octets)

    with progress("Comparing letters", None, checkup.letters()) as told:
        wrong = list(checkup.damaged_letters(seen))
    for one in wrong[:_SHOWN]:
        yield problem(LETTERS, one, "restore it from a backup; its sender may have it, too")
    if len(wrong) > _SHOWN:
        yield problem(LETTERS, f"and {len(wrong) - _SHOWN} more", _RESTORE)
    if not wrong:
        yield ok(LETTERS, f"{counted(count, 'letter')}, each as it came")
