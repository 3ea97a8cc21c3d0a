"""A progress bar is for terminals."""

from __future__ import annotations

import io
import sys

import pytest

from mailpost.cli.progress import octets_bar, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def a_terminal(monkeypatch):
    """Put in the test itself: pytest takes standard error anew before it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def test_letters(monkeypatch):
    """How many of how many, their octets, the time that is left; and nothing stays of it."""
    terminal = a_terminal(monkeypatch)
    with progress("import", 2_000_000, 4) as told:
        told(500_000)
        told(500_000)
    shown = terminal.getvalue()
    assert "import" in shown
    assert "2 of 4 letters" in shown
    assert "1.0/2.0 MB" in shown
    assert shown.endswith("\x1b[2K")


def test_letters_that_nobody_has_counted(monkeypatch):
    """What is known is shown."""
    terminal = a_terminal(monkeypatch)
    with progress("import", None) as told:
        told(500_000)
    assert "1 letters" in terminal.getvalue()


def test_octets(monkeypatch):
    """How many of how many."""
    terminal = a_terminal(monkeypatch)
    with octets_bar("backup") as told:
        told(1_000_000, 4_000_000)
    assert "1.0/4.0 MB" in terminal.getvalue()


@pytest.mark.parametrize(("bar", "step"), [(progress("x", 1, 1), (1,)), (octets_bar("x"), (1, 1))])
def test_elsewhere(monkeypatch, bar, step):
    """There is none in a file."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with bar as told:
        told(*step)
    assert sys.stderr.getvalue() == ""
