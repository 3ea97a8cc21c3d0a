"""The first run: what ``mailpost init`` asks, what comes of the answers, and the office that opens."""

from __future__ import annotations

import getpass
import re
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost import config
from mailpost.accounts import passwords
from mailpost.cli import failures, first_words, main, ports, template
from mailpost.cli.office import open_office

init_module = sys.modules.get("mailpost.cli.init") or __import__(
    "mailpost.cli.init", fromlist=["init"]
)
FILE = Path("office/mailpost.toml")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(getpass, "getuser", lambda: "Carol")


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(init_module, "_on_terminal", lambda: True)
    monkeypatch.setattr(first_words, "obstacle", lambda _: None)


@pytest.fixture
def served(monkeypatch):
    """Which configurations were served, in place of serving them."""
    files: list[Path] = []
    monkeypatch.setattr(init_module, "_serve", files.append)
    return files


def init(*words, typed=()):
    return CliRunner().invoke(main, ("init", *words), input="".join(f"{one}\n" for one in typed))


def kept(name):
    with open_office(config.load(FILE)) as (_, store):
        return store.accounts.find(name)


def shown_password(text):
    (password,) = re.findall(r"^password: (\S+)$", text, re.MULTILINE)
    return password.encode()


def test_enter_is_enough(terminal, served):
    """Who answers nothing has a try-out office with an account that can log in, and it is started."""
    answer = init(typed=[""] * 7)
    assert answer.exit_code == 0, answer.output
    found = config.load(FILE)
    assert found.office.domains == ("example.org",)
    assert found.office.hostname == "mail.example.org"
    assert {one.interface for one in found.listen} == {"127.0.0.1"}
    account = kept("carol")
    assert passwords.matches(account.password, shown_password(answer.stdout))
    assert account.scram is not None
    assert served == [FILE]


def test_every_question_says_why(terminal, served):
    """A sentence stands before each prompt, and none is wider than a terminal of 80 columns."""
    shown = init(typed=[""] * 7).stdout
    for prompt in ("Folder [", "Domain [", "Host name [", "Choose [", "Name [", "Password:"):
        before = shown.partition(prompt)[0].rstrip("\n").rpartition("\n\n")[2]
        assert len(before) > 30, prompt
    assert max(map(len, shown.splitlines())) < 80


def test_what_was_answered_counts(terminal, served):
    """All answers, a password typed twice, the network; it is not started unless that is wanted."""
    typed = ["post", "Example.COM", "mx.example.com", "2", "alice", "one", "one", "n"]
    answer = init(typed=typed)
    assert answer.exit_code == 0, answer.output
    found = config.load(Path("post/mailpost.toml"))
    assert found.office.domains == ("example.com",)
    assert found.office.hostname == "mx.example.com"
    doors = [(one.protocol, one.endpoint, one.tls) for one in found.listen]
    assert doors == list(template.NETWORK)
    with open_office(found) as (_, store):
        assert passwords.matches(store.accounts.find("alice").password, b"one")
    assert "password:" not in answer.stdout
    assert served == []
    for part in ("firewall", "MX record", "root", "settings --write", "self-signed"):
        assert part in answer.stdout


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["full", ""], "full is not empty; choose a folder of its own"),
        (["full/file", ""], "full/file is a file; choose a folder"),
        (["", "a b", ""], 'expected a domain name; got "a b"'),
        (["", "", "", "3", ""], "1 or 2"),
        (["", "", "", "", "not a name", ""], "a name is made of a-z"),
        (["", "", "", "", "postmaster", ""], "choose another name"),
        (["", "", "", "", "", "one", "two"], "The two are not the same."),
        (["", "", "", "", "", "a\tb", "a\tb"], "a password has no control characters"),
    ],
)
def test_an_answer_that_will_not_do_is_asked_again(terminal, served, typed, told):
    """Nothing is made of it, and the question comes once more."""
    Path("full").mkdir()
    Path("full/file").touch()
    answer = init(typed=[*typed, *[""] * 7])
    assert told in answer.stdout
    assert answer.exit_code == 0, answer.output
    assert kept("carol") is not None


def test_what_was_given_is_not_asked(terminal, served):
    """Options answer their questions."""
    answer = init(
        "post", "--hostname", "mx.example.org", "--user", "bob", "--network", typed=[""] * 3
    )
    assert answer.exit_code == 0, answer.output
    for prompt in ("Folder [", "Host name [", "Choose [", "Name ["):
        assert prompt not in answer.stdout
    assert config.load(Path("post/mailpost.toml")).office.hostname == "mx.example.org"


