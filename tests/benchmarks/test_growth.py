"""The office that grows from row to row, and the one that does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.growth import EACH, FULL_USER, USERS, Empty, Grown, growth_rows
from benchmarks.row import Plan
from benchmarks.scale_rows import RECIPIENTS, recipients
from benchmarks.systems import crowd_name, user_name
from mailpost.cli import main
from tests.store.conftest import Office

if TYPE_CHECKING:
    import pytest

PLAN = Plan(seconds=0.05, idle_sessions=1, maildrops=(), stores=(1_000, 2_000), programs=Path())


def test_an_office_grows_to_what_a_row_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half in one maildrop, half in the others; what is there is not made again."""
    said: list[tuple[str, ...]] = []
    office = Grown(tmp_path)
    monkeypatch.setattr(office, "run", lambda *words: said.append(words[3:]))
    for letters in (1_000, 1_000, 2_000, 1_000):
        office.grow(letters)
    of = (str(EACH), str(FULL_USER))
    assert said == [("0", "5", *of, "500"), ("5", "10", *of, "500")]
    assert (office.crowd, office.full) == (10, 1_000)
    assert len(set(recipients(office))) == USERS + 10
    assert len(recipients(office)) == RECIPIENTS


def test_an_empty_office_stays_empty(tmp_path: Path) -> None:
    """It is what the other is measured beside."""
    office = Empty(tmp_path)
    office.grow(10_000)
    assert (office.crowd, office.full) == (0, 0)


def test_the_rows_come_by_size() -> None:
    """An office cannot shrink."""
    names = [row.name for row in growth_rows(PLAN)]
    assert names == [
        *(f"growth-{what}-1000" for what in ("letter", "full", "rcpt")),
        *(f"growth-{what}-2000" for what in ("letter", "full", "rcpt")),
    ]


def test_the_letters_are_in_the_store(tmp_path: Path) -> None:
    """Made by the process that the benchmark starts, into an office that exists."""
    main(["init", str(tmp_path / "office"), "--domain", "example.org"], standalone_mode=False)
    config = str(tmp_path / "office" / "mailpost.toml")
    office = Office(tmp_path / "office" / "mailpost.db")
    office.accounts.add(user_name(FULL_USER))
    counts = ("0", "2", "3", str(FULL_USER), "5")
    command = [sys.executable, "-m", "benchmarks.mailpost_crowd", "grow", config, *counts]
    subprocess.run(command, check=True)
    held = {line.account.name: line.letters for line in office.store.accounts.all() if line.letters}
    office.store.close()
    assert held == {crowd_name(0): 3, crowd_name(1): 3, user_name(FULL_USER): 5}
