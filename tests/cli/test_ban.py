"""``mailpost ban``: who may not come."""

from __future__ import annotations

import json
import re
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.bans import Ban
from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.store import bans

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def office(new_office, monkeypatch):
    """An office in ./office that the commands find by themselves, with a neighbour that is allowed."""
    file = new_office / "mailpost.toml"
    file.write_text(file.read_text().replace("# allow = []", 'allow = ["203.0.113.0/28"]'))
    monkeypatch.setattr(time, "time", lambda: NOW)


def ban(*words):
    return CliRunner().invoke(main, ("ban", *words))


def listed():
    return json.loads(ban("list", "--json").stdout)


def guard_bans(network, until):
    with open_office(load(Path("office/mailpost.toml"))) as (_, store):
        own = Ban(ip_network(network), until, NOW - 60, "wrong logins", by_hand=False, guesses=30)
        store.ledger.run(bans.Keep(own))


@pytest.mark.parametrize(
    ("typed", "network", "says"),
    [
        ("192.0.2.7", "192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8::7", "2001:db8::/64", "2001:db8::/64"),
        ("2001:db8::7/128", "2001:db8::7/128", "2001:db8::7/128"),
        ("2001:db8::/32", "2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_add(typed, network, says):
    """In each form it is one network; what was done is told, and lifted by what was typed."""
    answer = ban("add", typed)
    assert answer.exit_code == 0
    assert answer.stdout == f"{says} is banned until 2027-01-22 08:00 UTC, for 7 d\n"
    assert [one["network"] for one in listed()] == [network]
    answer = ban("remove", typed)
    assert (answer.exit_code, answer.stdout) == (0, f"{says} may come again\n")
    assert listed() == []


@pytest.mark.parametrize(
    ("word", "until", "says"),
    [
        ("2h", "2027-01-15T10:00:00Z", "until 2027-01-15 10:00 UTC, for 2 h"),
        ("90m", "2027-01-15T09:30:00Z", "until 2027-01-15 09:30 UTC, for 1 h 30 min"),
        ("1m", "2027-01-15T08:01:00Z", "until 2027-01-15 08:01 UTC, for 1 min"),
        ("4w", "2027-02-12T08:00:00Z", "until 2027-02-12 08:00 UTC, for 28 d"),
        ("ever", None, "for ever"),
    ],
)
def test_for_how_long(word, until, says):
    """A number of minutes, hours, days or weeks; or ever."""
    assert ban("add", "192.0.2.7", "--for", word).stdout == f"192.0.2.7 is banned {says}\n"
    assert listed()[0]["until"] == until
    assert says in ban("list").stdout


def test_list():
    """Who, until when, by whom, after how many wrong logins, and why; what is over is not there."""
    allowed = "\nnever banned, by guard.allow: 203.0.113.0/28\n"
    assert ban("list").stdout == f"nobody is banned\n{allowed}"
    guard_bans("198.51.100.9", NOW - 1)
    guard_bans("2001:db8::/64", NOW + 3000)
    ban("add", "192.0.2.0/24", "--for", "ever", "--reason", "nothing but spam")
    assert [re.split("  +", line) for line in ban("list").stdout.splitlines()[:-2]] == [
        ["network", "banned", "by", "wrong logins", "reason"],
        ["2001:db8::/64", "until 2027-01-15 08:50 UTC, for 50 min", "guard", "30", "wrong logins"],
        ["192.0.2.0/24", "for ever", "hand", "-", "nothing but spam"],
    ]
    assert listed() == [
        {
            "network": "2001:db8::/64",
            "until": "2027-01-15T08:50:00Z",
            "made": "2027-01-15T07:59:00Z",
            "reason": "wrong logins",
            "by": "guard",
            "wrong_logins": 30,
        },
        {
            "network": "192.0.2.0/24",
            "until": None,
            "made": "2027-01-15T08:00:00Z",
            "reason": "nothing but spam",
            "by": "hand",
            "wrong_logins": 0,
        },
    ]


def test_add_anew():
    """Who is banned already is banned until then instead, with the new reason."""
    guard_bans("192.0.2.7", NOW + 3000)
    assert ban("add", "192.0.2.7", "--for", "2d", "--reason", "again").exit_code == 0
    (one,) = listed()
    assert (one["until"], one["reason"], one["by"], one["wrong_logins"]) == (
        "2027-01-17T08:00:00Z",
        "again",
        "hand",
        30,
    )


@pytest.mark.parametrize(
    ("network", "exempt"),
    [
        ("0.0.0.0/0", "127.0.0.0/8, 203.0.113.0/28"),
        ("203.0.113.0/24", "203.0.113.0/28"),
        ("::/0", "::1/128"),
    ],
)
def test_a_network_with_somebody_exempt_in_it(network, exempt):
    """It is banned, and who is not is told."""
    answer = ban("add", network)
    assert answer.exit_code == 0
    assert answer.stdout.splitlines()[1:] == [f"exempt all the same: {exempt}"]


def test_lifted_and_banned_all_the_same():
    """A network around it is banned, too: that is told."""
    ban("add", "192.0.2.0/24")
    ban("add", "192.0.2.7")
    answer = ban("remove", "192.0.2.7")
    assert answer.exit_code == 0
    assert "but is in 192.0.2.0/24" in answer.stdout


MANY = [f"192.0.2.{number}" for number in range(1, 8)]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (
            ("add", "127.0.0.1"),
            failures.BAD_DATA,
            "127.0.0.1 is this machine, which is never banned",
        ),
        (("add", "::1"), failures.BAD_DATA, "is this machine, which is never banned"),
        (("add", "127.0.0.0/16"), failures.BAD_DATA, "is this machine, which is never banned"),
        (
            ("add", "203.0.113.3"),
            failures.BAD_DATA,
            "guard.allow in the config names 203.0.113.0/28",
        ),
        (("add", "192.0.2.7/24"), failures.BAD_DATA, "did you mean 192.0.2.0/24?"),
        (("add", "192.0.2"), failures.BAD_DATA, "192.0.2 is neither an address nor a network"),
        (
            ("add", "192.0.2.0/33"),
            failures.BAD_DATA,
            "expected one such as 192.0.2.7, 192.0.2.0/24",
        ),
        (("add", "mallory.example"), failures.BAD_DATA, "is neither an address nor a network"),
        (("add", "\x1b[31m"), failures.BAD_DATA, "\\x1b[31m is neither an address"),
        (("add", ""), failures.BAD_DATA, "is neither an address nor a network"),
        (("add", "192.0.2.7", "--for", "7"), failures.WRONG_USAGE, "such as 90m, 2h, 7d, 4w"),
        (("add", "192.0.2.7", "--for", "0h"), failures.WRONG_USAGE, "such as 90m, 2h, 7d, 4w"),
        (("add", "192.0.2.7", "--reason", "a\nb"), failures.BAD_DATA, "a reason is one line"),
        (("add", "192.0.2.7", "--reason", "a" * 201), failures.BAD_DATA, "at most 200 characters"),
        (("add",), failures.WRONG_USAGE, "Missing argument 'ADDRESS-OR-NETWORK'"),
        (
            ("remove", "198.51.100.1"),
            failures.NO_USER,
            "is not banned; see who is: mailpost ban list",
        ),
        (
            ("remove", "192.0.2.0/24"),
            failures.NO_USER,
            "192.0.2.4, 192.0.2.5 and 2 more",
        ),
        (
            ("remove", "2001:db8::7"),
            failures.NO_USER,
            "is not banned by itself; it is in 2001:db8::/32",
        ),
        (("remove", "x"), failures.BAD_DATA, "is neither an address nor a network"),
        (("lift", "192.0.2.1"), failures.WRONG_USAGE, "No such command 'lift'"),
    ],
)
def test_what_cannot_be(words, status, told):
    """It is told in a line what is wrong and what to do, and nothing has changed."""
    for one in (*MANY, "2001:db8::/32"):
        ban("add", one)
    before = listed()
    answer = ban(*words)
    assert answer.exit_code == status
    assert told in answer.stderr
    assert len(answer.stderr.splitlines()) == 1 or status == failures.WRONG_USAGE
    assert listed() == before


def test_lifted_by_somebody_else_meanwhile(monkeypatch):
    """Between the look and the deed."""
    ban("add", "192.0.2.7")
    monkeypatch.setattr(
        bans.sql_bans, "REMOVE", "DELETE FROM ban WHERE network = ? AND 0 RETURNING network"
    )
    answer = ban("remove", "192.0.2.7")
    assert answer.exit_code == failures.NO_USER
    assert answer.stderr == "mailpost: 192.0.2.7/32 is not banned; see who is: mailpost ban list\n"
