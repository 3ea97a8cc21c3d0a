"""The long run: what it looks at, what it says of it, and that no letter may be missing."""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from click.testing import CliRunner

import benchmarks.__main__ as command
from benchmarks import load, long_report, long_run
from benchmarks.errors import BenchmarkError
from benchmarks.long_run import KEEPING, Course, Emptied
from benchmarks.trends import Verdict
from benchmarks.watching import Watch
from tests.benchmarks.serving import compiles, serving, told_by

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

TIMES = [5.0 * number for number in range(1, 361)]
LINE = {"done": 10.0, "p50": 0.001, "p99": 0.002, "max": 0.003}


class Office(Emptied):
    """An office of which only files and processes are looked at: this process is all of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 0)
        self.living = [os.getpid()]
        self.database = apsw.Connection(str(folder / "mailpost.db"))
        self.database.execute("PRAGMA journal_mode = WAL; CREATE TABLE letter (key)").fetchall()
        (folder / "mailpost.db.parcels").mkdir()

    def pids(self) -> list[int]:
        return list(self.living)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.database.close()


def test_a_look_sees_what_an_office_holds(office: Office) -> None:
    """A descriptor more, a parcel more, a letter more are each seen."""
    watch = Watch(office)
    watch.look()  # SQLite opens its files when it needs them first
    before = watch.look()
    office.database.execute("INSERT INTO letter VALUES (1)")
    (office.folder / "mailpost.db.parcels" / "one").write_bytes(bytes(8192))
    with Path(os.devnull).open():
        after = watch.look()
    watch.close()
    more = {name: after[name] - before[name] for name in before}
    assert (more["letters"], more["descriptors 1"], more["parcels"]) == (1, 1, 8192)
    assert after["database"] + after["wal"] >= 8192
    assert after["rss 1"] > 1 << 20


def test_a_process_that_has_gone_is_told(office: Office) -> None:
    """Its memory would seem to have shrunk."""
    watch = Watch(office)
    office.living.append(1)
    with pytest.raises(BenchmarkError, match="the processes were"):
        watch.look()
    watch.close()


def course(leak: float = 0.0) -> Course:
    """Half an hour; memory grows by so much."""
    seen = Course(capacity=1000, pace=500, accepted=900_000, collected=900_000)
    for at in TIMES:
        seen.add(at, {"rss 1": 80e6 + leak * at / TIMES[-1], "descriptors 1": 70, "250 p50": 0.003})
    return seen


def test_a_leak_is_in_the_table_and_the_run_is_not_flat() -> None:
    """The check can fail: a megabyte in half an hour is enough."""
    leaking = course(1e6)
    found = long_report.trends(leaking)
    text = long_report.table(leaking, found, "Machine.")
    (line,) = [line for line in text.splitlines() if line.startswith("memory of process 1")]
    assert line.split()[4:] == [
        *("MB", "80.05", "80.50", "80.95", "+1.00", "+-", "0.00", "1.00", "GROWS")
    ]
    assert not long_report.is_flat(leaking, found)
    data = long_report.as_data(leaking, found, {"cores": "2"})["long_run"]
    assert data["quantities"]["rss 1"]["verdict"] == "GROWS"
    assert len(data["quantities"]["descriptors 1"]["values"]) == len(TIMES)
    assert json.dumps(data)


def test_a_run_without_leaks_is_flat_unless_it_ended_early() -> None:
    """What was not seen to its end is no half hour."""
    whole = course()
    found = long_report.trends(whole)
    assert {one.verdict for one in found.values()} == {Verdict.FLAT}
    assert long_report.is_flat(whole, found)
    whole.failure = "the server closed"
    assert not long_report.is_flat(whole, found)
    assert "It ended early: the server closed" in long_report.table(whole, found, "Machine.")


class Told:
    def say(self, text: str) -> None: ...
    def passed(self, seconds: float, text: str) -> None: ...


def running(collected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the load programs, which accept 110 letters and collect so many."""

    class Load:
        def __init__(self, lines: list[dict[str, float]]) -> None:
            self._lines = lines

        def told(self) -> Iterator[dict[str, float]]:
            yield from self._lines

    @contextmanager
    def stand_in(_system: object, program: Path, *words: str | float) -> Iterator[Load]:
        ended = {"pop3load": collected, "smtpload": 10 if long_run.LARGE in words else 100}
        yield Load([LINE, LINE, {"done": ended[program.name], "seconds": 1.0}])

    monkeypatch.setattr(load, "running", stand_in)
    monkeypatch.setattr(load, "compiled", lambda name, _folder: Path(name))
    monkeypatch.setattr(long_run, "capacity", lambda *_: 200.0)
    monkeypatch.setattr(long_run, "EVERY", 0.01)
    monkeypatch.setattr(long_run.maildrop, "count", lambda _system, user: int(user == 40) * 3)


