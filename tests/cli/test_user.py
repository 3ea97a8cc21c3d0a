"""``mailpost user``: accounts and passwords."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from twisted.internet.task import Clock

from mailpost.accounts import passwords, scram
from mailpost.accounts.scram import KeyMaker
from mailpost.cli import failures, main
from mailpost.cli import user as user_module
from mailpost.cli.office import open_office
from mailpost.config import load
from mailpost.store import open_store


@pytest.fixture(autouse=True)
def office(new_office):
    """An office in ./office that the commands find by themselves."""
    return new_office


@pytest.fixture
def cheap(monkeypatch):
    """Hashes that cost nothing."""
    monkeypatch.setattr(passwords, "encode", lambda password: f"hash of {password.decode()}")


@pytest.fixture
def terminal(monkeypatch):
    """A terminal to ask on."""

    class Sys:
        def __getattr__(self, name):
            return getattr(__import__("sys"), name)

        class stdin:  # noqa: N801
            isatty = staticmethod(lambda: True)

    monkeypatch.setattr(user_module, "sys", Sys())


def user(*words, **options):
    return CliRunner().invoke(main, ("user", *words), **options)


def stored(name):
    store = open_store(
        load(Path("office/mailpost.toml")).office.database,
        clock=Clock(),
        call_in_reactor=lambda call, *args: call(*args),
        defer_to_thread=None,
    )
    try:
        account = store.accounts.find(name)
    finally:
        store.close()
    return account and account.password


def test_add():
    """A name and a password make an account; what is kept of the password matches it, and is no text."""
    answer = user("add", "Alice", "--password-stdin", input="s\u00e9same, open\r\n")
    assert answer.exit_code == 0
    assert answer.stdout == "alice@example.org has a maildrop now; login name: alice\n"
    assert passwords.matches(stored("alice"), "s\u00e9same, open".encode())
    assert b"same, open" not in Path("office/mailpost.db").read_bytes()


def test_add_asks_twice(cheap, terminal):
    """On a terminal the password is asked for twice, unseen, until both agree."""
    answer = user("add", "alice", input="one\ntwo\none\none\n")
    assert answer.exit_code == 0
    assert "do not match" in answer.stdout + answer.stderr
    assert "one" not in answer.stdout.replace("Done", "")
    assert stored("alice") == "hash of one"


@pytest.mark.parametrize("words", [("add", "alice"), ("passwd", "postmaster")])
def test_nothing_to_ask_on(words):
    """Without a terminal one line says what to do instead, and nothing is changed."""
    answer = user(*words)
    assert answer.exit_code == failures.WRONG_USAGE
    assert answer.stderr.count("\n") == 1
    assert "--password-stdin" in answer.stderr
    assert stored("alice") is None


def test_add_without_a_password():
    """For other checkers an account may be without one."""
    assert user("add", "alice", "--no-password").exit_code == 0
    assert stored("alice") is None
    assert "alice" in user("list").stdout
    both = user("add", "bob", "--no-password", "--password-stdin", input="x\n")
    assert both.exit_code == failures.WRONG_USAGE


@pytest.mark.parametrize("name", ["alice", "ALICE"])
def test_add_a_name_that_is_there(cheap, name):
    """A name is given once, in whatever case; the first keeps its password."""
    user("add", "alice", "--password-stdin", input="one\n")
    answer = user("add", name, "--password-stdin", input="two\n")
    assert answer.exit_code == failures.BAD_DATA
    assert answer.stderr == "mailpost: there is an account alice already\n"
    assert stored("alice") == "hash of one"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../alice",
        "a/b",
        "a\0b",
        "a\x1b[31m",
        "x" * 65,
        "alice@example.org",
        "\u0430lice",
        "a..b",
    ],
)
@pytest.mark.parametrize("command", ["add", "passwd", "remove"])
def test_no_name(command, name):
    """What can be nobody's name is refused in one line that says why, and is safe to print."""
    answer = user(command, "--", name)
    assert answer.exit_code == failures.BAD_DATA
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.removesuffix("\n").isprintable()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"", "the password is empty"),
        (b"\n", "the password is empty"),
        (b"a\0b\n", "a password has no control characters"),
        (b"x" * 300 + b"\n", "a password has at most 248 octets, not 300"),
        (b"x" * 100_000, "a password has at most 248 octets, not 4096"),
    ],
)
def test_no_password(given, told):
    """A password with which nobody could log in is refused."""
    answer = user("add", "alice", "--password-stdin", input=given)
    assert answer.exit_code == failures.BAD_DATA
    assert answer.stderr == f"mailpost: {told}\n"


