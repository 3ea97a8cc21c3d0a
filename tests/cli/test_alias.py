"""``mailpost alias``, ``domain`` and ``route``: addresses, as their owner deals with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main


@pytest.fixture(autouse=True)
def office(tmp_path, monkeypatch):
    """An office in ./office that the commands find by themselves, with alice and bob."""
    monkeypatch.chdir(tmp_path)
    assert run("init", "office", "--domain", "example.org").exit_code == 0
    monkeypatch.setenv("MAILPOST_CONFIG", "office/mailpost.toml")
    for name in ("alice", "bob"):
        assert run("user", "add", name, "--no-password").exit_code == 0
    return Path("office")


def run(*words):
    return CliRunner().invoke(main, words)


def done(*words):
    """Run a command that does what it should; what it printed."""
    answer = run(*words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(status, *words):
    """Run a command that is refused; what it said, and it said it on standard error."""
    answer = run(*words)
    assert answer.exit_code == status, answer.output
    assert answer.stdout == ""
    return answer.stderr


def test_an_aliass_life():
    """Added, seen in the list and by its route, shortened, removed."""
    assert done("alias", "list") == "there are no aliases\n"
    told = done("alias", "add", "Info@example.org", "alice", "bob@example.org")
    assert told == "info@example.org goes to alice, bob@example.org now\n"
    done("alias", "add", "team", "info@example.org")
    done("alias", "add", "@example.org", "alice")
    assert done("alias", "list").splitlines() == [
        "address           where            goes to",
        "team              every domain     info@example.org",
        "@example.org      what nobody has  alice",
        "info@example.org  its domain       alice, bob@example.org",
    ]
    assert json.loads(done("alias", "list", "team", "--json")) == [
        {"address": "team", "everywhere": True, "catch_all": False, "targets": ["info@example.org"]}
    ]
    assert done("route", "team@example.org").splitlines() == [
        "team@example.org is an alias of info@example.org (in every domain)",
        "info@example.org is an alias of alice, bob@example.org",
        "alice@example.org is kept in alice's maildrop",
        "bob@example.org is kept in bob's maildrop",
        "2 copies are kept",
    ]
    told = done("alias", "remove", "info@example.org", "alice")
    assert told == "info@example.org goes to bob@example.org now\n"
    answer = run("alias", "remove", "info@example.org")
    assert answer.stdout == "info@example.org is no alias any more\n"
    assert "info@example.org" not in done("alias", "list", "@example.org")


def test_what_cannot_be():
    """Each told in a sentence, with its status, and nothing is changed."""
    assert "nothing is sent on" in refused(
        failures.BAD_DATA, "alias", "add", "info", "me@else.example"
    )
    assert "is no address" in refused(failures.BAD_DATA, "alias", "add", "in fo", "alice")
    assert "mailpost domain add" in refused(
        failures.BAD_DATA, "alias", "add", "info@else.example", "alice"
    )
    done("alias", "add", "a", "alice")
    done("alias", "add", "b", "a")
    told = refused(failures.BAD_DATA, "alias", "add", "a", "b")
    assert told == "mailpost: a cannot be so: a leads in a circle: a -> b -> a\n"
    for words in (("remove", "nobody"), ("list", "nobody")):
        told = refused(failures.NO_USER, "alias", *words)
        assert told == "mailpost: there is no alias nobody; see them all: mailpost alias list\n"
    assert "bob is no target of a" in refused(failures.BAD_DATA, "alias", "remove", "a", "bob")
    assert len(json.loads(done("alias", "list", "--json"))) == 2


def test_two_meanings_are_told():
    """An alias that puts an account aside; an account that an alias would put aside; what one leaves."""
    answer = run("alias", "add", "alice", "bob")
    assert answer.exit_code == 0
    assert "note: alice is an account: mail for alice goes to the alias" in answer.stderr
    done("alias", "add", "sales", "bob")
    told = refused(failures.BAD_DATA, "user", "add", "sales", "--no-password")
    assert "sales is an alias of bob in every domain" in told
    assert "mailpost alias remove sales" in told
    done("alias", "add", "dora@example.org", "bob")
    answer = run("user", "add", "dora", "--no-password")
    assert answer.exit_code == 0
    assert answer.stderr.startswith("note: dora is an account: mail for dora@example.org goes to")
    answer = run("user", "add", "sales", "--no-password", "--alias-stays")
    assert answer.stderr.startswith("note: sales is an account: mail for sales goes to the alias")
    done("alias", "add", "sales", "sales")
    assert done("route", "sales@example.org").endswith("2 copies are kept\n")
    done("user", "remove", "sales", "--yes")
    done("user", "add", "sales", "--no-password")  # it is among the alias's targets
    answer = run("user", "remove", "bob", "--yes")
    assert answer.stdout == "bob is removed\n"
    assert answer.stderr == (
        "note: alice still leads to bob, which is nobody's now\n"
        "note: sales still leads to bob, which is nobody's now\n"
        "note: dora@example.org still leads to bob, which is nobody's now\n"
    )


def test_routes():
    """0 where somebody gets it, 67 where nobody does, 75 where it is to be tried again."""
    told = run("route", "nobody@example.org")
    assert told.exit_code == failures.NO_USER
    assert told.stdout.splitlines() == [
        "nobody has nobody@example.org",
        (
            "no copy is kept: 550 5.1.1 no such mailbox here"
            " (no account and no alias of this name, or one to nobody)"
        ),
    ]
    told = run("route", "me@else.example", "--json")
    assert told.exit_code == failures.NO_USER
    assert json.loads(told.stdout) == {
        "address": "me@else.example",
        "outcome": "refused",
        "reply": "550 5.7.1 this office does not deliver to that domain",
        "reason": "not a domain of this office",
        "delivered_to": [],
        "steps": [
            {
                "kind": "outside",
                "address": "me@else.example",
                "to": [],
                "text": "me@else.example is in no domain of this office, and nothing is sent on",
            }
        ],
    }
    alice = json.loads(done("route", "Alice+x@example.org", "--json"))
    assert alice["delivered_to"] == ["alice+x@example.org"]
    assert [step["kind"] for step in alice["steps"]] == ["detail", "account"]
    assert "kept in postmaster's maildrop" in done("route", "Postmaster")
    assert "expected one such as" in refused(failures.BAD_DATA, "route", "alice")
    assert "expected one such as" in refused(failures.BAD_DATA, "route", f"a@[{'1' * 5}]")


def test_a_route_that_is_to_be_tried_again(monkeypatch):
    """Aliases that got in although they lead further than letters are carried."""
    with monkeypatch.context() as once:
        once.setattr("mailpost.sorting.route.MAX_DEPTH", 20)
        for n in range(12):
            done("alias", "add", f"a{n}", f"a{n - 1}" if n else "alice")
    told = run("route", "a11@example.org")
    assert told.exit_code == failures.TRY_LATER
    assert "no copy is kept: 451 4.4.6" in told.stdout


def test_a_domains_life():
    """Added, used, changed, removed."""
    assert "accounts' names and aliases" in done("domain", "add", "B\u00fccher.example")
    assert "aliases alone" in done("domain", "add", "shop.example", "--aliases-only")
    assert run("route", "alice@shop.example").exit_code == failures.NO_USER
    done("alias", "add", "@shop.example", "alice")
    assert done("domain", "list").splitlines() == [
        "domain                 from               addresses             separator  aliases",
        "example.org            the configuration  accounts and aliases  +                0",
        "shop.example           a command          aliases               +                1",
        "xn--bcher-kva.example  a command          accounts and aliases  +                0",
    ]
    assert done("route", "alice@xn--bcher-kva.example").endswith("1 copy is kept\n")
    told = done("domain", "set", "b\u00fccher.example", "--aliases-only", "--separator", "-")
    assert told == "xn--bcher-kva.example: aliases alone, separator -\n"
    done("domain", "set", "b\u00fccher.example", "--accounts")
    done("alias", "add", "books", "bob@b\u00fccher.example")
    answer = run("domain", "set", "b\u00fccher.example", "--aliases-only")
    assert answer.stderr == (
        "note: books still leads to bob@xn--bcher-kva.example, which is nobody's now\n"
    )
    assert run("route", "alice@xn--bcher-kva.example").exit_code == failures.NO_USER
    done("domain", "set", "example.org", "--separator", "none")
    assert run("route", "alice+x@example.org").exit_code == failures.NO_USER
    assert json.loads(done("domain", "list", "--json"))[0] == {
        "domain": "example.org",
        "configured": True,
        "accounts": True,
        "separator": "",
        "aliases": 0,
        "catch_all": [],
    }
    done("alias", "add", "info@example.org", "alice@shop.example")
    told = refused(failures.BAD_DATA, "domain", "remove", "shop.example")
    assert "has 1 alias; to remove them, too: --with-aliases" in told
    answer = run("domain", "remove", "shop.example", "--with-aliases")
    assert answer.stdout == "letters for shop.example are not taken any more\n"
    assert answer.stderr == (
        "note: info@example.org still leads to alice@shop.example, which is nobody's now\n"
    )
    assert run("route", "info@example.org").exit_code == failures.NO_USER
    assert "shop.example" not in done("domain", "list")


def test_domains_that_cannot_be():
    """The configuration's stay there, and what is not there is told."""
    told = refused(failures.BAD_DATA, "domain", "add", "Example.org")
    assert "in the configuration already" in told
    done("domain", "add", "shop.example")
    assert "there already" in refused(failures.BAD_DATA, "domain", "add", "shop.example")
    assert "office.domains" in refused(failures.BAD_DATA, "domain", "remove", "example.org")
    assert "no domain of this office" in refused(failures.NO_USER, "domain", "remove", "x.example")
    assert "no domain name" in refused(failures.BAD_DATA, "domain", "add", "no domain")
    assert "say what" in refused(failures.WRONG_USAGE, "domain", "set", "shop.example")


