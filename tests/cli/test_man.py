"""The manual page and docs/commands.rst: both say what the commands are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mailpost.cli import failures, main
from mailpost.cli.man import commands

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "commands.rst").read_text(encoding="utf-8")
COMMANDS = [(" ".join(words), command) for words, command in commands(main)]


@pytest.fixture(scope="module")
def page():
    answer = CliRunner().invoke(main, ("man",), env={"SOURCE_DATE_EPOCH": "1777897800"})
    assert answer.exit_code == 0
    return answer.stdout


def plain(page):
    """The page without roff's escapes."""
    return page.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\e", "\\")


def test_its_head(page):
    """Name and date; the date is given by whoever builds."""
    assert page.startswith('.TH MAILPOST 1 "2026-05-04" "mailpost ')
    assert ".SH NAME\nmailpost \\- a post office: letters in by SMTP" in page


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_every_command_is_in_it(page, words, command):
    """With its options and its examples."""
    section = plain(page).partition(f"\n.SS {words}\n")[2].partition("\n.SS ")[0]
    assert section.startswith(f"\\fBmailpost {words}\\fR ")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in section, parameter.name
    for example in re.findall(r"^  (mailpost .*)$", command.epilog or "", re.MULTILINE):
        assert example in section


def test_exit_statuses(page):
    """The help, the page and the document have the same ones, and each constant is among them."""
    constants = {
        value for name, value in vars(failures).items() if name.isupper() and isinstance(value, int)
    }
    assert constants == set(failures.STATUSES)
    for status, meaning in failures.STATUSES.items():
        assert f".TP\n\\fB{status}\\fR\n{meaning}\n" in plain(page)
        assert f"   * - {status}\n     - {meaning}\n" in DOCUMENT
    assert len(re.findall(r"^   \* - \d+$", DOCUMENT, re.MULTILINE)) == len(failures.STATUSES)


def test_every_json_is_documented():
    """Each command that has --json is in the table, and no other."""
    listed = re.findall(r"^   \* - ``([a-z ]+)``$", DOCUMENT, re.MULTILINE)
    there = [
        words for words, command in COMMANDS if any("--json" in one.opts for one in command.params)
    ]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize(
    "check", [("mandoc", "-T", "lint", "-W", "warning"), ("groff", "-man", "-ww", "-z")]
)
def test_it_is_well_formed(page, check, tmp_path):
    """The programs that show manual pages have nothing to remark."""
    if shutil.which(check[0]) is None:
        assert os.environ.get("CI") != "true", f"{check[0]} is not installed"
        pytest.skip(f"{check[0]} is not installed")
    file = tmp_path / "mailpost.1"
    file.write_text(page)
    told = subprocess.run(
        [*check, str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (told.stdout, told.stderr) == ("", "")
