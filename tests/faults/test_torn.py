"""The power fails, and the disk has done what had not been synced in part, torn, and in another order.

All that a process writes is recorded, and the disks are made that a power cut could leave of it, at any
moment. From each of them the store opens by itself, and every promise holds that was made before.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailpost.store import create_store
from mailpost.store.errors import StoreError
from tests.faults.history import History
from tests.faults.power import Disk, Line, compile_recorder, lines_of, moments, recording, sectors
from tests.river.conftest import not_here
from tests.store.conftest import Office
from tests.store.test_crash import SCRIPT, Loaded, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER = "alice"
MEMORY = Path("/dev/shm")
SECTORS = 9  # of a longer write the others are as good
LITTLE = Path(__file__).with_name("small_history.py")


class Recorded:
    """What a process has written, or several.

    :param users: whose maildrops there are.
    :ivar base: the disk before.
    """

    def __init__(self, base: Disk, log: Path, *users: str) -> None:
        self.users = users or (USER,)
        self.base = base
        self.lines = list(lines_of(log))

    def told(self, count: int) -> History:
        """What it had said when so many lines had happened."""
        history = History(self.users)
        said = b"".join(line.octets for line in self.lines[:count] if line.what == "A")
        for text in said.splitlines():
            history.tell(json.loads(text))
        history.abandoned()
        history.crashed()
        return history

    def states(self) -> Iterator[tuple[int, Disk]]:
        """The moments at which the power may fail, and the disk at each."""
        disk = deepcopy(self.base)
        for count in moments(disk, self.lines):
            yield count, disk


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory, where there is such a place: thousands of disks are laid out here."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def recorder(folder: Path) -> Path:
    if shutil.which("cc") is None:
        not_here("cc is not installed (Debian's packages: gcc libc6-dev)")
    return compile_recorder(folder)


@pytest.fixture(scope="module")
def little(folder: Path, recorder: Path) -> Recorded:
    """A store that is made, and everything done in it once."""
    root = folder / "little"
    root.mkdir()
    create_store(root / "mail.db")
    base = Disk.of(root)
    environment = recording(recorder, root, folder / "little.log")
    command = [sys.executable, str(LITTLE), str(root / "mail.db"), USER]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return Recorded(base, folder / "little.log")


@pytest.fixture(scope="module")
def busy(folder: Path, recorder: Path) -> Recorded:
    """A process that writes as fast as it can, and is killed."""
    root = folder / "busy"
    root.mkdir()
    office = Office(root / "mail.db")
    office.accounts.add(USER)
    office.store.close()
    base = Disk.of(root)
    environment = recording(recorder, root, folder / "busy.log")
    Loaded(root / "mail.db", USER, 1, SCRIPT, environment).kill_after(0.5)
    return Recorded(base, folder / "busy.log")


@pytest.fixture(scope="module")
def pair(folder: Path, recorder: Path) -> Recorded:
    """Two processes that write into one store as fast as they can, and are killed together."""
    root = folder / "pair"
    root.mkdir()
    office = Office(root / "mail.db")
    users = (USER, "bob")
    for user in users:
        office.accounts.add(user)
    office.store.close()
    base = Disk.of(root)
    environment = recording(recorder, root, folder / "pair.log")
    both = [Loaded(root / "mail.db", user, 1, SCRIPT, environment) for user in users]
    for one in both:
        assert one.first.wait(20)
    time.sleep(0.5)
    for one in both:
        one.stop()
    for one in both:
        one.process.kill()
        one.end()
    recorded = Recorded(base, folder / "pair.log", *users)
    for user in users:  # each of them has written
        attempts = f'"id": "{user}-1-'.encode()
        assert any(line.what == "A" and attempts in line.octets for line in recorded.lines)
    return recorded


def opens(folder: Path, disk: Disk, survive: list[Line], history: History) -> None:
    """Lay out a disk, open the store that is on it, and hold it to the promises; twice."""
    place = folder / "cut"
    disk.cut(survive, place)
    try:
        office = Office(place / "mail.db", create=False)
        try:
            office.store.sweeper.remove_orphans()
            if office.accounts.find(USER) is None:  # nothing was promised, then
                history.check()
                assert not history.counts["kept"]
                return
            check(office, history.views[0], history, *history.views[1:])
            named = {name for (name,) in office.rows("SELECT parcel FROM letter WHERE parcel > ''")}
            assert named <= {path.name for path in (place / "mail.db.parcels").iterdir()}
            assert office.rows("PRAGMA integrity_check") == [("ok",)]
            body = b"Subject: afterwards\r\n\r\n"
            attempt = history.sending("afterwards", [USER], body)
            (outcome,) = office.deliver(body, office.accounts.find(USER), postmark=b"")
            history.answered(attempt, b"%d" % outcome.reply.code)
            office.restart()
            check(office, history.views[0], history, *history.views[1:])
        finally:
            office.store.close()
    finally:
        shutil.rmtree(place)


def choices(waiting: list[Line], most: int) -> Iterator[list[Line]]:
    """What may be on the disk of what waits, each write whole or not at all, and one of them torn.

    :param most: up to so many there is every choice; of more: nothing, each beginning, all but one.
    """
    if len(waiting) <= most:
        sizes = range(len(waiting) + 1)
        yield from map(list, chain.from_iterable(combinations(waiting, size) for size in sizes))
    else:
        for index in range(len(waiting) + 1):
            yield waiting[:index]
        for index in range(len(waiting)):
            yield waiting[:index] + waiting[index + 1 :]
    for index, line in enumerate(waiting):
        pieces = sectors(line)
        for end in range(1, min(len(pieces), SECTORS)):
            yield [*waiting[:index], *pieces[:end], *waiting[index + 1 :]]
            yield [*waiting[:index], *pieces[end:]]


def cut_everywhere(folder: Path, little: Recorded, most: int, share: float) -> tuple[int, int]:
    """How many disks were made; at how many moments."""
    dice = random.Random(1)
    made = seen = 0
    for count, disk in little.states():
        seen += 1
        for survive in choices(disk.waiting, most):
            if dice.random() < share:
                opens(folder, disk, survive, little.told(count))
                made += 1
    return made, seen


def test_some_disks(folder: Path, little: Recorded) -> None:
    """Some of all that a power cut can leave of a little history."""
    made, seen = cut_everywhere(folder, little, 8, 0.04)
    assert made > 50
    assert seen > 20


@pytest.mark.slow
def test_every_disk(folder: Path, little: Recorded) -> None:
    """All of them."""
    made, _ = cut_everywhere(folder, little, 12, 1.0)
    assert made > 10_000


def torn_at_random(folder: Path, busy: Recorded, dice: random.Random) -> None:
    """One disk of a larger history, any sector of what waits on it or not."""
    syncs = [place for place, line in enumerate(busy.lines) if line.what in "SD"]
    count = dice.choice([*syncs, len(busy.lines)])
    disk = deepcopy(busy.base)
    for line in busy.lines[:count]:
        disk.take(line)
    likely = dice.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    pieces = [piece for line in disk.waiting for piece in sectors(line)]
    survive = [piece for piece in pieces if dice.random() < likely]
    opens(folder, disk, survive, busy.told(count))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dice=st.randoms(use_true_random=False))
def test_a_busy_store(folder: Path, busy: Recorded, dice: random.Random) -> None:
    """A process at work, with threads, parcels and checkpoints: at a random moment, at random."""
    torn_at_random(folder, busy, dice)


@pytest.mark.slow
@settings(max_examples=1_500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dice=st.randoms(use_true_random=False))
def test_a_busy_store_for_long(folder: Path, busy: Recorded, dice: random.Random) -> None:
    """The same, often."""
    torn_at_random(folder, busy, dice)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dice=st.randoms(use_true_random=False))
def test_a_busy_pair(folder: Path, pair: Recorded, dice: random.Random) -> None:
    """Two processes at work in one store: whatever is torn or late, what either was promised is there."""
    torn_at_random(folder, pair, dice)


@pytest.mark.slow
@settings(max_examples=1_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dice=st.randoms(use_true_random=False))
def test_a_busy_pair_for_long(folder: Path, pair: Recorded, dice: random.Random) -> None:
    """The same, often."""
    torn_at_random(folder, pair, dice)


def of_log(recorded: Recorded, line: Line) -> bool:
    """Whether it is a sync of the write-ahead log."""
    logs = {
        one.inode
        for one in recorded.lines
        if one.what == "C" and one.octets.endswith(b"mail.db-wal")
    }
    return line.what == "S" and line.inode in logs


def of_parcel(recorded: Recorded, line: Line) -> bool:
    """Whether it is a sync of a parcel."""
    parcels = {one.inode for one in recorded.lines if one.octets.endswith(b".tmp")}
    return line.what == "S" and line.inode in parcels


def of_database(recorded: Recorded, line: Line) -> bool:
    """Whether it is a sync of the database, before the log is begun anew."""
    return line.what == "S" and line.inode in recorded.base.files


def of_folder(recorded: Recorded, line: Line) -> bool:
    """Whether it is a sync of a folder."""
    return line.what == "D"


@pytest.mark.parametrize("forgotten", [of_log, of_parcel, of_database, of_folder])
def test_a_sync_that_is_forgotten(
    folder: Path, little: Recorded, forgotten: Callable[[Recorded, Line], bool]
) -> None:
    """The test's own footing: without any one kind of its syncs the store would lose letters, or break."""
    careless = deepcopy(little)
    careless.lines = [line for line in little.lines if not forgotten(little, line)]
    for count, disk in careless.states():
        for survive in ([], disk.waiting[: len(disk.waiting) // 2], disk.waiting[-1:]):
            try:
                opens(folder, disk, survive, careless.told(count))
            except (AssertionError, StoreError, apsw.Error):
                return
    pytest.fail("nobody has noticed")


def test_a_pair_that_forgets_to_sync(folder: Path, pair: Recorded) -> None:
    """The footing of two processes: were the log not synced, letters of theirs would be missed."""
    half = len(pair.lines) // 2
    disk = deepcopy(pair.base)
    for line in pair.lines[:half]:
        if line.what != "S" or not of_log(pair, line):
            disk.take(line)
    with pytest.raises((AssertionError, StoreError, apsw.Error)):
        opens(folder, disk, [], pair.told(half))
