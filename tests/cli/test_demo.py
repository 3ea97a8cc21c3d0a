"""``mailpost demo``, run as its users run it: to a file, in a terminal, key by key."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


DEMO = [sys.executable, "-m", "mailpost", "demo"]
PATIENCE = 10.0
ESCAPE = "\x1b"
ASKED = "any key"
STEPS = [
    "The greeting",
    "EHLO",
    "The envelope: from whom",
    "The envelope: to whom",
    "The letter",
    "The dot, and the promise of 250",
    "QUIT",
    "AUTHORIZATION: who are you?",
    "TRANSACTION: what is there?",
    "TRANSACTION: the letter",
    "TRANSACTION: a mark",
    "UPDATE: the promise of +OK",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demonstration makes its temporary folder; nothing is left there."""
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    colours = ("FORCE_COLOR", "NO_COLOR", "COLORTERM", "COLUMNS", "TTY_COMPATIBLE")
    inherited = {name: value for name, value in os.environ.items() if name not in colours}
    return {**inherited, "TMPDIR": str(folder), "TERM": "xterm-256color", **more}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *arguments],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Screen:
    """A terminal with the demonstration in it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [*DEMO, *arguments],
            env=environment(folder, COLUMNS="80"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Read until a text was shown so often."""
        end = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            assert self._read(end), f"{text!r} was not shown {times} times: {self.shown}"

    def press(self, key: str) -> None:
        """Press a key until it was heeded: what is typed before it is waited for is thrown away."""
        asked = len(self.shown.rpartition(ASKED)[0])  # the next question may come in the same read
        while "\r" not in self.shown[asked:] and self.process.poll() is None:
            os.write(self._ours, key.encode())
            end = time.monotonic() + 0.5
            while "\r" not in self.shown[asked:] and self._read(end):
                pass

    def end(self) -> int:
        """Read to the end; the exit status."""
        while self._read(time.monotonic() + PATIENCE):
            pass
        os.close(self._ours)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self, end: float) -> bool:
        if not select.select([self._ours], [], [], max(0.0, end - time.monotonic()))[0]:
            return False
        try:
            octets = os.read(self._ours, 65536)
        except OSError:  # how Linux says that nobody is at the other end any more
            return False
        self.shown += octets.decode()
        return bool(octets)


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    opened: list[Screen] = []
    yield opened
    for screen in opened:
        screen.close()


def test_without_a_terminal(folder: Path) -> None:
    """All steps come in their order, plain, in a few seconds; nothing is left behind."""
    began = time.monotonic()
    ended = run(folder)
    assert time.monotonic() - began < PATIENCE
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ESCAPE not in ended.stdout
    assert re.findall(r"^ ?\d+ ([A-Z].+)$", ended.stdout, re.MULTILINE) == STEPS
    assert max(map(len, ended.stdout.splitlines())) <= 80
    assert list(folder.iterdir()) == []


def test_both_dialogues_are_there_line_by_line(folder: Path) -> None:
    """Client and server are told apart by their letter; the dots on the wire are shown."""
    lines = [line.strip() for line in run(folder).stdout.splitlines()]
    told = [line[:6] for line in lines if line.startswith(("C: ", "S: "))]
    assert told[:2] == ["S: 220", "C: EHL"]
    for line in ("C: RCPT TO:<alice@example.org>", "C: DATA", "C: .", "C: USER alice", "C: DELE 1"):
        assert line in lines
    assert "C: ..this line begins with a dot." in lines
    assert "S: ..this line begins with a dot." in lines
    trace = next(line for line in lines if line.startswith("S: 250 2.0.0 kept as")).split()[-1]
    assert f"S:         by mail.example.org with ESMTP id {trace}" in lines
    assert any(line.startswith(f"log: letter {trace} from <ada@example.net>") for line in lines)


def test_the_disk_is_looked_at(folder: Path) -> None:
    """Nothing before the dot, one letter after 250 and after DELE, nothing after QUIT."""
    shown = " ".join(run(folder).stdout.split())
    found = re.findall(r"who opens the store now finds (\d+) letters?", shown)
    assert found == ["0", "1", "1", "0"]
    logs = [int(size.replace(",", "")) for size in re.findall(r"write-ahead log ([\d,]+)", shown)]
    assert logs[0] < logs[1]


def test_in_a_terminal(folder: Path, screens: list[Screen]) -> None:
    """There it is in colour, and ends by itself."""
    screens.append(screen := Screen(folder))
    assert screen.end() == 0
    assert ESCAPE in screen.shown
    assert all(step in screen.shown for step in STEPS)
    assert list(folder.iterdir()) == []


def test_step_by_step(folder: Path, screens: list[Screen]) -> None:
    """``--step`` shows one step for each key."""
    screens.append(screen := Screen(folder, "--step"))
    for number, step in enumerate(STEPS[:-1], 1):
        screen.wait_for(ASKED, number)
        assert step in screen.shown
        assert STEPS[number] not in screen.shown.rpartition(step)[2]
        screen.press(" ")
    assert screen.end() == 0
    assert STEPS[-1] in screen.shown
    assert list(folder.iterdir()) == []


def test_enough_seen(folder: Path, screens: list[Screen]) -> None:
    """``q`` ends it, and all is well."""
    screens.append(screen := Screen(folder, "--step"))
    screen.wait_for(ASKED)
    screen.press("q")
    assert screen.end() == 0
    assert STEPS[1] not in screen.shown
    assert list(folder.iterdir()) == []


def test_interrupted(folder: Path, screens: list[Screen]) -> None:
    """Ctrl-C ends it with a line, and nothing is left behind."""
    screens.append(screen := Screen(folder, "--step"))
    screen.wait_for(ASKED)
    screen.press("\x03")
    assert screen.end() == 130
    assert "mailpost: interrupted;" in screen.shown
    assert "Traceback" not in screen.shown
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ended_by_a_signal(folder: Path, screens: list[Screen], name: str) -> None:
    """A signal, or a window that is closed, leaves nothing behind either."""
    number = getattr(signal, name)
    screens.append(screen := Screen(folder))
    screen.wait_for(STEPS[2])
    screen.process.send_signal(number)
    assert screen.end() == 128 + number
    assert "Traceback" not in screen.shown
    assert list(folder.iterdir()) == []


def test_step_needs_a_terminal(folder: Path) -> None:
    """Where nobody can press a key, ``--step`` says so in one line."""
    ended = run(folder, "--step")
    assert ended.returncode == 2
    assert ended.stderr.startswith("mailpost: --step waits for a key")
    assert len(ended.stderr.splitlines()) == 1


def test_a_full_disk_is_told_in_one_line(folder: Path) -> None:
    """So is whatever keeps it from being shown."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            DEMO,
            env=environment(folder),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("mailpost: ")
    assert len(ended.stderr.splitlines()) == 1
    assert list(folder.iterdir()) == []
