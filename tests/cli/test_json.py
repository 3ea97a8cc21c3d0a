"""What ``--json`` prints is in docs/commands.rst, key by key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost import control_client
from mailpost.cli import main
from mailpost.cli.checks import machine
from mailpost.envelope import Copy, Envelope, Traits
from tests.store.conftest import Office, now

DOCUMENT = (Path(__file__).parents[2] / "docs" / "commands.rst").read_text(encoding="utf-8")
ROW = re.compile(r"^   \* - ``([a-z ]+)``\n     - (.+?)(?=^   \* |^\S)", re.MULTILINE | re.DOTALL)
ROWS = dict(ROW.findall(DOCUMENT))
ROWS["maildrop show"] += ROWS["maildrop list"]  # which it begins with
TRACE = "00000000000000a1"
LISTENER = {
    "protocol": "smtp",
    "where": "127.0.0.1:25",
    "tls": "none",
    "sessions": 0,
    "sessions_ended": 0,
    "refused": 0,
    "letters": 0,
}
RUNNING = {
    "process": 1,
    "version": "1",
    "since": 1,
    "workers": [{"process": 2, "since": 1}],
    "listeners": [LISTENER],
    "waiting_writes": 0,
}


def run(*words):
    return CliRunner().invoke(main, words)


@pytest.fixture(autouse=True)
def office(office_here, monkeypatch):
    """An office that has one of everything."""
    office_here()
    monkeypatch.setattr(machine, "_unsynchronised", lambda: True)
    monkeypatch.setattr(control_client, "ask", lambda *_: RUNNING)
    run("device", "add", "alice", "phone")
    run("ban", "add", "192.0.2.7")
    run("alias", "add", "sales", "alice")
    store = Office(Path("office/mailpost.db"), create=False)
    alice = store.accounts.find("alice")
    postmark = b"Delivered-To: alice@example.org\r\n"
    draft = store.draft(b"Subject: hi\r\n\r\nhi\r\n")
    done = draft.commit(
        Envelope(TRACE, None), [Copy(alice.maildrop, postmark)], Traits(), atomic=True
    )
    store.turn()
    now(done)
    store.store.close()


@pytest.mark.parametrize(
    "words",
    [
        "user list",
        "device list",
        "device add alice desk",
        "domain list",
        "alias list",
        "route alice@example.org",
        "route nobody@example.net",
        "maildrop list",
        "maildrop show alice",
        "letter list alice",
        f"letter show {TRACE}",
        "undelete alice",
        "undelete alice --dry-run",
        "expire alice --retention 30d",
        "expire alice --retention 30d --dry-run",
        "ban list",
        "status",
        "doctor",
        "settings alice",
    ],
)
def test_each_key_is_documented(words):
    """A program that reads it needs to know what it may rely on."""
    answer = run(*words.split(), "--json")
    told = json.loads(answer.stdout)
    command = next(name for name in (" ".join(words.split()[:2]), words.split()[0]) if name in ROWS)
    missing = {key for key in keys(told) if f"``{key}``" not in ROWS[command]}
    assert not missing, ROWS[command]


def keys(value):
    """Every key there is, however deep; what is counted by protocol has keys of its own."""
    if isinstance(value, list):
        for one in value:
            yield from keys(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            if not (key == "sessions" and isinstance(one, dict)):
                yield from keys(one)
