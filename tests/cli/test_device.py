"""``mailpost device``: passwords and views for phones and laptops."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.accounts import scram
from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.store import Rights
from mailpost.store.devices import Devices
from mailpost.store.lapsing import DAY, LAPSE, Lapse, Opened

PASSWORD = re.compile(r"password:   ((?:[a-z2-9]{4}-){6}[a-z2-9]{4})\n")
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def office(new_office, monkeypatch):
    """An office in ./office that the commands find by themselves, with accounts of alice and bob."""
    with opened() as (_, store):
        for name in ("alice", "bob"):
            store.accounts.add(name, "hash")
    monkeypatch.setattr(time, "time", lambda: NOW)


def opened():
    return open_office(load(Path("office/mailpost.toml")))


def device(*words):
    return CliRunner().invoke(main, ("device", *words))


def kept(name="alice"):
    with opened() as (_, store):
        return store.accounts.devices_of(store.accounts.find(name))


def test_add():
    """The password is printed, once; what is kept of it lets it in by SCRAM as by PLAIN."""
    answer = device("add", "Alice", "Phone")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("login name: alice\n")
    password = PASSWORD.search(answer.stdout)[1]
    (phone,) = kept()
    with opened() as (_, store):
        maker = scram.KeyMaker(store.secret, store.iterations)
        assert phone.digest == scram.device_digest(store.secret, "alice", password.encode())
    assert scram.decode(phone.scram) == maker.make("alice", password)
    assert (phone.name, phone.rights) == ("phone", Rights.BOTH)
    assert password.encode() not in Path("office/mailpost.db").read_bytes()
    assert password not in device("list").stdout


def test_add_for_a_program():
    """With --json there is an object and nothing else."""
    told = json.loads(device("add", "alice", "phone", "--json").stdout)
    assert told.keys() == {"account", "device", "password"}
    assert (told["account"], told["device"]) == ("alice", "phone")


@pytest.mark.parametrize(
    ("words", "since"),
    [
        ((), NOW - 30 * 86_400),
        (("--from", "7d"), NOW - 7 * 86_400),
        (("--from", "all"), 0),
        (("--from", "now"), None),
    ],
)
def test_where_it_begins(monkeypatch, words, since):
    """30 days ago, unless something else is said."""
    asked = []
    monkeypatch.setattr(Devices, "add", lambda *_, **row: asked.append(row["since"]))
    assert device("add", "alice", "phone", *words).exit_code == 0
    assert asked == [since]


@pytest.mark.parametrize(
    ("word", "rights"),
    [("collect", Rights.COLLECT), ("submit", Rights.SUBMIT), ("both", Rights.BOTH)],
)
def test_rights(word, rights):
    """What a device may do is as it was said, and told."""
    assert device("add", "alice", "phone", "--rights", word).exit_code == 0
    assert kept()[0].rights == rights
    assert json.loads(device("list", "--json").stdout)[0]["rights"] == word


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("add", "carol", "phone"), failures.NO_USER, "there is no account carol"),
        (("add", "alice", "a phone"), failures.BAD_DATA, "a name is made of"),
        (("add", "alice", "a#b"), failures.BAD_DATA, "a name is made of"),
        (("add", "alice", "desk"), failures.BAD_DATA, "alice has a device desk already"),
        (("add", "alice", "x", "--from", "later"), failures.WRONG_USAGE, "a number of days"),
        (("add", "alice", "x", "--from", "0d"), failures.WRONG_USAGE, "a number of days"),
        (("add", "alice", "x", "--rights", "all"), failures.WRONG_USAGE, "--rights"),
        (("remove", "alice", "phone"), failures.NO_USER, "mailpost device list alice"),
        (("remove", "carol", "phone"), failures.NO_USER, "there is no account carol"),
        (("rename", "alice", "phone", "x"), failures.NO_USER, "alice has no device phone"),
        (("rename", "alice", "desk", "a/b"), failures.BAD_DATA, "a name is made of"),
        (("rename", "alice", "desk", "lab"), failures.BAD_DATA, "has a device lab already"),
        (("list", "carol"), failures.NO_USER, "there is no account carol"),
    ],
)
def test_what_cannot_be(words, status, told):
    """A clear line, a stable status, and nothing is changed."""
    device("add", "alice", "desk")
    device("add", "alice", "lab")
    answer = device(*words)
    assert answer.exit_code == status
    assert told in answer.stderr
    assert [one.name for one in kept()] == ["desk", "lab"]


def test_list():
    """Everybody's devices, or somebody's, for people and for programs."""
    device("add", "bob", "tablet", "--rights", "collect")
    device("add", "alice", "phone")
    with opened() as (_, store):
        store.accounts.seen(kept()[0].number, NOW)
        while store.ledger.turn():
            pass
    lines = device("list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["alice", "phone", "both"],
        ["bob", "tablet", "collect"],
    ]
    assert "2027-01-15" in lines[1]
    assert "never" in lines[2]
    (row,) = json.loads(device("list", "bob", "--json").stdout)
    assert row == {
        "account": "bob",
        "device": "tablet",
        "rights": "collect",
        "made": "2027-01-15T08:00:00Z",
        "seen": None,
        "letters": 0,
        "lapsed": False,
    }
    assert json.loads(device("list", "alice", "--json").stdout)[0]["seen"] == "2027-01-15T08:00:00Z"


def test_a_new_device_does_not_lapse():
    """Its time runs from when it was made: what it has not collected yet is kept for it."""
    device("add", "alice", "phone")
    device("add", "alice", "desk")
    with opened() as (_, store):
        store.ledger.run(Opened(kept()[1].view, NOW))
        for day in range(10):  # a clock that is steady for more than a week is believed
            store.ledger.run(Lapse(NOW + day * DAY, LAPSE))
        assert [one.lapsed for one in store.devices.all()] == [False, False]


def test_list_of_none():
    """No devices are no error."""
    assert device("list", "alice").exit_code == 0
    assert json.loads(device("list", "--json").stdout) == []


def test_list_tells_what_has_lapsed():
    """So that somebody sees why it finds less than was there."""
    device("add", "alice", "phone")
    with opened() as (_, store):
        store.ledger._writer._db.execute("UPDATE view SET living = 0")
    assert " lapsed " in device("list").stdout
    assert json.loads(device("list", "--json").stdout)[0]["lapsed"]


def test_remove():
    """The device is gone, the others stay."""
    device("add", "alice", "phone")
    device("add", "alice", "desk")
    answer = device("remove", "ALICE", "Phone")
    assert answer.stdout == "alice's phone is removed\n"
    assert [one.name for one in kept()] == ["desk"]


def test_rename():
    """Only the name changes."""
    device("add", "alice", "phone")
    (before,) = kept()
    assert device("rename", "alice", "phone", "old-phone").exit_code == 0
    (after,) = kept()
    assert after.name == "old-phone"
    assert (after.number, after.view, after.digest) == (before.number, before.view, before.digest)