def test_a_run_keeps_what_was_seen(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what it can carry; samples of the office, and of the letters' and sessions' time."""
    running(107, monkeypatch)
    seen = long_run.run(office, 0.05, Path(), Told())
    assert (seen.pace, seen.accepted, seen.collected, seen.failure) == (100, 110, 107, None)
    assert len(seen.samples["letters"][1]) == 5
    assert seen.samples["250 p99"] == ([0.01, 0.02], [0.002, 0.002])
    assert seen.samples["session max"] == ([0.01, 0.02], [0.003, 0.003])
    assert {long_report.quantity(name).title for name in seen.samples} >= {"database"}


def test_a_letter_that_is_missing_is_no_flat_run(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted is collected, or still there."""
    running(106, monkeypatch)
    with pytest.raises(BenchmarkError, match="110 letters were accepted, 106 collected, 3 are"):
        long_run.run(office, 0.05, Path(), Told())


def test_the_bin_is_empty_in_the_office_that_is_watched() -> None:
    """Or the database would rightly grow."""
    assert tomllib.loads(KEEPING) == {"keeping": {"bin": 0}}


@pytest.mark.parametrize(("words", "seconds"), [(["--long-run"], 1800), (["--long-run", "2"], 120)])
def test_half_an_hour_is_what_is_asked_for(
    words: list[str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless another number of minutes is; what is not flat ends with status 1."""
    asked: list[float] = []

    def run_long(_options: object, _plan: object, time: float) -> bool:
        asked.append(time)
        return time > 1000

    monkeypatch.setattr(command, "_run_long", run_long)
    ended = CliRunner().invoke(command.main, words)
    assert asked == [seconds]
    assert ended.exit_code == (0 if seconds > 1000 else 1)


def test_a_long_run_has_no_rows() -> None:
    """What was asked for besides would not be measured."""
    ended = CliRunner().invoke(command.main, ["--long-run", "1", "--scale"])
    assert ended.exit_code == 1
    assert "--long-run is of mailpost alone" in ended.output


class Maildrop:
    """A POP3 server for one session after the other, with three letters for the first."""

    def __init__(self) -> None:
        self.letters = [b"one\r\n", b"..two\r\n", b"three\r\n"]
        self.deleted: list[bytes] = []

    def session(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"+OK hello\r\n")
        for line in lines:
            verb, _, argument = line.strip().partition(b" ")
            connection.sendall(self.reply(verb, argument))
            if verb == b"QUIT":
                self.letters.clear()
                return

    def reply(self, verb: bytes, argument: bytes) -> bytes:
        if verb == b"STAT":
            return b"+OK %d 0\r\n" % len(self.letters)
        if verb == b"LIST":
            sizes = [len(letter) - letter.startswith(b".") for letter in self.letters]
            listed = b"".join(b"%d %d\r\n" % pair for pair in enumerate(sizes, 1))
            return b"+OK\r\n" + listed + b".\r\n"
        if verb == b"RETR":
            return b"+OK\r\n" + self.letters[int(argument) - 1] + b".\r\n"
        if verb == b"DELE":
            self.deleted.append(argument)
        return b"+OK\r\n"


@compiles
def test_what_came_is_collected_and_let_go_of(programs: Path) -> None:
    """Each letter once; sessions that find nothing go on coming, and all are told of."""
    maildrop = Maildrop()
    program = load.compiled("pop3load", programs)
    words = ("-u", "user", "-f", "0", "-P", "secret", "-s", "0.5", "-i", "0.1", "-b", "0.02")
    with serving(maildrop.session) as port:
        *intervals, whole = told_by(program, port, *words, "collect")
    assert maildrop.deleted == [b"1", b"2", b"3"]
    assert whole["done"] == 3
    assert 1 <= len(intervals) <= 5
    assert sum(line["done"] for line in intervals) <= 3
    assert all(line["p50"] <= line["p99"] <= line["max"] for line in intervals)
    assert any(line["p50"] > 0 for line in intervals)


@compiles
def test_letters_at_a_pace_go_to_everybody_in_turn(programs: Path) -> None:
    """And are told of while they come."""
    heard: list[bytes] = []

    def session(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 hello\r\n")
        for line in lines:
            heard.append(line.strip())
            if line == b"DATA\r\n":
                connection.sendall(b"354 go on\r\n")
                while lines.readline() != b".\r\n":
                    pass
            connection.sendall(b"221 bye\r\n" if line == b"QUIT\r\n" else b"250 fine\r\n")
            if line == b"QUIT\r\n":
                return

    program = load.compiled("smtpload", programs)
    words = ("-t", "a@x.example,b@x.example", "-l", "160", "-r", "40", "-s", "0.5", "-i", "0.1")
    with serving(session) as port:
        *intervals, whole = told_by(program, port, *words)
    named = [line for line in heard if line.startswith(b"RCPT")]
    assert named == [b"RCPT TO:<a@x.example>", b"RCPT TO:<b@x.example>"] * 10
    assert whole["done"] == 20
    assert 1 <= len(intervals) <= 5
    assert all(line["p50"] <= line["p99"] <= line["max"] for line in intervals)
    assert any(line["p50"] > 0 for line in intervals)
    assert whole["max"] >= whole["p99"]


def test_a_load_that_fails_ends_the_run_and_leaves_what_was_seen(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own sentence is told."""
    running(110, monkeypatch)

    def failing(self: Any) -> None:
        self.failure = BenchmarkError("the server was silent")

    monkeypatch.setattr(long_run.Listener, "run", failing)
    seen = long_run.run(office, 0.05, Path(), Told())
    assert seen.failure == "the server was silent"
    assert len(seen.samples["letters"][1]) == 1


def test_nobody_sends_any_more_when_what_is_left_is_deleted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter that came behind the last look would be one too many in the run."""
    order: list[str] = []

    class Load:
        abandoned = False

        def __init__(self, name: str) -> None:
            self.name = name

        def told(self) -> Iterator[dict[str, float]]:
            if self.name == "pop3load":
                yield {"done": 1, "seconds": 1.0}
            for number in range(99):
                yield {"done": 10.0 * number}

    @contextmanager
    def stand_in(_system: object, program: Path, *_words: object) -> Iterator[Load]:
        yield Load(program.name)
        order.append(f"{program.name} ended")

    monkeypatch.setattr(load, "running", stand_in)
    monkeypatch.setattr(load, "compiled", lambda name, _folder: Path(name))
    monkeypatch.setattr(long_run.maildrop, "empty", lambda *_: order.append("emptied"))
    # Of twelve seconds the first two are left out.
    assert long_run.capacity(office, Path()) == sum(range(2, 12))
    assert order[:2] == ["smtpload ended", "pop3load ended"]
    assert set(order[2:]) == {"emptied"}
