"""The command line as a whole: help, the configuration's place, and how failures are told."""

from __future__ import annotations

import os
import subprocess
import sys

import apsw
import pytest
from click.testing import CliRunner

from mailpost import __version__
from mailpost.cli import failures, main
from mailpost.config import ConfigError
from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store import DuplicateName, NewerStore, NoSuchName, UnusableStore


def run(*words, **options):
    return CliRunner().invoke(main, words, prog_name="mailpost", **options)


COMMANDS = [
    (),
    ("init",),
    ("user",),
    ("user", "add"),
    ("user", "list"),
    ("user", "passwd"),
    ("user", "remove"),
    ("ban",),
    ("ban", "list"),
    ("ban", "add"),
    ("ban", "remove"),
    ("serve",),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help(words):
    """Every command explains itself, those that do something by an example."""
    told = run(*words, "--help")
    assert told.exit_code == 0
    assert "Usage: mailpost" in told.stdout
    if words not in {("user",), ("ban",)}:
        assert "Examples:\n  mailpost " in told.stdout.replace("    mailpost", "  mailpost")


def test_exit_statuses_are_in_the_help():
    """Every exit status there is stands in the help."""
    told = run("--help").stdout
    for name, status in vars(failures).items():
        if name.isupper() and isinstance(status, int):
            assert f"{status} " in told, name


def test_version():
    """The version is told."""
    assert __version__ in run("--version").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("usr",), "Did you mean 'user'?"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("user", "frob"), "No such command 'frob'"),
        (("serve", "--frob"), "No such option"),
        (("init",), "Missing argument 'DIR'"),
        (("init", "x"), "Missing option '--domain'"),
    ],
)
def test_wrong_usage(words, told):
    """Wrong usage is status 2, and what would have been right is told."""
    answer = run(*words)
    assert answer.exit_code == failures.WRONG_USAGE
    assert told in answer.stderr


def test_start_is_quick():
    """Help needs neither Twisted nor pydantic nor SQLite, so that it is there at once."""
    script = (
        "import sys\n"
        "from mailpost.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'twisted', 'pydantic', 'apsw', 'argon2', 'rich', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("before", [True, False])
def test_config_before_and_behind(tmp_path, before):
    """--config is understood before the command's name as well as behind it."""
    option = ("--config", str(tmp_path / "missing.toml"))
    words = (*option, "user", "list") if before else ("user", "list", *option)
    answer = run(*words)
    assert answer.exit_code == failures.BAD_CONFIG
    assert answer.stderr == f"mailpost: {option[1]}: cannot be read: No such file or directory\n"


def test_no_configuration(tmp_path, monkeypatch):
    """Where there is none, one line says where was looked and what to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAILPOST_CONFIG", raising=False)
    monkeypatch.setattr("mailpost.config.SEARCHED", ("mailpost.toml",))
    answer = run("user", "list")
    assert answer.exit_code == failures.BAD_CONFIG
    assert answer.stderr.count("\n") == 1
    assert "mailpost init DIR" in answer.stderr


def test_every_mistake_of_a_configuration(tmp_path):
    """Each mistake is a line of its own."""
    file = tmp_path / "a.toml"
    file.write_text("office = 3\n")
    answer = run("-c", str(file), "serve")
    assert answer.exit_code == failures.BAD_CONFIG
    assert answer.stderr.splitlines() == [
        f"mailpost: {file}: office: expected a table [office]; got 3",
        f"mailpost: {file}: listen: expected one table [[listen]] or more; it is missing",
    ]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigError("a", "b"), failures.BAD_CONFIG, "a\nb"),
        (DuplicateName("there is one"), failures.BAD_DATA, "there is one"),
        (NoSuchName("there is none"), failures.NO_USER, "there is none; see them all: "),
        (NewerStore("newer"), failures.BAD_CONFIG, "newer"),
        (UnusableStore("not by this user"), failures.NOT_PERMITTED, "not by this user"),
        (MaildropInUse("in use"), failures.TRY_LATER, "in use; try again later"),
        (TemporaryFailure("disk full"), failures.TRY_LATER, "disk full; try again later"),
        (PermissionError(13, "Permission denied", "f"), failures.NOT_PERMITTED, "f: permission d"),
        (OSError(28, "No space left", "f"), failures.FAILED, "f: No space left"),
        (OSError("odd"), failures.FAILED, "odd"),
        (apsw.CantOpenError("unable to open"), failures.BAD_CONFIG, "the store cannot be used: un"),
    ],
)
def test_what_a_failure_is_called(error, status, told):
    """What a command runs into has a sentence and a status of its own."""
    failed = failures.explain(error)
    assert failed.exit_code == status
    assert failed.message.startswith(told)


def test_a_fault_of_our_own():
    """What nobody foresaw is not dressed up: its traceback is wanted."""
    assert failures.explain(ZeroDivisionError()) is None


def test_whoever_reads_may_stop_reading(tmp_path):
    """As ``mailpost user list | head -1`` does: the command ends without a word."""
    command = [sys.executable, "-m", "mailpost"]
    made = [*command, "init", str(tmp_path / "office"), "--domain", "example.org"]
    subprocess.run(made, check=True, capture_output=True, timeout=30)
    config = str(tmp_path / "office" / "mailpost.toml")
    reading, writing = os.pipe()
    os.close(reading)
    listed = subprocess.run(
        [*command, "--config", config, "user", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writing)
    assert (listed.returncode, listed.stderr) == (1, b"")