def test_passwd(cheap):
    """Another password takes the old one's place."""
    user("add", "alice", "--password-stdin", input="one\n")
    answer = user("passwd", "Alice", "--password-stdin", input="two\n")
    assert (answer.exit_code, answer.stdout) == (0, "alice has a new password\n")
    assert stored("alice") == "hash of two"


@pytest.mark.parametrize(
    "words", [("passwd", "bob"), ("remove", "bob"), ("remove", "bob", "--yes")]
)
def test_nobody(words):
    """A name that nobody has is told as such."""
    answer = user(*words)
    assert answer.exit_code == failures.NO_USER
    assert answer.stderr == "mailpost: there is no account bob; see them all: mailpost user list\n"


def test_list(cheap):
    """Everybody is listed: by name, what waits, what is held of what may be, whether there is a password."""
    user("add", "alice", "--password-stdin", input="one\n")
    user("set", "alice", "--quota", "2K", "--retention", "30d")
    assert user("list").stdout.splitlines() == [
        "name        letters  size  held  quota    kept for  password",
        "alice             0  0 B   0 B   2.0 KiB  30d       yes",
        "postmaster        0  0 B   0 B   -        never     none",
    ]
    nothing = {"letters": 0, "octets": 0, "held": 0}
    assert json.loads(user("list", "--json").stdout) == [
        {"name": "alice", **nothing, "quota": 2048, "retention": "30d", "password": True},
        {"name": "postmaster", **nothing, "quota": None, "retention": "never", "password": False},
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2G", "2.0 GiB"),
        ("500 MiB", "500 MiB"),
        ("1000", "1000 B"),
        ("0", "any amount"),
        ("default", "7.0 KiB"),
    ],
)
def test_set_quota(office, said, told):
    """It is told as people say it; default is what the configuration says."""
    config = office / "mailpost.toml"
    config.write_text(config.read_text().replace("[keeping]", '[keeping]\nquota = "7K"'))
    user("add", "alice", "--no-password")
    answer = user("set", "alice", "--quota", said)
    assert (answer.exit_code, answer.stdout) == (
        0,
        f"alice may hold {told}; there is nothing now\n",
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("never", "when they are deleted, and never by themselves"),
        ("1d", "1 day after they came"),
        ("30d after collected", "30 days after all have collected them"),
        ("default", "7 days after they came"),
    ],
)
def test_set_retention(office, said, told):
    """It is told in whole words; default is what the configuration says."""
    config = office / "mailpost.toml"
    config.write_text(config.read_text().replace("[keeping]", '[keeping]\nretention = "7d"'))
    user("add", "alice", "--no-password")
    answer = user("set", "alice", "--retention", said)
    assert (answer.exit_code, answer.stdout) == (0, f"letters of alice go {told}\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--quota", "much"), "a size such as 500M or 2G, 0 for none, or default"),
        (("--quota", "9999999T"), "a size such as 500M or 2G, 0 for none, or default"),
        (("--quota", "-1"), "a size such as 500M or 2G, 0 for none, or default"),
        (("--retention", "a month"), "never, 30d, '30d after collected', or default"),
        ((), "nothing to set: say --quota or --retention"),
    ],
)
def test_set_what_cannot_be(words, told):
    """It is said what is expected."""
    user("add", "alice", "--no-password")
    answer = user("set", "alice", *words)
    assert answer.exit_code == failures.WRONG_USAGE
    assert told in answer.stderr


