"""Tables for people: their layout, and that nothing in them harms a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.cli import table


def test_numbers_stand_to_the_right():
    """Columns are as wide as need be, no line ends in blanks, and what there is not is a dash."""
    told = table.table(("name", "letters", "note"), [("alice", 12, None), ("bo", 3, "locked")])
    assert told.splitlines() == [
        "name   letters  note",
        "alice       12  -",
        "bo           3  locked",
    ]


def test_a_narrow_terminal_cuts_the_last_column():
    """Nothing else is cut, and an ellipsis shows it."""
    told = table.table(("id", "subject"), [(1, "a rather long subject of a letter")], 20)
    assert told.splitlines()[1] == " 1  a rather long s…"
    assert max(map(table.columns, told.splitlines())) == 20


def test_wide_characters():
    """A character that takes two columns is counted as two, also where it is cut."""
    told = table.table(("subject", "n"), [("日本", 1), ("abcd", 22)])
    assert [table.columns(line) for line in told.splitlines()] == [11, 11, 11]
    assert table.columns("e\u0301\uff21") == 3
    assert table.cut("日本語", 5) == "日本…"
    assert table.cut("日本語", 4) == "日…"


@given(st.text())
def test_nothing_harms_a_terminal(text):
    """Whatever text it is, what is printed has no control and nothing that turns the direction round."""
    told = table.table(("subject",), [(text,)], 40)
    assert told.replace("\n", "").isprintable()
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_240, "10 KiB"),
        (3_565_158, "3.4 MiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 54, "81920 TiB"),
    ],
)
def test_sizes(octets, told):
    """Octets as people say them."""
    assert table.size(octets) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3725, "1 h 2 min"),
        (266_400, "3 d 2 h"),
        (-1, "0 s"),
    ],
)
def test_how_long(seconds, told):
    """Two units are enough."""
    assert table.lasting(seconds) == told


def test_moments():
    """In UTC: to a second for programs, to a day or a minute for people."""
    assert table.moment(1_777_897_800) == "2026-05-04T12:30:00Z"
    assert (table.moment(None), table.day(None), table.minute(None)) == (None, "never", "never")
    assert table.day(1_777_897_800) == "2026-05-04"
    assert table.minute(1_777_897_800) == "2026-05-04 12:30"


def test_a_label(monkeypatch, capsys):
    """On a terminal its text is folded beside it; in a pipe it stays one line, for grep."""
    text = "a text that is rather longer than that narrow terminal"
    table.labelled("store", text)
    assert capsys.readouterr().out == f"store        {text}\n"
    monkeypatch.setattr(table.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    table.labelled("store", text)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("store        a text")
    assert all(line.startswith(" " * 13) and len(line) <= 40 for line in others)


def test_counting():
    """A noun agrees with its number."""
    assert table.counted(1, "letter") == "1 letter"
    assert table.counted(2, "letter") == "2 letters"
    assert table.counted(0, "copy", "copies") == "0 copies"
