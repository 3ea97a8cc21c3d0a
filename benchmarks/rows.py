"""The rows of the table, in the order in which they are measured, with what is promised of each.

Memory comes first, over fresh processes. The targets are aims, for two cores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.collection_rows import LARGE, Handshakes, Idle, Opening, Retrieval, Sessions
from benchmarks.figures import Target
from benchmarks.intake_rows import Latency, intake, secure_intake
from benchmarks.load import TLS, StartTLS

if TYPE_CHECKING:
    from benchmarks.row import Plan, Row

SMALL = 4096
WINDOW = 64
OVER_50 = "4 KB letters over 50 connections"
PER_LETTER = "4 KB, a connection per letter"

CPU = Target("cpu ratio", 8)
"""Of a letter of 4 KB, whatever the connections are."""

TARGETS = {
    "idle": (Target("ratio", 60),),
    "intake-1": (Target("ratio", 5), CPU),
    "intake-50": (Target("ratio", 20), CPU),
    "intake-connect": (Target("ratio", 10), CPU),
    "intake-64kb": (Target("ratio", 8),),
    "intake-1mb": (Target("ratio", 3),),
    "intake-20mb": (Target("ratio", 3),),
    "lmtp-50": (Target("ratio", 8),),
    "latency-p99": (Target("ratio", 1),),
    "sessions": (Target("ratio", 2),),
    "handshakes": (Target("ratio", 1),),
    "handshakes-resumed": (Target("ratio", 1),),
    "retr": (Target("ratio", 1),),
    "retr-pipelined": (Target("ratio", 1.5),),
    "retr-1mb": (Target("ratio", 1),),
    "retr-1mb-tls": (Target("ratio", 1),),
    "open-100000": (Target("ratio", 1),),
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
        intake("lmtp-50", "4 KB over 50 connections, LMTP", SMALL, 50, lmtp=True),
        intake("intake-64kb", "64 KB letters over 10 connections", 64 << 10, 10),
        intake("intake-1mb", "1 MB letters over 10 connections", LARGE, 10),
        intake("intake-20mb", "20 MB letters over 4 connections", 20 * LARGE, 4),
        Latency("latency-p50", "p50"),
        Latency("latency-p99", "p99"),
        Sessions("sessions"),
        Sessions("sessions-tls", TLS.IMPLICIT),
        Sessions("sessions-resumed", TLS.RESUMED),
        Sessions("sessions-stls", TLS.STLS),
        Handshakes("handshakes", TLS.IMPLICIT),
        Handshakes("handshakes-resumed", TLS.RESUMED),
        Retrieval("retr", "RETR of 4 KB, one by one", SMALL, 1),
        Retrieval("retr-pipelined", f"RETR of 4 KB, {WINDOW} at once", SMALL, WINDOW),
        Retrieval("retr-1mb", "RETR of 1 MB, one by one", LARGE, 1),
        Retrieval("retr-tls", "RETR of 4 KB, one by one", SMALL, 1, TLS.IMPLICIT),
        Retrieval("retr-1mb-tls", "RETR of 1 MB, one by one", LARGE, 1, TLS.IMPLICIT),
        *(Opening(letters, number) for number, letters in enumerate(plan.maildrops)),
    ]
    return [row.promising(*TARGETS.get(row.name, ())) for row in rows]
