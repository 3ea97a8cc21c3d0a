"""A disk that fails under one of two workers: the other serves, and afterwards both do."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Self

import pytest

from mailpost.store.delivery import ROW
from tests.faults.clients import NotNowError, Sender
from tests.faults.crowd import Crowd, audit
from tests.faults.history import History
from tests.faults.patience import recovery
from tests.faults.strace import Fault, injected
from tests.faults.strikes import workers_of
from tests.river.office import Office, attempts
from tests.river.small_disk import fill_up
from tests.river.test_workers import serves

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIEWS = ("alice", "bob")
ERRORS = ("error=EIO", "error=ENOSPC")
CALLS = ("pwrite64", "fdatasync", "fsync", "writev", "openat", "rename")
SOME = [
    Fault("error=EIO", "fdatasync", "1+"),  # no commit can be synced
    Fault("error=ENOSPC", "pwrite64", "1+"),  # none can be written
]


class Pair:
    """An office of two workers, and a crowd of clients."""

    def __init__(self, folder: Path, log: Path, **settings: str) -> None:
        self.office = Office(folder, office="workers = 2" + settings.pop("office", ""), **settings)
        self.office.log_file = log
        self.office.add_users(VIEWS)
        self.history = History(VIEWS)
        self.serial = count(1)
        self.crowd = Crowd(self.history, [self.office.smtp], [self.office.pop3], seed=1)

    def __enter__(self) -> Self:
        self.office.start()
        audit(self.history, self.office.pop3)
        self.crowd.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.crowd.stop()
        self.office.stop()

    def more(self, **wanted: int) -> None:
        """Go on until each of these has happened so many times more, by new connections as well."""
        before = self.history.counts.copy()
        happened = dict.fromkeys(wanted, 0)
        with suppress(TimeoutError):
            for _ in attempts():
                self.crowd.check()
                with (
                    suppress(OSError, NotNowError),
                    Sender(self.history, self.office.smtp) as sender,
                ):
                    sender.send(f"more-{next(self.serial)}", ["bob"], 2_000)
                for what in wanted:
                    happened[what] = self.history.counts[what] - before[what]
                if all(happened[what] >= enough for what, enough in wanted.items()):
                    return
        pytest.fail(f"{wanted} were to happen, and {happened} have happened")

    def connected_to(self, worker: int) -> Sender:
        """A connection that this worker has, and not the other."""
        for _ in attempts():
            sender = Sender(self.history, self.office.smtp)
            if serves(worker, sender.port):
                return sender
            sender.__exit__()
        raise AssertionError

    def both_serve(self) -> None:
        """Wait until each of the workers has kept a letter; none has been replaced."""
        within = recovery()
        self.history.mended(within)
        left = set(workers_of(self.office))
        for _ in attempts(within):
            with suppress(NotNowError), Sender(self.history, self.office.smtp) as sender:
                reply = sender.send(f"mended-{next(self.serial)}", ["alice"], ROW + 5_000)
                if reply.startswith(b"250"):
                    left -= {one for one in left if serves(one, sender.port)}
            if not left:
                return

    def still(self) -> None:
        """Let nobody send any more, and hold what is there against what was told."""
        self.crowd.stop()
        self.crowd.check()
        audit(self.history, self.office.pop3)
        self.crowd.start()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path / "office", tmp_path / "office.log") as pair:
        yield pair


def fail_under_one(pair: Pair, faults: list[Fault]) -> None:
    workers = workers_of(pair.office)
    for fault in faults:
        with pair.connected_to(workers[0]) as sender, injected(workers[0], fault):
            assert sender.send(f"struck-{fault.call}", ["alice"]).startswith(b"45")
            pair.more(kept=10)
        pair.both_serve()
        pair.still()
    assert workers_of(pair.office) == workers


@pytest.mark.usefixtures("strace")
def test_the_disk_fails_under_one_worker(pair: Pair) -> None:
    """Its letters are put off, those of the other are kept; then both keep them, and nothing is lost."""
    fail_under_one(pair, SOME)


@pytest.mark.usefixtures("strace")
@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_fails_under_one_worker(pair: Pair, call: str, error: str) -> None:
    """Each kind of call, the first time, some times, from some time on."""
    workers = workers_of(pair.office)
    for turn in range(4):
        for when in ("1", "2", "3..6", "2+"):
            with injected(workers[turn % 2], Fault(error, call, when)):
                pair.more(sent=20)
            pair.both_serve()
        pair.still()
    assert workers_of(pair.office) == workers


@pytest.fixture
def cramped_pair(small_disk: Path) -> Iterator[Pair]:
    settings = '\ndisk_reserve = "16 MiB"'
    log = small_disk.with_name("office.log")
    keeping = "\n[keeping]\nbin = 0"
    with Pair(small_disk / "office", log, office=settings, limits=keeping) as pair:
        yield pair


def test_the_disk_is_full_for_both(cramped_pair: Pair, small_disk: Path) -> None:
    """Letters are put off without harm, deletions are done or refused; with room both workers go on."""
    pair = cramped_pair
    workers = workers_of(pair.office)
    filler = small_disk / "filler"
    for _ in range(2):
        pair.more(kept=20)
        fill_up(filler)
        pair.more(withdrawn=5)  # 452 at MAIL
        filler.unlink()
        pair.both_serve()
        pair.still()
    assert workers_of(pair.office) == workers