def test_a_folder_that_will_not_do(terminal):
    """Where it was given, nothing is asked in vain."""
    Path("full").mkdir()
    Path("full/file").touch()
    answer = init("full")
    assert answer.exit_code == failures.CANNOT_CREATE
    assert (answer.stdout, answer.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("system", "domain", "host"),
    [
        ("mail.example.net", "example.net", "mail.example.net"),
        ("box.localdomain", "example.org", "mail.example.org"),
        ("box.local", "example.org", "mail.example.org"),
        ("under_score.example.net", "example.org", "mail.example.org"),
    ],
)
def test_the_system_is_asked_first(terminal, served, monkeypatch, system, domain, host):
    """A machine that has a name of its own is called by it."""
    monkeypatch.setattr(socket, "gethostname", lambda: system)
    init(typed=[""] * 7)
    office = config.load(FILE).office
    assert (office.domains, office.hostname) == ((domain,), host)


def test_root_is_nobodys_mail_name(terminal, served, monkeypatch):
    """Who is root here is not called so in an address."""
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    init(typed=[""] * 7)
    assert kept("alice") is not None


def test_with_a_domain_nothing_is_asked(terminal, served):
    """README's first line stays as it is, on a terminal too."""
    answer = init("office", "--domain", "example.org")
    assert answer.exit_code == 0
    assert "[" not in answer.stdout
    assert (kept("carol"), served) == (None, [])


def test_yes_without_a_domain(terminal):
    """With --yes nothing is asked, and what has no default has to be given."""
    answer = init("office", "--yes")
    assert answer.exit_code == failures.WRONG_USAGE
    assert "Missing option '--domain'" in answer.stderr
    assert not Path("office").exists()


def test_a_first_user_for_scripts(served, monkeypatch):
    """--user makes an account; its password is read, or made and printed."""
    words = ("office", "--domain", "example.org", "--user", "alice")
    assert init(*words, "--password-stdin", typed=["a long secret"]).exit_code == 0
    assert passwords.matches(kept("alice").password, b"a long secret")
    monkeypatch.setattr(first_words, "obstacle", lambda _: None)
    answer = init("other", *words[1:], "--start")
    with open_office(config.load(Path("other/mailpost.toml"))) as (_, store):
        encoded = store.accounts.find("alice").password
    assert passwords.matches(encoded, shown_password(answer.stdout))
    assert served == [Path("other/mailpost.toml")]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--password-stdin",), failures.WRONG_USAGE, "--password-stdin needs --domain and --user"),
        (("--user", "a b"), failures.BAD_DATA, "--user: a b: a name is made of"),
        (("--user", "postmaster"), failures.BAD_DATA, "--user: every office has a postmaster"),
        (("--user", "a", "--password-stdin"), failures.BAD_DATA, "the password is empty"),
        (("--hostname", "a b"), failures.BAD_DATA, "--hostname: expected a domain name"),
    ],
)
def test_options_that_will_not_do(words, status, told):
    """One line says why, and nothing is made."""
    answer = init("office", "--domain", "example.org", *words)
    assert answer.exit_code == status
    assert answer.stderr.startswith(f"mailpost: {told}")
    assert not Path("office").exists()


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (ports.TAKEN, "another program has port 2525, 1587, 1110."),
        (ports.FORBIDDEN, "ports 2525, 1587, 1110 are root's"),
    ],
)
def test_what_cannot_be_started_is_not_offered(monkeypatch, served, found, told):
    """Where a port cannot be had, that is said in place of the question."""
    monkeypatch.setattr(init_module, "_on_terminal", lambda: True)
    monkeypatch.setattr(ports, "state", lambda _: found)
    answer = init(typed=[""] * 6)
    assert answer.exit_code == 0, answer.output
    assert told in answer.stdout
    assert "Start it now" not in answer.stdout
    assert served == []


def test_the_state_of_a_port():
    """Free, taken, or no address of this machine; it is free again after it was tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = ports.Place("127.0.0.1", taken.getsockname()[1])
        assert ports.state(place) == ports.TAKEN
    assert ports.state(place) == ports.FREE
    assert ports.state(place) == ports.FREE
    assert ports.state(ports.Place("192.0.2.1", place.port)) == ports.ELSEWHERE


@pytest.mark.parametrize(
    ("endpoint", "shown", "reached"),
    [
        ("tcp:25", "0.0.0.0:25", "127.0.0.1"),
        ("tcp6:25", "[::]:25", "::1"),
        (r"tcp6:25:interface=\:\:1", "[::1]:25", "::1"),
        ("tcp:25:interface=192.0.2.1", "192.0.2.1:25", "192.0.2.1"),
    ],
)
def test_where_a_listener_is(endpoint, shown, reached):
    """As a person writes it, and how this machine reaches it; a UNIX socket is no port."""
    place = ports.place(config.Listen(protocol="smtp", endpoint=endpoint))
    assert (place.shown, place.reached) == (shown, reached)
    assert ports.place(config.Listen(protocol="smtp", endpoint="unix:/a")) is None
