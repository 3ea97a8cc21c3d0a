"""``mailpost status`` and ``mailpost reload``: what they say with an office, without one, and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost import control_client
from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.envelope import Copy, Envelope, Traits
from mailpost.store.taking import Take
from mailpost.store.views import LetGo, look

RUNNING = {
    "process": 4711,
    "version": "1.2.3",
    "since": 1_777_897_800,
    "waiting_writes": 1,
    "listeners": [
        {
            "protocol": protocol,
            "where": f"127.0.0.1:{port}",
            "tls": tls,
            "sessions": sessions,
            "sessions_ended": 40,
            "refused": 5,
            "letters": letters,
        }
        for protocol, port, tls, sessions, letters in (
            ("smtp", 2525, "starttls", 2, 12),
            ("submission", 465, "implicit", 0, 3),
            ("pop3", 1110, "none", 5, 7),
        )
    ],
}


@pytest.fixture(autouse=True)
def office(office_here):
    office_here()


@pytest.fixture
def answers(monkeypatch):
    """What the office answers, by verb; and which were asked."""
    told = {"status": RUNNING}
    monkeypatch.setattr(control_client, "ask", lambda _path, verb: told[verb])
    return told


def run(*words):
    return CliRunner().invoke(main, words)


def test_an_office_that_runs(answers):
    """Process, age, each listener; letters in and out; the store, the disk and the certificate."""
    answer = run("status")
    assert answer.exit_code == 0
    head, _, *rows = answer.stdout.splitlines()
    assert head.startswith("mailpost 1.2.3 runs as process 4711 since 2026-05-04 12:30 UTC (")
    assert rows[0] == "protocol    where           TLS         sessions  ended  refused  letters"
    assert rows[1] == "smtp        127.0.0.1:2525  on request         2     40        5       12"
    for part in (
        "15 taken in and 7 collected since then; 1 write waits",
        "office/mailpost.db: 2 accounts, 0 letters of 0 B",
        "below 256 MiB no letter is taken in",
        "office/certificate.pem: 824 days left, self-signed; for mail.example.org, example.org",
    ):
        assert part in answer.stdout


def test_bans(answers):
    """How many are in force, and where to see them; nothing where there are none."""
    assert "bans" not in run("status").stdout
    run("ban", "add", "192.0.2.7")
    run("ban", "add", "192.0.2.0/24")
    assert "bans         2 in force; see them: mailpost ban list\n" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["bans"] == 2


def test_json(answers):
    """The same for programs: moments and octets as they are, sums where a program wants them."""
    told = json.loads(run("status", "--json").stdout)
    assert told["running"] is True
    assert told["since"] == "2026-05-04T12:30:00Z"
    assert told["sessions"] == {"smtp": 2, "submission": 0, "pop3": 5}
    assert (told["letters_in"], told["letters_out"]) == (15, 7)
    assert told["listeners"][1]["tls"] == "implicit"
    assert set(told["store"]) == {
        *("path", "accounts", "letters", "octets", "binned", "database", "log", "parcels"),
    }
    assert told["store"]["database"] > 4096
    assert told["disk"]["reserve"] == 256 << 20
    (certificate,) = told["certificates"]
    assert certificate["days_left"] == 824
    assert certificate["self_signed"] is True


def test_an_office_that_does_not():
    """Status 69; the store is told all the same, and how to start."""
    answer = run("status")
    assert answer.exit_code == failures.UNAVAILABLE
    assert answer.stdout.startswith("No office runs; start it: mailpost serve\n")
    assert "2 accounts" in answer.stdout
    answer = run("status", "--json")
    assert answer.exit_code == failures.UNAVAILABLE
    told = json.loads(answer.stdout)
    assert told["running"] is False
    assert "process" not in told


def test_a_certificate_that_cannot_be_read(answers):
    """Its sentence stands in its place."""
    Path("office/certificate.pem").write_text("no certificate")
    assert "holds no certificate that can be read" in run("status").stdout
    assert "mistake" in json.loads(run("status", "--json").stdout)["certificates"][0]


def test_the_bin_is_told(answers):
    """What was deleted takes room, too, and can come back."""
    assert "in the bin" not in run("status").stdout
    with open_office(load(Path("office/mailpost.toml"))) as (_, store):
        alice = store.accounts.find("alice") or store.accounts.add("alice")
        copies = [Copy(alice.maildrop, b"")]
        for _ in range(2):
            draft = store.delivery.begin()
            draft.write(b"hi\r\n")
            draft.commit(Envelope("t", None), copies, Traits(), atomic=True)
        store.ledger.turn()
        store.ledger.run(LetGo(alice.view, look(store._finder, alice.view), [0]))
        store.ledger.run(Take(alice.maildrop, 10, 1))
    assert "1 letter of 4 B, 1 more in the bin\n" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["store"]["binned"] == 1


def test_parcels_are_counted(answers):
    """What letters take on the disk is all of it."""
    Path("office/mailpost.db.parcels/1-1").write_bytes(bytes(70_000))
    assert json.loads(run("status", "--json").stdout)["store"]["parcels"] == 70_000


@pytest.mark.parametrize(
    ("told", "status", "printed"),
    [
        ({"certificates": ["a.pem"], "mistakes": []}, 0, "a.pem is read again\n"),
        ({"certificates": [], "mistakes": []}, 0, "there is no certificate to be read again\n"),
        ({"certificates": ["a.pem"], "mistakes": ["bad", "worse"]}, failures.BAD_CONFIG, ""),
    ],
)
def test_reload(answers, told, status, printed):
    """What was read again is told, or each mistake in a line of its own."""
    answers["reload"] = told
    answer = run("reload")
    assert (answer.exit_code, answer.stdout) == (status, printed)
    assert answer.stderr == "".join(f"mailpost: {one}\n" for one in told["mistakes"])


def test_reload_of_nothing():
    """Where no office runs, one line says so."""
    answer = run("reload")
    assert answer.exit_code == failures.UNAVAILABLE
    assert answer.stderr.startswith("mailpost: no office runs with the store ")
    assert answer.stderr.endswith("start it: mailpost serve\n")


def test_an_office_that_gives_no_answer(monkeypatch):
    """That is a failure of its own."""

    def ask(*_):
        raise control_client.Refusal("the office gave no answer within 10 seconds")

    monkeypatch.setattr(control_client, "ask", ask)
    answer = run("reload")
    assert answer.exit_code == failures.FAILED
    assert answer.stderr == "mailpost: the office gave no answer within 10 seconds\n"
