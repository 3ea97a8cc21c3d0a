"""mailpost with two workers beside itself with one: what several processes over one store cost.

A letter should cost hardly more processor time for it: commits are shared by fewer letters, and writers
of two processes wait for each other's turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.collection_rows import Sessions
from benchmarks.figures import Target
from benchmarks.intake_rows import intake
from benchmarks.mailpost_system import Mailpost

if TYPE_CHECKING:
    from benchmarks.row import Plan, Row

AT_MOST = Target("cpu ratio", round(1 / 1.15, 2))


class TwoWorkers(Mailpost):
    """A supervisor and two that serve."""

    name = "two workers"
    workers = 2


class OneWorker(Mailpost):
    """As it ships."""

    name = "one worker"


def workers_rows(plan: Plan) -> list[Row]:
    """Make every row of the table."""
    del plan
    rows: list[Row] = [
        intake("workers-intake", "4 KB letters over 50 connections", 4096, 50),
        Sessions("workers-sessions"),
    ]
    return [row.promising(AT_MOST) for row in rows]
