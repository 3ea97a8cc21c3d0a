"""Rounds, failures and the table of the benchmark, with systems that do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Sample, Target, Unit
from benchmarks.row import Plan, Row
from benchmarks.runner import Step, run, steps
from benchmarks.systems import System

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN = Plan(seconds=1.0, idle_sessions=1, maildrops=(), stores=(), programs=Path())


class Imagined(System):
    def __init__(self, name: str) -> None:
        super().__init__(Path(), 0)
        self.name = name

    def prepare(self) -> None: ...
    def commands(self) -> list[list[str]]:
        return []

    def settle(self) -> None: ...
    def stock(self, user: int, letters: int, octets: int) -> None: ...
    def version(self) -> str:
        return self.name


class Written(Row):
    """A row whose samples stand in a table; None is a failure."""

    def __init__(self, samples: dict[str, list[float | None]]) -> None:
        super().__init__("row", "a row", Unit.PER_SECOND, "letter")
        self.samples: dict[str, Iterator[float | None]] = {
            name: iter(values) for name, values in samples.items()
        }

    def prepare(self, system: System, plan: Plan) -> None: ...

    def measure(self, system: System, plan: Plan) -> Sample:
        value = next(self.samples[system.name])
        if value is None:
            raise BenchmarkError("the server closed")
        return Sample(value, 1 / value)


class Told:
    def __init__(self) -> None:
        self.steps: list[tuple[int, str]] = []

    def say(self, text: str) -> None: ...
    def begun(self, step: Step) -> None:
        self.steps.append((step.round, step.system.name))

    def ended(self, step: Step, sample: Sample | None) -> None: ...


def test_systems_are_measured_in_turn() -> None:
    """What disturbs the machine for a while disturbs both."""
    told = Told()
    systems = [Imagined("a"), Imagined("b")]
    rows = [Written({"a": [1, 2], "b": [3, 4]})]
    results = run(rows, systems, PLAN, 2, told)
    assert told.steps == [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert len(told.steps) == steps(rows, systems, 2)
    assert [sample.value for sample in results["row"].samples["b"]] == [3, 4]


def test_a_failure_leaves_its_reason_and_no_number() -> None:
    """One good round of three is not a measurement of three rounds."""
    systems = [Imagined("a"), Imagined("b")]
    row = Written({"a": [10, 10, 10], "b": [5, None, 5]}).promising(Target("ratio", 2))
    results = run([row], systems, PLAN, 3, Told())
    assert results["row"].samples.keys() == {"a"}
    text = report.table([row], results, ["a", "b"], "Machine.")
    assert "row: b was not measured: the server closed" in text
    assert "failed" in text
    assert "SHORT" not in text


def test_the_table_names_the_ratio_and_the_verdict() -> None:
    """Twice as many a second at half the processor time, where ten times was the aim, and twice of time."""
    targets = (Target("ratio", 10), Target("cpu ratio", 2))
    row = Written({"a": [10], "b": [5]}).promising(*targets)
    results = run([row], [Imagined("a"), Imagined("b")], PLAN, 1, Told())
    text = report.table([row], results, ["a", "b"], "Machine.")
    line = text.splitlines()[2]
    assert line.split() == [
        *("row", "a", "row", "10.0", "/s", "5.00", "/s", "2.00x"),
        *(
            "100,000",
            "µs/letter",
            "200,000",
            "µs/letter",
            "2.00x",
            "10x",
            "SHORT,",
            "CPU",
            "2x",
            "met",
        ),
    ]
    assert "Targets met: 1 of 2; SHORT: row 2.00x of 10x." in text
    data = report.as_data([row], results, ["a", "b"], {"cores": "2"}, PLAN)
    assert data["systems"] == ["a", "b"]
    assert isinstance(data["rows"], list)
    assert data["rows"][0]["targets"] == [
        {"kind": "ratio", "bound": 10, "reached": 2, "met": False},
        {"kind": "cpu ratio", "bound": 2, "reached": 2, "met": True},
    ]
