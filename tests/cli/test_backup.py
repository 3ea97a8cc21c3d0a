"""``mailpost backup`` and ``mailpost restore``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.store import Store


@pytest.fixture(autouse=True)
def office(tmp_path, monkeypatch):
    """An office in ./office that the commands find by themselves, where alice has two letters."""
    monkeypatch.chdir(tmp_path)
    assert run("init", "office", "--domain", "example.org").exit_code == 0
    monkeypatch.setenv("MAILPOST_CONFIG", "office/mailpost.toml")
    with opened() as (_, store):
        alice = store.accounts.add("alice", "hash")
        letters = [
            store.bringing.take([b"%d\r\n" % n], key=bytes([n]), arrived=n, uidl=f"uidl-{n}")
            for n in (1, 2)
        ]
        store.bringing.keep(alice.maildrop, letters)


def opened():
    return open_office(load(Path("office/mailpost.toml")))


def run(*words):
    return CliRunner().invoke(main, words)


def uidls():
    with opened() as (_, store):
        return [letter.uidl for letter in store.contents(store.accounts.find("alice")).letters]


def let_go_of_all():
    with opened() as (_, store):
        snapshot = store.maildrop(store.accounts.find("alice")).open()
        going = snapshot.let_go([0, 1])
        store.ledger.turn()
        assert going.called
        snapshot.close()


def remove_store():
    for path in Path("office").glob("mailpost.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_there_and_back():
    """Written, verified, restored where no store is any more."""
    answer = run("backup", "kept")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("kept has 2 letters (6 B) of 2 accounts, as of 20")
    answer = run("backup", "verify", "kept")
    assert answer.stdout.startswith("kept is whole: 2 letters (6 B) of 2 accounts, as of 20")
    remove_store()
    answer = run("restore", "kept")
    assert answer.exit_code == 0, answer.output
    assert "office/mailpost.db is restored, as of 20" in answer.stdout
    assert answer.stdout.endswith(": 2 letters of 2 accounts\n")
    assert uidls() == ["uidl-1", "uidl-2"]


def test_for_a_program():
    """Objects, and nothing else."""
    told = json.loads(run("backup", "--json", "kept").stdout)
    assert told == json.loads(run("backup", "kept", "--json").stdout) | {"made": told["made"]}
    assert told.keys() == {"made", "accounts", "letters", "octets", "parcels"}
    assert json.loads(run("backup", "verify", "kept", "--json").stdout)["faults"] == []
    remove_store()
    assert json.loads(run("restore", "kept", "--json").stdout)["letters"] == 2


def test_one_account():
    """What alice has no more comes back into the store that is there."""
    run("backup", "kept")
    let_go_of_all()
    assert uidls() == []
    answer = run("restore", "kept", "--only", "Alice")
    assert answer.stdout == ("alice: 2 letters back (6 B), 0 there still, 0 with a new unique-id\n")
    assert uidls() == ["uidl-1", "uidl-2"]
    again = json.loads(run("restore", "kept", "--only", "alice", "--json").stdout)
    assert (again["back"], again["there"]) == (0, 2)


def test_what_cannot_be():
    """Each has its line and its status."""
    run("backup", "kept")
    for words, status, told in (
        (
            ("restore", "kept"),
            failures.CANNOT_CREATE,
            "exists already: restore into an empty place",
        ),
        (("restore", "none"), failures.BAD_CONFIG, "there is no backup in none"),
        (("restore", "kept", "--only", "bob"), failures.NO_USER, "no account bob"),
        (("backup", "office"), failures.BAD_CONFIG, "neither empty nor a backup"),
        (("backup", "verify", "office"), failures.BAD_CONFIG, "there is no backup in office"),
        (("backup",), failures.WRONG_USAGE, "Usage: "),
        (("backup", "kept", "more"), failures.WRONG_USAGE, "unexpected extra argument"),
    ):
        answer = run(*words)
        assert answer.exit_code == status, answer.output
        assert told in answer.output
    assert uidls() == ["uidl-1", "uidl-2"]


def test_a_folder_that_may_not_be_written(monkeypatch):
    """It is said what to do."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied", "kept/parcels")

    monkeypatch.setattr(Store, "back_up", refuse)
    answer = run("backup", "kept")
    assert answer.exit_code == failures.NOT_PERMITTED
    assert answer.stderr == (
        "mailpost: kept/parcels: the owner of the store may not write there; give it to them\n"
    )


def test_a_damaged_backup():
    """It is told, and nothing is restored from it."""
    run("backup", "kept")
    (database,) = Path("kept").glob("*.db")
    with database.open("ab") as file:
        file.write(b"x")
    answer = run("backup", "verify", "kept")
    assert answer.exit_code == failures.FAILED
    assert "is not as it was written" in answer.stderr
    remove_store()
    answer = run("restore", "kept")
    assert answer.exit_code == failures.FAILED
    assert "nothing was restored" in answer.stderr
    assert not Path("office/mailpost.db").exists()


def test_help():
    """It names both ways, and how to come back."""
    for words in (("backup", "--help"), ("backup", "verify", "--help"), ("restore", "--help")):
        assert "Examples:" in run(*words).stdout
    assert "mailpost restore /var" in run("backup", "--help").stdout
