"""Pictures: each is drawn from what the JSON has, where its rows were measured."""

from __future__ import annotations

import importlib.util
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import benchmarks.__main__ as command
from benchmarks import long_report, plots, report
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Result, Sample, Target, Unit
from benchmarks.long_run import Course
from benchmarks.row import Plan, Row

if TYPE_CHECKING:
    from pathlib import Path

drawing = pytest.mark.skipif(
    plots.why_not() is not None, reason="needs matplotlib (the extra plots)"
)
SYSTEMS = ["mailpost", "other"]
MACHINE = {
    "date": "2026-01-01 00:00 UTC",
    **dict.fromkeys(("cores", "processor", "memory", "kernel", "file system"), "2"),
    **dict.fromkeys(("python", "programs", "load before"), "1"),
}


class Drawn(Row):
    def prepare(self, system: object, plan: Plan) -> None: ...
    def measure(self, system: object, plan: Plan) -> Sample:
        raise NotImplementedError


def measured(rows: list[tuple[Row, float, float | None]]) -> dict[str, Any]:
    """What the JSON has of rows, each with a value of both systems; none where one has failed."""
    results = {}
    for row, ours, theirs in rows:
        details = {"p50": ours / 2, "p90": ours * 0.9, "p99": ours, "max": 2 * ours}
        result = results[row.name] = Result(row.unit, row.targets)
        for name, value in zip(SYSTEMS, (ours, theirs), strict=True):
            if value is None:
                result.failures[name] = "the server closed"
            else:
                result.samples[name] = [Sample(value, 1e-4 * value, details)] * 3
    return json.loads(
        json.dumps(report.as_data([row for row, *_ in rows], results, SYSTEMS, MACHINE, PLAN))
    )


PLAN = Plan(seconds=1.0, idle_sessions=1, maildrops=(), stores=(), programs=None)  # type: ignore[arg-type]
LETTERS = Drawn("intake-1", "letters", Unit.PER_SECOND, "letter")
LETTERS.promising(Target("ratio", 5), Target("cpu ratio", 8))
FAILED = Drawn("intake-50", "more letters", Unit.PER_SECOND, "letter")
RETR = Drawn("retr", "RETR", Unit.PER_SECOND, "RETR")
LATENCY = Drawn("latency-p99", "p99 at 100 letters/s", Unit.MILLISECONDS, "letter")
IDLE = Drawn("idle", "an idle session", Unit.KILOBYTES, "login")
GROWN = [
    Drawn(f"growth-{kind}-{size}", kind, unit, "letter")
    for kind, unit in (("letter", Unit.PER_SECOND), ("rcpt", Unit.MICROSECONDS))
    for size in (10_000, 100_000)
]


@drawing
@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (
            [(LETTERS, 100, 20), (FAILED, 100, None), (RETR, 100, 200), (LATENCY, 0.004, 0.1)],
            ["collecting", "latency", "letters", "processor", "ratios"],
        ),
        ([(IDLE, 5e3, None)], ["memory", "processor"]),
        ([(row, 100, 100) for row in GROWN], ["growth", "letters", "processor", "ratios"]),
    ],
)
def test_what_was_measured_is_drawn(
    tmp_path: Path,
    rows: list[tuple[Row, float, float | None]],
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nothing else: a picture without figures would be one of nothing."""
    from benchmarks import canvas  # noqa: PLC0415 - needs matplotlib

    monkeypatch.setattr(canvas, "DPI", 20)  # quick
    files = plots.draw(measured(rows), tmp_path / "pictures")
    assert sorted(file.stem for file in files) == names
    for file in files:
        octets = file.read_bytes()
        assert octets.startswith(b"\x89PNG\r\n")
        assert min(struct.unpack(">II", octets[16:24])) > 50


@drawing
def test_a_target_stands_where_it_is() -> None:
    """A line at 5 for the rate and at 8 for processor time; what is short of it says so."""
    from benchmarks import plots_rows  # noqa: PLC0415 - needs matplotlib

    figure = plots_rows.ratios(measured([(LETTERS, 100, 25)]))
    assert figure is not None
    (axes,) = figure.axes
    lines = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata())]
    assert [5, 5] in lines
    assert [8, 8] in lines
    assert [text.get_text() for text in axes.texts] == ["4x  (target 5x)", "8x", "0.25x"]
    assert axes.get_xscale() == "log"


@drawing
def test_a_long_run_is_drawn_again_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every quantity has its place."""
    from benchmarks import canvas  # noqa: PLC0415 - needs matplotlib

    monkeypatch.setattr(canvas, "DPI", 20)
    course = Course(capacity=1000, pace=500)
    for number in range(60):
        sample = dict.fromkeys(long_report.QUANTITIES, 1000.0 + number)
        for name in ("rss", "descriptors"):
            del sample[name]
            sample |= {f"{name} 1": 80e6, f"{name} 2": 90e6}
        course.add(5.0 * number, sample)
    data = long_report.as_data(course, long_report.trends(course), MACHINE)
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(data))
    plots.main(str(file), str(tmp_path))
    assert capsys.readouterr().out == f"{tmp_path}/long-run.png\n"
    assert (tmp_path / "long-run.png").stat().st_size > 2_000


def test_where_matplotlib_is_missing_it_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line, with the command; not after half an hour of measuring."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(command.load, "why_not", lambda: None)
    ended = CliRunner().invoke(command.main, ["--plots", str(tmp_path)])
    assert ended.exit_code == 1
    assert ended.output == "Error: --plots needs matplotlib: pip install -e '.[plots]'\n"
    with pytest.raises(BenchmarkError, match="needs matplotlib"):
        plots.draw({}, tmp_path)
