"""Which systems a run measures, by what was asked for on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import benchmarks.__main__ as command
from benchmarks import postfix_dovecot
from benchmarks.groups import GROUPS
from benchmarks.mailpost_system import CONFIG, Mailpost
from benchmarks.row import Plan
from benchmarks.rows import TARGETS, all_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.row import Row

Asked = list[tuple[list[str], list[int]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Names and workers of the systems of each run, which ends there."""
    runs: Asked = []

    def chosen(options: command.Options, plan: Plan, _rows: Sequence[Row]) -> bool:
        systems, _ = command._systems(options, plan)
        workers = [one.workers for one in systems if isinstance(one, Mailpost)]
        runs.append(([one.name for one in systems], workers))
        return True

    monkeypatch.setattr(command, "_measure", chosen)
    monkeypatch.setattr(postfix_dovecot, "why_not", lambda: None)
    return runs


@pytest.mark.parametrize(
    ("words", "names", "workers"),
    [
        ([], ["mailpost", "Postfix + Dovecot"], [1]),
        (["--workers", "2"], ["mailpost", "Postfix + Dovecot"], [2]),
        (["--vs", "none"], ["mailpost"], [1]),
        (["--two-workers"], ["two workers", "one worker"], [2, 1]),
        (["--slow-disk", "--workers", "3"], ["mailpost", "Postfix + Dovecot"], [3]),
        (["--slow-disk", "--vs", "none"], ["mailpost"], [1]),
        (["--growth"], ["grown office", "empty office"], [1, 1]),
        (["--scale"], ["large office", "small office"], [1, 1]),
        (["--hostile"], ["mailpost"], [1]),
        (["--hostile", "--workers", "2"], ["mailpost"], [2]),
    ],
)
def test_a_group_has_its_systems(
    *, asked: Asked, words: list[str], names: list[str], workers: list[int]
) -> None:
    """What mailpost is measured beside is a part of what is measured."""
    ended = CliRunner().invoke(command.main, words)
    assert ended.exit_code == 0, ended.output
    assert asked == [(names, workers)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--growth", "--vs", "postfix-dovecot"],
            "--growth measures mailpost alone, or beside itself",
        ),
        (
            ["--two-workers", "--without-mailpost"],
            "--two-workers measures mailpost alone, or beside itself",
        ),
        (["--two-workers", "--workers", "4"], "--workers is for rows that measure mailpost once"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_what_cannot_be_measured_is_said(words: list[str], said: str) -> None:
    """Rather than something else being measured."""
    ended = CliRunner().invoke(command.main, words)
    assert ended.exit_code == 1
    assert said in ended.output


def test_every_name_is_there_once() -> None:
    """A name means one row of the run."""
    stores = (10_000, 100_000)
    plan = Plan(1.0, idle_sessions=20, maildrops=(), stores=stores, programs=command.Path())
    for group in GROUPS.values():
        names = [row.name for row in group.rows(plan)]
        assert len(set(names)) == len(names) > 1


def test_a_target_is_of_a_row_that_is_there() -> None:
    """One whose row has another name would never be missed."""
    plan = Plan(1.0, idle_sessions=20, maildrops=(100_000,), stores=(), programs=command.Path())
    rows = all_rows(plan)
    assert {row.name for row in rows if row.targets} == set(TARGETS)


def test_workers_are_in_the_configuration() -> None:
    """As a person would write it."""
    assert "\nworkers  = {workers}\n" in CONFIG
