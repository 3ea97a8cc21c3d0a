"""What a row of the table is, how much is measured, and which users belong to which row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Sample, Target, Unit
    from benchmarks.systems import System

# Numbers of the first user of each kind of maildrop. A user has one row's letters only.
INTAKE_USER = 0
RETRIEVAL_USER = 10
LARGE_USER = 20
OPENING_USER = 30
SESSION_USER = 40
IDLE_USER = 100


@dataclass(frozen=True)
class Plan:
    """How much is measured: seconds per measurement, idle sessions, sizes of large maildrops."""

    seconds: float
    idle_sessions: int
    maildrops: tuple[int, ...]
    stores: tuple[int, ...]  # letters in the store of the rows of growth
    programs: Path  # a folder for the compiled load programs


class Row(ABC):
    """One thing that is measured, on any system."""

    targets: tuple[Target, ...] = ()

    def __init__(self, name: str, title: str, unit: Unit, per: str) -> None:
        self.name = name
        self.title = title
        self.unit = unit
        self.per = per  # what the CPU column is counted for

    @abstractmethod
    def prepare(self, system: System, plan: Plan) -> None:
        """Bring the system to where rounds can begin: maildrops filled, processes warm."""

    @abstractmethod
    def measure(self, system: System, plan: Plan) -> Sample:
        """Measure once, and leave the system as it was found."""

    def promising(self, *targets: Target) -> Row:
        """Return the row itself, with the targets the project has set for it, and no others."""
        self.targets = targets
        return self
