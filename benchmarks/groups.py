"""The groups of rows beside the table itself, each with the systems that it measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import growth, hostile, hostile_report, report
from benchmarks.growth import Empty, Grown, growth_rows
from benchmarks.hostile import Besieged, hostile_rows
from benchmarks.row import SESSION_USER
from benchmarks.scale import USERS, Large, Small
from benchmarks.scale_rows import scale_rows
from benchmarks.slow_disk import SlowMailpost, SlowPostfixDovecot, slow_disk_rows
from benchmarks.workers_rows import OneWorker, TwoWorkers, workers_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.figures import Result
    from benchmarks.row import Plan, Row
    from benchmarks.systems import System

    Table = Callable[[Sequence[Row], Mapping[str, Result], Sequence[str], str], str]


@dataclass(frozen=True)
class Group:
    """Rows, the systems they compare (the first is what the targets hold for), and their users.

    :ivar other: measured beside the first where it is installed, rather than mailpost itself.
    :ivar table: draws what was measured.
    """

    rows: Callable[[Plan], list[Row]]
    systems: tuple[type[System], ...]
    users: int
    other: type[System] | None = None
    table: Table = report.table


GROUPS = {
    "scale": Group(scale_rows, (Large, Small), USERS),
    "two-workers": Group(workers_rows, (TwoWorkers, OneWorker), SESSION_USER + 20),
    "slow-disk": Group(slow_disk_rows, (SlowMailpost,), 10, SlowPostfixDovecot),
    "growth": Group(growth_rows, (Grown, Empty), growth.USERS),
    "hostile": Group(hostile_rows, (Besieged,), hostile.USERS, table=hostile_report.table),
}
