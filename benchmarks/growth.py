"""A letter and a RCPT in an office that holds ever more letters, beside the same in an empty one.

Half of the letters lie in one maildrop, the other half in many others, a hundred in each; they are put
there through the store by :mod:`benchmarks.mailpost_crowd`. The office grows from row to row, so a run of
some rows alone measures the same. Nothing should grow with it: a target of CPU 0.83x says that a letter
may cost 1.2 times as much there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Target
from benchmarks.intake_rows import Intake
from benchmarks.load import Mailing
from benchmarks.row import INTAKE_USER, RETRIEVAL_USER, Plan, Row
from benchmarks.scale import Crowded
from benchmarks.scale_rows import Recipients

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.systems import System

FULL_USER = INTAKE_USER + 1
USERS = RETRIEVAL_USER
EACH = 100  # letters in each of the many other maildrops
FLAT = Target("cpu ratio", round(1 / 1.2, 2))


class Grown(Crowded):
    """An office that holds as many letters as the row says."""

    name = "grown office"

    def __init__(self, folder: Path, users: int = USERS) -> None:
        super().__init__(folder, users)
        self.full = 0  # letters in the maildrop that has half of all

    def grow(self, letters: int) -> None:
        """Have so many letters in it; it never shrinks."""
        half = letters // 2
        accounts = half // EACH
        if half <= self.full:
            return
        counts = (self.crowd, accounts, EACH, FULL_USER, half - self.full)
        self.run("benchmarks.mailpost_crowd", "grow", self.config, *map(str, counts))
        self.crowd, self.full = accounts, half


class Empty(Grown):
    """The same with nothing in it, whatever the row says."""

    name = "empty office"

    def grow(self, letters: int) -> None:
        """Stay as it is."""


class GrownIntake(Intake):
    """Letters into a maildrop that is empty, or into the one with half of all letters."""

    def __init__(self, name: str, title: str, letters: int, user: int) -> None:
        super().__init__(name, title, Mailing(user, 0, 4096, 50))
        self._stored = letters

    def prepare(self, system: System, plan: Plan) -> None:
        """Let the office grow, then warm up."""
        self._grow(system)
        super().prepare(system, plan)

    def _kept(self, system: System) -> int:
        assert isinstance(system, Grown)
        return system.full if self._mailing.user == FULL_USER else 0

    def _grow(self, system: System) -> None:
        assert isinstance(system, Grown)
        system.grow(self._stored)


class GrownRecipients(Recipients):
    """RCPT of the office's accounts, up to a thousand of them."""

    def __init__(self, name: str, title: str, letters: int) -> None:
        super().__init__(name, title)
        self._stored = letters

    def prepare(self, system: System, plan: Plan) -> None:
        """Let the office grow, then name them for a moment."""
        assert isinstance(system, Grown)
        system.grow(self._stored)
        super().prepare(system, plan)


def growth_rows(plan: Plan) -> list[Row]:
    """Make the rows of every size, smallest first."""
    rows: list[Row] = []
    for letters in plan.stores:
        inside = f"{letters:,} letters"
        rows += [
            GrownIntake(f"growth-letter-{letters}", f"4 KB in, beside {inside}", letters, 0),
            GrownIntake(
                f"growth-full-{letters}",
                f"4 KB to whom half of {inside} belong",
                letters,
                FULL_USER,
            ),
            GrownRecipients(f"growth-rcpt-{letters}", f"RCPT, beside {inside}", letters),
        ]
    return [row.promising(FLAT) for row in rows]
