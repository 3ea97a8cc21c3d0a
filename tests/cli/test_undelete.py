"""``mailpost undelete``: what was deleted comes back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.envelope import Address, Copy, Envelope, Traits
from mailpost.store.lapsing import DAY
from mailpost.store.taking import Take
from mailpost.store.views import LetGo, look

NOW = 1_800_000_000
LETTER = (
    "From: Bob <bob@example.net>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= \x1b[31m%d\r\n\r\nhi\r\n"
)


@pytest.fixture(autouse=True)
def office(new_office, monkeypatch):
    """An office in ./office that the commands find by themselves, with an account of alice."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    with opened() as (_, store):
        store.accounts.add("alice", "hash")


def opened():
    return open_office(load(Path("office/mailpost.toml")))


def undelete(*words):
    return CliRunner().invoke(main, ("undelete", *words))


def deleted(*ages):
    """Letters that alice got, and deleted so many seconds ago."""
    with opened() as (_, store):
        alice = store.accounts.find("alice")
        for number, age in enumerate(ages):
            draft = store.delivery.begin()
            draft.write((LETTER % number).encode())
            envelope = Envelope(f"trace{number}", Address("bob", "example.net"))
            draft.commit(envelope, [Copy(alice.maildrop, b"P: 1\r\n")], Traits(), atomic=True)
            store.ledger.turn()
            places = look(store._finder, alice.view)
            store.ledger.run(LetGo(alice.view, places, [0]))
            store.ledger.run(Take(alice.maildrop, 10, NOW - age))


def there():
    with opened() as (_, store):
        return [(one.letters, one.account.name) for one in store.accounts.all()]


def test_what_would_come_back():
    """A list with what a person knows a letter by; nothing has happened. Nothing in it moves a terminal."""
    deleted(3 * DAY, 60)
    answer = undelete("alice", "--dry-run")
    assert answer.exit_code == 0, answer.output
    head, first, second, last = answer.stdout.splitlines()
    assert head.split() == ["arrived", "deleted", "size", "from", "subject"]
    assert first.split()[2:4] == ["2027-01-12", "08:00"]
    assert "Bob <bob@example.net>" in second
    assert r"Grüße \x1b[31m1" in second
    assert last == "2 letters of alice would come back"
    assert (0, "alice") in there()


def test_undelete():
    """They are back; the same again brings nothing twice."""
    deleted(3 * DAY, 60)
    assert undelete("alice", "--since", "2d").stdout == "1 letter of alice is back\n"
    assert (1, "alice") in there()
    again = undelete("alice", "--since", "2d")
    assert (again.exit_code, again.stdout) == (
        0,
        "nothing of alice's that could come back is in the bin\n",
    )
    assert undelete("alice", "--dry-run").stdout.endswith("\n1 letter of alice would come back\n")
    assert json.loads(undelete("alice", "--json").stdout) == {"account": "alice", "undeleted": 1}
    assert undelete("alice", "--dry-run").stdout == again.stdout
    assert (2, "alice") in there()


def test_json():
    """For programs."""
    deleted(60)
    (letter,) = json.loads(undelete("alice", "--dry-run", "--json").stdout)["letters"]
    assert letter["octets"] == len("P: 1\r\n" + LETTER % 0)
    assert letter | {"octets": 0} == {
        "arrived": "2027-01-15T08:00:00Z",
        "deleted": "2027-01-15T07:59:00Z",
        "octets": 0,
        "trace": "trace0",
        "from": "Bob <bob@example.net>",
        "subject": "Grüße \x1b[31m0",
    }


def test_what_is_said_wrong():
    """No such account; no such time."""
    assert undelete("carol").exit_code == failures.NO_USER
    answer = undelete("alice", "--since", "yesterday")
    assert answer.exit_code == failures.WRONG_USAGE
    assert "2d or 12h" in answer.stderr
