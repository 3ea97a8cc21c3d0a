"""An office that has much is open again within seconds, however it ended, and needs no hand for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.clients import NotNowError, Sender
from tests.faults.history import History
from tests.faults.patience import recovery
from tests.river.office import Office, attempts
from tests.river.test_workers import alive
from tests.store.test_crash import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
FILLING = str(Path(__file__).with_name("heavy_store.py"))


@pytest.fixture
def filled(tmp_path: Path) -> Callable[[int, int], Office]:
    """Makes an office of two workers whose store another process has filled, and was killed over."""

    def fill(letters: int, parcels: int) -> Office:
        office = Office(tmp_path / "office", office="workers = 2")
        office.add_users(["alice", "bob"])
        database = str(office.folder / "mailpost.db")
        command = [sys.executable, FILLING, database, "alice", str(letters), str(parcels)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
        ) as filling:
            assert filling.stdout is not None
            assert filling.stdout.readline() == b"filled\n"
            filling.kill()
        return office

    return fill


def kept_again(office: Office, history: History, name: str) -> float:
    """Seconds until a letter is kept."""
    began = time.monotonic()
    for _ in attempts():
        with suppress(OSError, NotNowError), Sender(history, office.smtp) as sender:
            if sender.send(name, ["bob"]).startswith(b"250"):
                break
    return time.monotonic() - began


def killed(office: Office) -> None:
    """SIGKILL to the first process; the workers end by themselves."""
    workers = office.workers
    office.kill()
    for _ in attempts():
        if not any(map(alive, workers)):
            return


@pytest.mark.parametrize(
    ("letters", "parcels", "log"),
    [(1_000, 20, 0.5), pytest.param(100_000, 2_000, 32, marks=pytest.mark.slow)],
)
def test_open_again(
    filled: Callable[[int, int], Office], letters: int, parcels: int, log: float
) -> None:
    """Many letters, many parcels, a long log: it takes letters again soon, whoever of it was killed."""
    office = filled(letters, parcels)
    history = History(["bob"])
    try:
        assert office.folder.joinpath("mailpost.db-wal").stat().st_size > log * MIB
        took = {"opened": office.start() + kept_again(office, history, "first")}
        killed(office)
        took["opened again"] = office.start() + kept_again(office, history, "second")
        for _ in attempts():  # an office that opens for the first time ends when one cannot
            if office.log.count("2 workers serve") == 2:
                break
        for turn in range(2):  # however often, and however short their lives were
            for worker in office.workers:
                os.kill(worker, signal.SIGKILL)
            took[f"without workers {turn}"] = kept_again(office, history, f"again-{turn}")
        print({what: round(seconds, 1) for what, seconds in took.items()})  # noqa: T201 - shown by -s
        assert max(took.values()) < recovery(), took
        shown = office.mailpost("--config", str(office.config), "user", "list")
        assert str(letters + parcels) in shown.replace(",", "")
    finally:
        office.stop()