def test_remove():
    """With --yes nothing is asked."""
    user("add", "alice", "--no-password")
    answer = user("remove", "alice", "--yes")
    assert (answer.exit_code, answer.stdout) == (0, "alice is removed\n")
    assert "alice" not in user("list").stdout


@pytest.mark.parametrize(("said", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_remove_asks(terminal, said, status):
    """On a terminal it is asked, with what will be lost; only a yes removes."""
    user("add", "alice", "--no-password")
    answer = user("remove", "alice", input=said)
    assert "Remove alice and 0 letters, for good?" in answer.stdout
    assert answer.exit_code == status
    assert ("alice" in user("list").stdout) is (status != 0)


def test_remove_without_a_terminal():
    """Nobody is removed because nobody could be asked."""
    user("add", "alice", "--no-password")
    answer = user("remove", "alice")
    assert answer.exit_code == failures.WRONG_USAGE
    assert "--yes" in answer.stderr


def test_the_postmaster_stays(office):
    """Neither the account postmaster nor who stands in for it can be removed (RFC 5321 §4.5.1)."""
    user("add", "alice", "--no-password")
    file = office / "mailpost.toml"
    file.write_text(file.read_text().replace("# postmaster", "postmaster"))
    for name in ("postmaster", "alice"):
        answer = user("remove", name, "--yes")
        assert answer.exit_code == failures.BAD_DATA
        assert "postmaster" in answer.stderr
        assert name in user("list").stdout


def database(office):
    return office / "mailpost.db"


def newer(office):
    with sqlite3.connect(database(office)) as db:
        db.execute("PRAGMA user_version=99")
    db.close()


def other(office):
    database(office).write_text("hello")


def gone(office):
    database(office).unlink()


def folder(office):
    database(office).unlink()
    database(office).mkdir()


@pytest.mark.parametrize("harm", [newer, other, gone, folder])
@pytest.mark.parametrize("command", [("user", "list"), ("user", "add", "x", "--no-password")])
def test_a_store_that_cannot_be_used(office, harm, command):
    """A newer database, another file, none, a folder: one line, status 78, no traceback."""
    harm(office)
    answer = CliRunner().invoke(main, command)
    assert answer.exit_code == failures.BAD_CONFIG
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("mailpost: ")


def account(name):
    """An account as it is kept."""
    with open_office(load(Path("office/mailpost.toml"))) as (_, store):
        return store.accounts.find(name), KeyMaker(store.secret, store.iterations)


def test_scram_s_keys_are_kept_beside_the_hash():
    """So that a client that chooses SCRAM gets in with the main password; a new password has new ones."""
    user("add", "alice", "--password-stdin", input="one\n")
    kept, maker = account("alice")
    assert scram.decode(kept.scram) == maker.make("alice", "one")
    answer = user("passwd", "alice", "--password-stdin", input="two\n")
    assert answer.stdout == "alice has a new password\n"
    kept, maker = account("alice")
    assert scram.decode(kept.scram) == maker.make("alice", "two")


@pytest.mark.parametrize("command", ["add", "passwd"])
def test_a_password_that_scram_has_no_form_for(command):
    """It is a password all the same, without SCRAM, and one line says so."""
    user("add", "bob", "--password-stdin", input="one\n")
    name = "bob" if command == "passwd" else "alice"
    answer = user(command, name, "--password-stdin", input=b"caf\xe9\n")
    assert answer.exit_code == 0
    told, _ = answer.stdout.splitlines()
    assert told.startswith("SCRAM has no form for this password")
    kept, _ = account(name)
    assert passwords.matches(kept.password, b"caf\xe9")
    assert kept.scram is None