def test_import():
    """What is left out is told with its line; a dry run changes nothing; a mistake spoils all of it."""
    file = Path("aliases")
    file.write_text("root: alice, |/bin/true\nteam: alice, bob, carol\npostmaster: root\n")
    answer = run("alias", "import", "aliases", "--dry-run")
    assert (
        answer.stdout == "3 aliases would be added, 0 would be changed, 0 as before, 2 left out\n"
    )
    assert answer.stderr.splitlines() == [
        "aliases: line 1: left out: |/bin/true (a command, which is no target here)",
        (
            "aliases: line 2: left out: carol"
            " (is nobody's: there is no account and no alias of that name)"
        ),
        (
            "note: postmaster is an account: mail for postmaster goes to the alias, and not to postmaster;"
            " name postmaster among its targets to have both"
        ),
    ]
    assert done("alias", "list") == "there are no aliases\n"
    told = json.loads(done("alias", "import", "aliases", "--json"))
    assert told["added"] == 3
    assert told["left_out"][0] == {
        "file": "aliases",
        "line": 1,
        "text": "|/bin/true",
        "why": "a command, which is no target here",
    }
    assert done("route", "postmaster").endswith(
        "alice@example.org is kept in alice's maildrop\n1 copy is kept\n"
    )
    file.write_text("new: alice\n\nbad bad bad\n")
    told = refused(failures.BAD_DATA, "alias", "import", "aliases")
    assert told.startswith("mailpost: aliases: line 3: expected a name")
    assert told.endswith("mailpost: nothing was changed\n")
    file.write_text("a: b\nb: a\n")
    told = refused(failures.BAD_DATA, "alias", "import", "aliases")
    assert "aliases: line 1: a cannot be so: a leads in a circle: a -> b -> a" in told
    assert len(json.loads(done("alias", "list", "--json"))) == 3
    file.write_text("info: bob\n")
    done("alias", "import", "aliases", "--domain", "example.org")
    assert "info@example.org" in done("alias", "list", "info@example.org")
