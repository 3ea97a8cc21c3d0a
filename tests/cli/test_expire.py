"""``mailpost expire``: what a policy removes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.envelope import Copy, Envelope, Traits
from mailpost.store.lapsing import DAY

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def office(new_office, monkeypatch):
    """An office in ./office that the commands find by themselves; alice and bob have letters of some age."""
    for age in (40, 20, 1):
        monkeypatch.setattr(time, "time", lambda age=age: NOW - age * DAY)
        with opened() as (_, store):
            for name in ("alice", "bob"):
                account = store.accounts.find(name) or store.accounts.add(name)
                draft = store.delivery.begin()
                draft.write(b"From: carol@example.net\r\nSubject: %d days\r\n\r\nhi\r\n" % age)
                copies = [Copy(account.maildrop, b"P: 1\r\n")]
                draft.commit(Envelope("t", None), copies, Traits(), atomic=True)
                store.ledger.turn()
    monkeypatch.setattr(time, "time", lambda: NOW)
    return new_office


def opened():
    return open_office(load(Path("office/mailpost.toml")))


def expire(*words):
    return CliRunner().invoke(main, ("expire", *words))


def left():
    with opened() as (_, store):
        return {one.account.name: one.letters for one in store.accounts.all()}


def test_what_would_be_removed():
    """A list, a sentence for each account; nothing has happened."""
    answer = expire("alice", "--retention", "30d", "--dry-run")
    assert answer.exit_code == 0, answer.output
    head, letter, last = answer.stdout.splitlines()
    assert head.split() == ["account", "arrived", "size", "from", "subject"]
    assert letter.split()[:2] == ["alice", "2026-12-06"]
    assert letter.endswith("carol@example.net  40 days")
    assert last == "1 letter of alice would be removed: they go 30 days after they came"
    assert left() == {"alice": 3, "bob": 3, "postmaster": 0}


def test_json():
    """For programs."""
    told = json.loads(expire("--retention", "10d", "--dry-run", "--json").stdout)
    assert [(one["account"], one["retention"]) for one in told] == [
        ("alice", "10d"),
        ("bob", "10d"),
        ("postmaster", "10d"),
    ]
    assert [letter["subject"] for letter in told[1]["letters"]] == ["40 days", "20 days"]
    done = json.loads(expire("bob", "--retention", "10d", "--json").stdout)
    assert done == [{"account": "bob", "removed": 2}]


def test_the_policy_that_is_set(office):
    """An account's own, and the office's; without any there is nothing to do."""
    answer = expire()
    assert answer.exit_code == failures.BAD_DATA
    assert "say which policy: --retention 30d" in answer.stderr
    CliRunner().invoke(main, ("user", "set", "alice", "--retention", "10d"))
    assert expire().stdout == (
        "2 letters of alice removed; they come back with: mailpost undelete alice\n"
    )
    config = office / "mailpost.toml"
    config.write_text(config.read_text().replace("[keeping]", '[keeping]\nretention = "30d"'))
    assert expire().stdout.splitlines() == [
        "0 letters of alice removed",
        "1 letter of bob removed; they come back with: mailpost undelete bob",
        "0 letters of postmaster removed",
    ]
    assert left() == {"alice": 1, "bob": 2, "postmaster": 0}
    assert expire("alice", "--retention", "default", "--dry-run").stdout.startswith("0 letters")
    undeleted = CliRunner().invoke(main, ("undelete", "alice"))
    assert undeleted.stdout == "2 letters of alice are back\n"
    assert expire("alice").stdout == "0 letters of alice removed\n"


def test_after_collected():
    """What nobody has collected stays."""
    answer = expire("alice", "--retention", "30d after collected", "--dry-run")
    assert answer.stdout == (
        "0 letters of alice would be removed: they go 30 days after all have collected them\n"
    )


def test_nobody():
    """A name that nobody has; a policy that is none."""
    assert expire("carol", "--retention", "30d").exit_code == failures.NO_USER
    assert expire("alice", "--retention", "soon").exit_code == failures.WRONG_USAGE
