"""Processes that are killed at any moment: what was promised is there, whole and once."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mailpost.store.delivery import ROW
from tests.faults.history import History

from .conftest import POSTMARK, Office

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
SCRIPT = str(Path(__file__).with_name("under_load.py"))
TO_AND_FRO = str(Path(__file__).with_name("to_and_fro.py"))


HEARD = {"answered", "quit", "closed"}


class Loaded:
    """A process under load.

    :ivar lines: what it has said so far.
    :param until: a word of a line, with which the first thing is done that counts.
    :ivar first: set when it is.
    """

    def __init__(
        self, path, name, seed, script=SCRIPT, environment=ENVIRONMENT, until=b'"answered"'
    ):
        self.process = subprocess.Popen(
            [sys.executable, script, str(path), name, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.errors = b""
        self.lines = []
        self.first = threading.Event()
        self.reader = threading.Thread(target=self._read, args=[script, until])
        self.reader.start()

    def _read(self, script, until):
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                self.lines.append(line)
                if until in line or script != SCRIPT:
                    self.first.set()
        self.errors = self.process.stderr.read()
        self.first.set()

    def kill_after(self, seconds):
        assert self.first.wait(20)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.end()
        assert self.process.returncode == -9, self.errors.decode()

    def stop(self):
        """Have it do nothing more, between two of its calls."""
        self.process.send_signal(signal.SIGSTOP)

    def end(self):
        """Hear the last of it."""
        self.reader.join(20)
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def tell(self, history, deaf_from=None):
        """Have its lines checked, and note that it has gone.

        :param deaf_from: the line from which on nobody has heard any answer.
        """
        for place, line in enumerate(self.lines):
            event = json.loads(line)
            if deaf_from is None or place < deaf_from or event["what"] not in HEARD:
                history.tell(event)
        history.abandoned()
        history.crashed()


def look(office, name, history):
    """Look at everything in one maildrop."""
    account = office.accounts.find(name)
    snapshot = office.open(account)
    session = history.opening(name)
    uidls = [snapshot.uidl(index) for index in range(len(snapshot.sizes))]
    history.listed(session, uidls)
    for index, uidl in enumerate(uidls):
        history.read(session, uidl, office.fetch(snapshot, index))
    snapshot.close()
    history.closed(session)


def check(office, name, history, *names):
    """Look at everything in one maildrop, or several, by the promises."""
    for each in (name, *names):
        look(office, each, history)
    history.audited()
    history.check()


@pytest.mark.parametrize("moments", [6])
def test_killed_under_load(tmp_path, moments):
    """Killed again and again while it delivers, lets go and sweeps: nothing promised is broken."""
    office = Office(tmp_path / "mail.db")
    office.accounts.add("alice", None)
    office.store.close()
    chance = random.Random()
    history = History(["alice"])
    for moment in range(moments):
        until = b'"quit"' if moment == 0 else b'"answered"'
        loaded = Loaded(office.path, "alice", moment, until=until)
        loaded.kill_after(chance.uniform(0.05, 0.7))
        loaded.tell(history)
        office.open_store()
        office.store.sweeper.remove_orphans()
        check(office, "alice", history)
        named = {name for (name,) in office.rows("SELECT parcel FROM letter WHERE parcel > ''")}
        folder = office.path.with_name("mail.db.parcels")
        assert named <= {path.name for path in folder.iterdir()}
        assert office.rows("PRAGMA integrity_check") == [("ok",)]
        office.store.close()
    assert history.counts["kept"] > 100
    assert history.counts["let go"]


def test_two_processes(tmp_path):
    """Two processes share a store; killing one takes nothing from the other, nor its locks along."""
    office = Office(tmp_path / "mail.db")
    for name in ("alice", "bob"):
        office.accounts.add(name, None)
    first, second = Loaded(office.path, "alice", 1), Loaded(office.path, "bob", 1)
    assert second.first.wait(20)
    first.kill_after(0.5)
    before = len(second.lines)
    second.kill_after(0.5)
    assert len(second.lines) > before
    office.restart()
    for name, loaded in (("alice", first), ("bob", second)):
        history = History([name])
        loaded.tell(history)
        check(office, name, history)
    office.store.close()


def test_killed_on_the_way_to_the_bin_and_back(tmp_path):
    """Wherever it is killed, each letter is in the maildrop or in the bin: once, whole, and counted."""
    office = Office(tmp_path / "mail.db")
    alice = office.accounts.add("alice")
    bodies = [b"%d\r\n" % n for n in range(300)] + [b"p" * ROW + b"\r\n"]
    for one in bodies:
        office.commit(one, alice)
    office.turn()
    chance = random.Random()
    for moment in range(4):
        office.store.close()
        Loaded(office.path, "alice", moment, TO_AND_FRO).kill_after(chance.uniform(0, 0.3))
        office.open_store()
        assert office.store.sweeper.remove_orphans() == []
        both = "SELECT letter FROM entry UNION ALL SELECT letter FROM bin"
        assert office.rows(f"SELECT count(*), count(DISTINCT letter) FROM ({both})") == [
            (len(bodies), len(bodies))
        ]
        assert office.rows("SELECT min(copies), max(copies), count(*) FROM letter") == [
            (1, 1, len(bodies))
        ]
        assert office.rows(
            "SELECT m.letters = count(e.number), m.octets = coalesce(sum(e.octets), 0),"
            " m.next > coalesce(max(e.number), 0) FROM maildrop m LEFT JOIN entry e"
            " ON e.maildrop = m.maildrop WHERE m.maildrop = ?",
            alice.maildrop,
        ) == [(1, 1, 1)]
        assert office.rows("PRAGMA integrity_check") == [("ok",)]
    office.store.bin.undelete(alice)
    found = [letter.removeprefix(POSTMARK) for letter in office.letters(alice)]
    assert sorted(found) == sorted(bodies)
    office.store.close()
