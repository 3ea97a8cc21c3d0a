"""``mailpost maildrop``: list, show, lock and unlock."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost import config
from mailpost.cli import failures, main
from mailpost.cli.office import open_office


@pytest.fixture(autouse=True)
def office(office_here):
    office_here()


def run(*words):
    return CliRunner().invoke(main, words)


def maildrop(*words):
    return run("maildrop", *words)


def test_list():
    """A row for each account."""
    maildrop("lock", "alice", "--reason", "moved out")
    head, alice, postmaster = maildrop("list").stdout.splitlines()
    assert head == "account     letters  size  oldest  last collected  state"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert alice == (
        f"alice             0  0 B   -       never           locked since {today}: moved out"
    )
    assert postmaster.endswith("never           open")


def test_list_for_programs():
    """JSON has moments, and null where there is nothing."""
    maildrop("lock", "alice")
    alice, postmaster = json.loads(maildrop("list", "--json").stdout)
    assert alice["locked"]["reason"] == ""
    assert alice["locked"]["since"].startswith("20")
    assert postmaster == {
        "account": "postmaster",
        "letters": 0,
        "octets": 0,
        "oldest": None,
        "collected": None,
        "locked": None,
    }


def test_show():
    """What is kept, whether it is locked, and each view."""
    run("device", "add", "alice", "phone")
    run("device", "add", "alice", "scanner", "--rights", "submit")
    told = maildrop("show", "Alice").stdout.splitlines()
    assert told[0] == "alice: 0 letters of 0 B kept"
    assert [line.split() for line in told[2:]] == [
        ["view", "waiting", "floor", "last", "collected", "state"],
        ["(main)", "0", "0", "never", "not", "in", "use", "yet"],
        ["phone", "0", "0", "never", "in", "use"],
        ["scanner", "0", "0", "never", "hands", "in", "alone"],
    ]
    maildrop("lock", "alice")
    assert "unlock it: mailpost maildrop unlock alice" in maildrop("show", "alice").stdout


def test_show_what_has_lapsed():
    """A view that was in use and is waited for no longer."""
    run("device", "add", "alice", "phone")
    with open_office(config.load(Path("office/mailpost.toml"))) as (_, store):
        store.ledger._writer._db.execute("UPDATE view SET living = 0, opened = 1 WHERE view > 1")
        store.ledger._writer._db.execute("UPDATE device SET seen = 1")
    assert maildrop("show", "alice").stdout.splitlines()[-1].endswith("1970-01-01      lapsed")


def test_show_for_programs():
    """JSON has the same keys as the list, and the views."""
    run("device", "add", "alice", "phone")
    told = json.loads(maildrop("show", "alice", "--json").stdout)
    assert (told["account"], told["locked"]) == ("alice", None)
    assert told["views"][1] == {
        "device": "phone",
        "collects": True,
        "waiting": 0,
        "floor": 0,
        "collected": None,
        "living": True,
    }


def test_lock_and_unlock():
    """Each says what is so now, and may be repeated."""
    assert maildrop("lock", "ALICE").stdout == "alice is locked; letters still come in\n"
    assert maildrop("lock", "alice", "--reason", "x").exit_code == 0
    assert maildrop("unlock", "alice").stdout == "alice is open again\n"
    assert maildrop("unlock", "alice").stdout == "alice is not locked\n"


@pytest.mark.parametrize("reason", ["é", "two\nlines", "\x1b[2J", "x" * 201])
def test_a_reason_that_cannot_be_told(reason):
    """It goes into a reply of SMTP and POP3, and must not break it."""
    answer = maildrop("lock", "alice", "--reason", reason)
    assert answer.exit_code == failures.BAD_DATA
    assert answer.stderr.startswith("mailpost: a reason is one line")
    assert json.loads(maildrop("list", "--json").stdout)[0]["locked"] is None


@pytest.mark.parametrize("verb", ["show", "lock", "unlock"])
def test_nobody(verb):
    """A name that has no account is told in the usual words."""
    answer = maildrop(verb, "bob")
    assert answer.exit_code == failures.NO_USER
    assert answer.stderr == "mailpost: there is no account bob; see them all: mailpost user list\n"
