"""Processes that are killed at any moment: what was promised is there, whole and once."""

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from .conftest import POSTMARK, Office
from .under_load import body

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
SCRIPT = str(Path(__file__).with_name("under_load.py"))
TO_AND_FRO = str(Path(__file__).with_name("to_and_fro.py"))


class Loaded:
    """A process under load, and what it was promised."""

    def __init__(self, path, name, seed, script=SCRIPT):
        self.process = subprocess.Popen(
            [sys.executable, script, str(path), name, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        self.errors = b""
        self.promised = {"D": set(), "T": set(), "G": set()}
        self.first = threading.Event()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                what, name = line.decode().split()
                self.promised[what].add(name)
                self.first.set()
        self.errors = self.process.stderr.read()
        self.first.set()

    def kill_after(self, seconds):
        assert self.first.wait(20)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reader.join(20)
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        assert self.process.returncode == -9, self.errors.decode()


def check(office, name, promised):
    """All that was promised holds, and no letter is torn, doubled or made up."""
    found = Counter()
    for letter in office.letters(office.accounts.find(name)):
        letter_name = letter.split(b"\r\n")[0].decode()
        assert letter == body(letter_name)
        found[letter_name] += 1
    assert not [each for each, times in found.items() if times > 1]
    missing = promised["D"] - promised["T"] - set(found)
    assert not missing, "accepted, and not there"
    returned = promised["G"] & set(found)
    assert not returned, "let go of, and there again"
    return found


@pytest.mark.parametrize("moments", [6])
def test_killed_under_load(tmp_path, moments):
    """Killed again and again while it delivers, lets go and sweeps: nothing promised is broken."""
    office = Office(tmp_path / "mail.db")
    office.accounts.add("alice", None)
    office.store.close()
    chance = random.Random()
    promised = {"D": set(), "T": set(), "G": set()}
    for moment in range(moments):
        loaded = Loaded(office.path, "alice", moment)
        loaded.kill_after(chance.uniform(0.05, 0.7))
        for what, names in loaded.promised.items():
            promised[what] |= names
        office.open_store()
        office.store.sweeper.remove_orphans()
        check(office, "alice", promised)
        named = {name for (name,) in office.rows("SELECT parcel FROM letter WHERE parcel > ''")}
        folder = office.path.with_name("mail.db.parcels")
        assert named <= {path.name for path in folder.iterdir()}
        assert office.rows("PRAGMA integrity_check") == [("ok",)]
        office.store.close()
    assert len(promised["D"]) > 100
    assert promised["G"]


def test_two_processes(tmp_path):
    """Two processes share a store; killing one takes nothing from the other, nor its locks along."""
    office = Office(tmp_path / "mail.db")
    for name in ("alice", "bob"):
        office.accounts.add(name, None)
    first, second = Loaded(office.path, "alice", 1), Loaded(office.path, "bob", 1)
    assert second.first.wait(20)
    first.kill_after(0.5)
    before = len(second.promised["D"])
    second.kill_after(0.5)
    assert len(second.promised["D"]) > before
    office.restart()
    check(office, "alice", first.promised)
    check(office, "bob", second.promised)
    office.store.close()


def test_killed_on_the_way_to_the_bin_and_back(tmp_path):
    """Wherever it is killed, each letter is in the maildrop or in the bin: once, whole, and counted."""
    office = Office(tmp_path / "mail.db")
    alice = office.accounts.add("alice")
    bodies = [b"%d\r\n" % n for n in range(300)] + [b"p" * 70_000 + b"\r\n"]
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
