"""The attacks of the benchmark: what makes a row fall short, and that the program attacks."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import load
from benchmarks.figures import Result, Sample, Target, Unit
from benchmarks.honest import PATIENCE, Visits, come
from benchmarks.hostile import hostile_rows
from benchmarks.hostile_report import short, table
from benchmarks.row import Plan
from benchmarks.systems import require

if TYPE_CHECKING:
    from pathlib import Path

WELL = {
    f"{what}_{when}_{one}": 0.01
    for what in ("letter", "session")
    for when in ("peace", "war")
    for one in ("p50", "p99", "ahead")
} | {
    "letter_war_failures": 0.0,
    "session_war_failures": 0.0,
    "before": 1e6,
    "after": 2e6,
    "grown": 1e6,
    "allowed": 1e6,
    "attack_held": 1.0,
}


def result(value: float = 0.1, **details: float) -> Result:
    """Of one round."""
    sample = Sample(value, 0.5, WELL | details)
    return Result(Unit.MILLISECONDS, (Target("value", 100),), {"mailpost": [sample]})


@pytest.mark.parametrize(
    ("measured", "falls_short"),
    [
        (result(), False),
        (result(0.101), True),
        (result(letter_war_failures=1.0), True),
        (result(session_war_failures=1.0), True),
        (result(grown=1e6 + 1), True),
    ],
)
def test_what_falls_short_is_said(measured: Result, *, falls_short: bool) -> None:
    """Late, refused, or grown: each by itself."""
    assert short(measured, "mailpost") is falls_short
    row = hostile_rows(Plan(1.0, 20, (), (), None))[0]  # type: ignore[arg-type]
    drawn = table([row], {row.name: measured}, ["mailpost"], "a machine")
    assert drawn.splitlines()[2].endswith("SHORT" if falls_short else "met")


def test_what_was_not_measured_is_no_promise_kept() -> None:
    """Nor one broken."""
    failed = replace(result(), samples={}, failures={"mailpost": "it broke"})
    assert short(failed, "mailpost") is None
    row = hostile_rows(Plan(1.0, 20, (), (), None))[0]  # type: ignore[arg-type]
    assert "was not measured: it broke" in table([row], {row.name: failed}, ["mailpost"], "")


def test_a_visit_that_fails_took_for_ever() -> None:
    """One of a hundred does not show in the p50, two of them do in the p99."""
    visits = Visits([0.001] * 98, [0.0] * 98, ["refused"] * 2)
    assert visits.quantile(0.5) == 0.001
    assert visits.quantile(0.99) == PATIENCE
    assert Visits().quantile(0.5) == PATIENCE


def test_visits_are_counted_by_their_kind() -> None:
    """And do not wait for one another."""

    def fails(_: int) -> None:
        raise ConnectionResetError("gone")

    good, bad = come([lambda _: None, fails], 100, 0.1, lambda: 0.0)
    assert len(good.took) == len(bad.failures) == 10
    assert bad.failures[0] == "gone"


@pytest.mark.skipif(require("cc") is not None, reason="needs cc (Debian: gcc libc6-dev)")
def test_the_attackers_attack(tmp_path: Path) -> None:
    """They say from where they come, are led to the attack, and tell what they have done."""
    program = load.compiled("hostile", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
        command = [
            program,
            "-p",
            port,
            "-a",
            "3",
            "-L",
            "HELLO %|DATA",
            "-f",
            "7",
            "-i",
            "0.01",
            "drip",
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            peer, _ = door.accept()
            with peer, peer.makefile("rb") as said:
                assert said.readline() == b"PROXY TCP4 198.18.0.0 198.51.100.1 40000 25\r\n"
                for reply, line in (
                    (b"220-a\r\n220 b\r\n", b"HELLO 7\r\n"),
                    (b"250 c\r\n", b"DATA\r\n"),
                ):
                    peer.sendall(reply)
                    assert said.readline() == line
                peer.sendall(b"354 d\r\n")
                assert process.stdout.readline() == "ready\n"
                assert said.read(5) == b"xxxxx"
                process.stdin.write("\n")
                process.stdin.flush()
                told = json.loads(process.stdout.readline())
    assert (told["held"], told["tried"], told["reached"], told["refused"]) == (1, 1, 1, 0)
    assert told["sent"] >= 5
