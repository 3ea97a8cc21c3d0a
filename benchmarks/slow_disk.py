"""The same servers over a disk whose sync takes 5 ms longer: what syncing once for many letters is worth.

``slowdisk.c`` is preloaded into every process of a server, and delays and counts ``fsync`` and ``fdatasync``.
SQLite and Python call them through the C library, and so do Postfix and Dovecot; both of these clean the
environment of their children, and are told to leave this variable in it. A letter of Postfix and
Dovecot is synced where it is queued and where it is delivered; the JSON has the syncs per letter of each.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Target
from benchmarks.intake_rows import Intake
from benchmarks.load import SOURCES, Mailing
from benchmarks.mailpost_system import Mailpost
from benchmarks.postfix_dovecot import PostfixDovecot
from benchmarks.row import INTAKE_USER, Plan, Row

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Sample
    from benchmarks.systems import System

DELAY_SECONDS = 0.005
CONNECTIONS = (1, 10, 50)

# What each master lets through to its children, and the one name more.
POSTFIX = "import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_PRELOAD\n"
DOVECOT = "import_environment = TZ LD_PRELOAD\n"


class Shim:
    """The library that makes the disk slow, compiled once, and its count."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "slowdisk.so"
        self.counted = folder / "syncs"

    def build(self) -> None:
        """Compile it; nothing when it is there."""
        if self.library.exists():
            return
        self.counted.write_bytes(bytes(8))
        self.counted.chmod(0o666)  # servers that are not root count too
        defined = (f"-DDELAY_US={DELAY_SECONDS * 1e6:.0f}", f'-DCOUNT_FILE="{self.counted}"')
        shared = ("-O2", "-std=c11", "-Wall", "-shared", "-fPIC")
        command = ["cc", *shared, *defined, "-o", str(self.library)]
        command += [str(SOURCES / "slowdisk.c"), "-ldl"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise BenchmarkError(f"slowdisk.c cannot be compiled: {result.stderr.strip()}")

    def syncs(self) -> int:
        """How many there have been, of all servers."""
        return int.from_bytes(self.counted.read_bytes(), "little")

    def over(self, system: System) -> None:
        """Have a server started with it."""
        self.build()
        system.environment["LD_PRELOAD"] = str(self.library)


class SlowMailpost(Mailpost):
    """mailpost over a slow disk; it is made over a quick one."""

    def prepare(self) -> None:
        """As it ships."""
        super().prepare()
        Shim(self.folder.parent).over(self)


class SlowPostfixDovecot(PostfixDovecot):
    """Postfix and Dovecot over a slow disk."""

    def prepare(self) -> None:
        """As ever, and with the library in the environment of every process."""
        super().prepare()
        for path, line in (("etc/main.cf", POSTFIX), ("dovecot.conf", DOVECOT)):
            with (self.folder / path).open("a") as file:
                file.write(line)
        Shim(self.folder.parent).over(self)


class SlowIntake(Intake):
    """Letters a second where each sync takes long; the syncs of a letter are in the details."""

    def __init__(self, connections: int) -> None:
        over = f"{connections} connection{'s' if connections > 1 else ''}"
        title = f"4 KB letters over {over}, syncs {DELAY_SECONDS * 1000:g} ms slower"
        mailing = Mailing(INTAKE_USER, 0, 4096, connections)
        super().__init__(f"slow-disk-{connections}", title, mailing)

    def _send(self, system: System, letters: int, plan: Plan) -> Sample:
        shim = Shim(plan.programs)
        before = shim.syncs()
        sample = super()._send(system, letters, plan)
        syncs = shim.syncs() - before
        if not syncs:
            raise BenchmarkError(f"{system.name} has synced nothing: the library is not in it")
        sample.details["syncs"] = syncs / letters
        return sample


def slow_disk_rows(plan: Plan) -> list[Row]:
    """Make every row of the table; over one connection one sync bounds both."""
    del plan
    targets = {1: (Target("ratio", 1),), 50: (Target("ratio", 10),)}
    return [SlowIntake(number).promising(*targets.get(number, ())) for number in CONNECTIONS]
