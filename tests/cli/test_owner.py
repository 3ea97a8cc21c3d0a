"""Commands run as root become the store's owner first; others are told what they may not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main, office

SOMEBODY = 54321  # a number that nobody has a name for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def passable():
    """A folder that everybody can reach: pytest's own are closed to others, and cleared by them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


class Became:
    """The system calls that change who one is, noted instead of made."""

    def __init__(self, monkeypatch, uid=0):
        self.calls = []
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        for name in ("setuid", "setgid", "setgroups", "initgroups"):
            monkeypatch.setattr(
                os, name, lambda *args, name=name: self.calls.append((name, *args)), raising=False
            )


def owned_by(monkeypatch, uid, gid=7):
    class Status:
        st_uid = uid
        st_gid = gid

    monkeypatch.setattr(Path, "stat", lambda _self, **_: Status)
    monkeypatch.setattr(Path, "exists", lambda _self: True)


def test_nobody_else_changes(monkeypatch, tmp_path):
    """Who is not root stays who he is."""
    became = Became(monkeypatch, uid=1000)
    office.become_owner(tmp_path)
    assert became.calls == []


def test_roots_own_store_is_roots(monkeypatch, tmp_path):
    """A store that is root's is served by root."""
    became = Became(monkeypatch)
    owned_by(monkeypatch, 0)
    office.become_owner(tmp_path)
    assert became.calls == []


def test_a_number_without_a_name(monkeypatch, tmp_path):
    """Groups go first, the user last; without a name the folder's group is taken."""
    became = Became(monkeypatch)
    owned_by(monkeypatch, SOMEBODY, 7)
    office.become_owner(tmp_path)
    assert became.calls == [("setgroups", []), ("setgid", 7), ("setuid", SOMEBODY)]


def test_a_user_with_a_name(monkeypatch, tmp_path):
    """With a name it is that user with all its groups."""
    became = Became(monkeypatch)
    owned_by(monkeypatch, SOMEBODY)

    class Entry:
        pw_name = "mailpost"
        pw_gid = 99

    monkeypatch.setattr(office.pwd, "getpwuid", lambda _uid: Entry)
    office.become_owner(tmp_path)
    assert became.calls == [("initgroups", "mailpost", 99), ("setgid", 99), ("setuid", SOMEBODY)]


def as_somebody(folder, *words):
    """Run a command in a process of its own, as a user who owns nothing."""
    script = (
        "import os, sys\n"
        "import getpass, mailpost.config, mailpost.cli.init, mailpost.cli.user, mailpost.cli.template\n"
        "import mailpost.accounts.passwords, mailpost.accounts.scram, mailpost.store, twisted.internet.task\n"
        f"os.setgroups([]); os.setgid({SOMEBODY}); os.setuid({SOMEBODY})\n"
        "mailpost.cli.main(sys.argv[1:], prog_name='mailpost')"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


@needs_root
def test_what_root_makes_is_the_owners(passable):
    """As root in a folder of somebody's, all that is made belongs to somebody."""
    home = passable / "home"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    config = home / "office" / "mailpost.toml"
    for words in (
        ("init", str(home / "office"), "--domain", "example.org"),
        ("-c", str(config), "user", "add", "alice", "--no-password"),
        ("-c", str(config), "user", "list"),
        ("-c", str(config), "maildrop", "lock", "alice"),
        ("-c", str(config), "letter", "nothing@example.net"),
        ("-c", str(config), "doctor", "--thorough"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "mailpost", *words], capture_output=True, text=True, check=False
        )
        # Other programs on this machine may have the ports, and its clock may be a loose one.
        wanted = {"letter": (67,), "doctor": (0, 1)}.get(words[2], (0,))
        assert done.returncode in wanted, done.stderr
        assert "Traceback" not in done.stderr
    made = list(home.rglob("*"))
    assert len(made) >= 4
    assert {one.stat().st_uid for one in made} == {SOMEBODY}


@needs_root
def test_serve_becomes_the_owner(passable):
    """As root it binds its doors, a UNIX socket in root's folder too, and serves and closes as the owner."""
    home, door = passable / "home", passable / "door"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    init = ("init", str(home / "office"), "--domain", "example.org")
    subprocess.run([sys.executable, "-m", "mailpost", *init], capture_output=True, check=True)
    config = home / "office" / "mailpost.toml"
    config.write_text(
        '[office]\nhostname = "mx.example.org"\ndomains = ["example.org"]\n'
        f'[[listen]]\nprotocol = "lmtp"\nendpoint = "unix:{door}:mode=660"\n'
    )
    for _ in range(2):  # what the owner may not take away is replaced the next time
        with subprocess.Popen(
            [sys.executable, "-m", "mailpost", "-c", config, "serve"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as serving:
            assert serving.stdout is not None
            while "Ctrl-C" not in (line := serving.stdout.readline()):
                assert line, serving.communicate()
            assert Path(f"/proc/{serving.pid}").stat().st_uid == SOMEBODY
            assert stat.S_IMODE(door.stat().st_mode) == 0o660
            serving.terminate()
            _, log = serving.communicate(timeout=20)
        assert serving.returncode == 0, log
        assert "Traceback" not in log


@needs_root
def test_somebody_elses_office(passable):
    """Whoever may not write a store is told so in one line, with status 77 or 73."""
    CliRunner().invoke(main, ("init", str(passable / "office"), "--domain", "example.org"))
    (passable / "office").chmod(0o755)
    done = as_somebody(passable, "-c", "office/mailpost.toml", "user", "list")
    assert done.returncode == failures.NOT_PERMITTED
    assert done.stderr.startswith("mailpost: ")
    assert done.stderr.count("\n") == 1
    done = as_somebody(passable, "init", "other", "--domain", "example.org")
    assert done.returncode == failures.CANNOT_CREATE
    assert done.stderr == "mailpost: other cannot be made: Permission denied\n"
