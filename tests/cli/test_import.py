"""``mailpost import`` and ``mailpost export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.carrying import SourceGone, pop3
from mailpost.cli import failures, main
from mailpost.cli.office import open_office
from mailpost.config import load

MBOX = (
    "From bob@example.net Thu Jan  1 00:00:05 1970\nSubject: a\n\nx\n\n"
    "From MAILER-DAEMON Thu Jan  1 00:00:09 1970\nSubject: b\n\ny\n\n"
)


@pytest.fixture(autouse=True)
def office(new_office, monkeypatch):
    """An office in ./office that the commands find by themselves, with accounts of alice and bob."""
    with opened() as (_, store):
        for name in ("alice", "bob"):
            store.accounts.add(name, "hash")
    Path("letters.mbox").write_text(MBOX)


def opened():
    return open_office(load(Path("office/mailpost.toml")))


def run(*words, **options):
    return CliRunner().invoke(main, words, **options)


def shown(name="alice", view=None):
    with opened() as (_, store):
        contents = store.contents(store.accounts.find(name), view)
        return [
            (letter.uidl, letter.arrived, letter.reverse_path, b"".join(contents.pieces(letter)))
            for letter in contents.letters
        ]


def test_it_comes_once():
    """The summary says what came, and what was there; the letters are collected as they were."""
    first = run("import", "letters.mbox", "--to", "Alice")
    assert first.exit_code == 0, first.output
    assert first.stdout == (
        "alice: 2 letters brought (34 B), 0 there already, 0 could not be read,"
        " 0 with a new unique-id\n"
    )
    assert [row[1:] for row in shown()] == [
        (5, "bob@example.net", b"Subject: a\r\n\r\nx\r\n"),
        (9, None, b"Subject: b\r\n\r\ny\r\n"),
    ]
    again = run("import", "letters.mbox", "--to", "alice", "--json")
    assert json.loads(again.stdout) == {
        "account": "alice",
        "dry_run": False,
        "brought": 0,
        "octets": 0,
        "there": 2,
        "new_uidl": [],
        "unread": [],
    }


def test_dry_run():
    """It is said what would come, and nothing does."""
    assert (
        "2 letters would come" in run("import", "letters.mbox", "--to", "alice", "--dry-run").stdout
    )
    assert shown() == []


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("letters.mbox", "--to", "carol"), failures.NO_USER, "no account carol"),
        (("office/mailpost.toml", "--to", "alice"), failures.BAD_DATA, "begins with a From line"),
        (("office", "--to", "alice"), failures.BAD_DATA, "neither a Maildir nor"),
        (("nothing", "--to", "alice"), failures.FAILED, "nothing: No such file"),
        (("pop3s://old", "--to", "alice"), failures.WRONG_USAGE, "expected pop3s://USER@HOST"),
        (("pop3s://a@old:x", "--to", "alice"), failures.WRONG_USAGE, "expected pop3s://USER@HOST"),
        (("pop3s://a:b@old", "--to", "alice"), failures.WRONG_USAGE, "can be seen by others"),
        (("pop3s://a@old", "--to", "alice"), failures.WRONG_USAGE, "no terminal to ask"),
    ],
)
def test_what_cannot_be(words, status, told):
    """Each mistake is a line, and has its status."""
    answer = run("import", *words)
    assert answer.exit_code == status, answer.output
    assert told in answer.stderr
    assert "Traceback" not in answer.output


def test_letters_that_cannot_be_read_or_keep_their_unique_id():
    """They are named, and the status says so."""
    Path("eml").mkdir()
    Path("eml/a.eml").write_bytes(b"Subject: a\n\n")
    Path("eml/b.eml").symlink_to("a.eml")
    Path("eml/uidl").write_text(
        "# mailpost: which unique-id is whose. arrived, place, SHA-256, unique-id\n"
        f"5 a.eml 00 {'x' * 71}\n"
    )
    answer = run("import", "eml", "--to", "alice")
    assert answer.exit_code == failures.FAILED
    assert "eml/b.eml could not be read: it is a link, and is not followed" in answer.stderr
    assert "eml/a.eml has a new unique-id: RFC 1939" in answer.stderr
    assert len(shown()) == 1


def test_a_server(monkeypatch):
    """Who, where, and how it is trusted; where it breaks off, that can be gone on with."""
    asked = []

    class Gone:
        count = octets = 1

        def __init__(self, server):
            asked.append(server)

        def letters(self):
            raise SourceGone("old.example.org has hung up")
            yield

        def close(self):
            asked.append("closed")

    monkeypatch.setattr(pop3, "POP3Source", Gone)
    answer = run(
        *("import", "POP3S://alice%40home@Old.example.org:1995", "--to", "alice"),
        *("--password-stdin", "--fingerprint", "ab"),
        input="open sesame\n",
    )
    assert answer.exit_code == failures.TRY_LATER
    assert "hung up; run the same command again" in answer.stderr
    assert asked == [
        pop3.Server(
            user="alice@home",
            host="old.example.org",
            port=1995,
            implicit=True,
            fingerprint="ab",
            password="open sesame",
        ),
        "closed",
    ]


def test_a_server_that_will_not_do(monkeypatch):
    """It is said what to do."""

    def refuse(server):
        assert (server.port, server.implicit, server.cleartext) == (110, False, True)
        raise pop3.ServerError("old: no")

    monkeypatch.setattr(pop3, "POP3Source", refuse)
    words = ("import", "pop3://a@old", "--to", "alice", "--password-stdin", "--cleartext")
    answer = run(*words, input="x\n")
    assert (answer.exit_code, answer.stderr) == (failures.UNAVAILABLE, "mailpost: old: no\n")


@pytest.mark.parametrize("kind", ["maildir", "mbox", "eml"])
def test_out_and_in_again(kind):
    """Octets, dates and unique-ids are the same in another maildrop; nothing is written or comes twice."""
    run("import", "letters.mbox", "--to", "alice")
    answer = run("export", "alice", kind, "out/letters" if kind != "mbox" else "letters")
    assert answer.exit_code == 0, answer.output
    place = "out/letters" if kind != "mbox" else "letters"
    assert answer.stdout == f"alice: 2 letters written to {place} (34 B), 0 there already\n"
    again = json.loads(run("export", "alice", kind, place, "--json").stdout)
    assert again == {"account": "alice", "written": 0, "octets": 0, "there": 2, "gone": []}
    run("import", place, "--to", "bob")
    run("import", place, "--to", "bob")
    left, right = ([(row[0], row[1], row[3]) for row in shown(name)] for name in ("alice", "bob"))
    assert left == right
    assert len(left) == 2


def test_what_a_device_sees():
    """``--device`` names whose view it is."""
    run("import", "letters.mbox", "--to", "alice")
    with opened() as (_, store):
        store.devices.add(store.accounts.find("alice"), "phone", digest=b"", since=9)
    assert (
        "alice: 1 letter written to phone"
        in run("export", "alice", "mbox", "phone", "--device", "phone").stdout
    )
    answer = run("export", "alice", "mbox", "laptop", "--device", "laptop")
    assert answer.exit_code == failures.NO_USER
    assert not Path("laptop").exists()


def test_an_mbox_of_somebody_elses():
    """It is not written to."""
    answer = run("export", "alice", "mbox", "letters.mbox")
    assert answer.exit_code == failures.CANNOT_CREATE
    assert Path("letters.mbox").read_text() == MBOX
