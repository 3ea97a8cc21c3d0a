"""Completion, in the shells themselves and by click: commands, options, and names from the store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from mailpost.cli import failures, main


@pytest.fixture(scope="module")
def office(made_office, tmp_path_factory):
    """An office that no test here changes."""
    folder = tmp_path_factory.mktemp("completion") / "office"
    shutil.copytree(made_office, folder)
    words = ["-c", str(folder / "mailpost.toml")]
    for name in ("alan", "bob"):
        run(*words, "user", "add", name, "--no-password")
    for account, device in (("alice", "phone"), ("alice", "pad"), ("bob", "phone")):
        run(*words, "device", "add", account, device)
    return words


def run(*words):
    return CliRunner().invoke(main, words)


def completed(*words, incomplete=""):
    completion = ShellComplete(main, {}, "mailpost", "_MAILPOST_COMPLETE")
    return [item.value for item in completion.get_completions(list(words), incomplete)]


def test_commands_and_options():
    """Without an office, too."""
    assert completed(incomplete="st") == ["status"]
    assert completed("user", incomplete="pa") == ["passwd"]
    assert completed("doctor", incomplete="--th") == ["--thorough"]
    assert completed("completion") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize(
    "words",
    [
        ("user", "remove"),
        ("user", "passwd"),
        ("device", "list"),
        ("device", "add"),
        ("maildrop", "lock"),
        ("letter", "list"),
        ("settings",),
    ],
    ids=" ".join,
)
def test_names_of_accounts(office, words):
    """Where an account is to be named, those there are."""
    assert completed(*office, *words, incomplete="AL") == ["alan", "alice"]
    assert completed(*words, *office, incomplete="b") == ["bob"]


def test_names_of_devices(office):
    """Those of the account that stands before."""
    assert completed(*office, "device", "remove", "alice") == ["pad", "phone"]
    assert completed(*office, "device", "rename", "Alice", incomplete="ph") == ["phone"]
    assert completed(*office, "device", "remove", "alan") == []


def test_new_names_are_nobody_s(office):
    """What is yet to be made is not completed."""
    assert completed(*office, "user", "add") == []
    assert completed(*office, "device", "add", "alice") == []


def test_no_office(tmp_path, monkeypatch):
    """A shell hears of no failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILPOST_CONFIG", "nowhere.toml")
    assert completed("user", "remove") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script(shell, tmp_path):
    """It says where it is to be put, and the shell reads it."""
    answer = run("completion", shell)
    assert answer.exit_code == 0
    assert f"# To install it: mailpost completion {shell} > ~/" in answer.stdout
    assert answer.stdout.startswith("#compdef mailpost\n") == (shell == "zsh")
    assert shutil.which(shell) or os.environ.get("CI") != "true", f"{shell} is not installed"
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(answer.stdout)
        subprocess.run([shell, "-n", str(script)], check=True, timeout=30)


def test_in_bash(tmp_path):
    """The shell completes by it."""
    program = tmp_path / "mailpost"
    program.write_text(
        f"#!{sys.executable}\nfrom mailpost.cli import main\nmain(prog_name='mailpost')\n"
    )
    program.chmod(0o755)
    typed = (
        'eval "$(mailpost completion bash)"; COMP_WORDS=(mailpost rel); COMP_CWORD=1;'
        ' _mailpost_completion mailpost; echo "${COMPREPLY[@]}"'
    )
    told = subprocess.run(
        ["bash", "-c", typed],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout == "reload\n"


def test_another_shell():
    """Which shells there are is told."""
    answer = run("completion", "tcsh")
    assert answer.exit_code == failures.WRONG_USAGE
    assert "'bash', 'zsh', 'fish'" in answer.stderr
