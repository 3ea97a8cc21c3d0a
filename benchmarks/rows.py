"""The rows of the table, in the order in which they are measured, with what is promised of each.

Memory comes first, over fresh processes. The targets hold for two cores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.collection_rows import LARGE, Idle, Opening, Retrieval, Sessions
from benchmarks.figures import Target
from benchmarks.intake_rows import Latency, intake, secure_intake
from benchmarks.load import TLS, StartTLS

if TYPE_CHECKING:
    from benchmarks.row import Plan, Row

SMALL = 4096
WINDOW = 64
OVER_50 = "4 KB letters over 50 connections"
PER_LETTER = "4 KB, a connection per letter"

TARGETS = {
    "idle": Target("value", 6),
    "intake-1": Target("ratio", 4),
    "intake-50": Target("ratio", 10),
    "intake-1mb": Target("ratio", 2),
    "sessions": Target("ratio", 1),
    "retr": Target("cpu ratio", 1),
    "retr-pipelined": Target("cpu ratio", 1),
    "open-100000": Target("value", 60),
}


def all_rows(plan: Plan) -> list[Row]:
    """Make every row of the table."""
    rows: list[Row] = [
        Idle("idle", plan.idle_sessions),
        Idle("idle-tls", plan.idle_sessions, TLS.IMPLICIT),
        intake("intake-1", "4 KB letters over 1 connection", SMALL, 1),
        intake("intake-10", "4 KB letters over 10 connections", SMALL, 10),
        intake("intake-50", OVER_50, SMALL, 50),
        intake("intake-200", "4 KB letters over 200 connections", SMALL, 200),
        intake("intake-connect", PER_LETTER, SMALL, 50, per_letter=True),
        secure_intake("intake-tls", OVER_50, SMALL, 50),
        secure_intake("intake-connect-tls", PER_LETTER, SMALL, 50, per_letter=True),
        secure_intake("intake-resumed", PER_LETTER, SMALL, 50, StartTLS.RESUMED, per_letter=True),
        secure_intake("submission", OVER_50, SMALL, 50, login=True),
        secure_intake("submission-connect", PER_LETTER, SMALL, 50, per_letter=True, login=True),
        intake("intake-1mb", "1 MB letters over 10 connections", LARGE, 10),
        Latency("latency-p50", "p50"),
        Latency("latency-p99", "p99"),
        Sessions("sessions"),
        Sessions("sessions-tls", TLS.IMPLICIT),
        Sessions("sessions-resumed", TLS.RESUMED),
        Sessions("sessions-stls", TLS.STLS),
        Retrieval("retr", "RETR of 4 KB, one by one", SMALL, 1),
        Retrieval("retr-pipelined", f"RETR of 4 KB, {WINDOW} at once", SMALL, WINDOW),
        Retrieval("retr-1mb", "RETR of 1 MB, one by one", LARGE, 1),
        Retrieval("retr-tls", "RETR of 4 KB, one by one", SMALL, 1, TLS.IMPLICIT),
        Retrieval("retr-1mb-tls", "RETR of 1 MB, one by one", LARGE, 1, TLS.IMPLICIT),
        *(Opening(letters, number) for number, letters in enumerate(plan.maildrops)),
    ]
    return [row.promising(TARGETS.get(row.name)) for row in rows]
