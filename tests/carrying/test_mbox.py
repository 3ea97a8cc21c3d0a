"""An mbox as a source, and as a target; what is written to one is read back exactly."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailpost.carrying import mbox as mbox_module
from mailpost.carrying.mbox import FORMATS, Mbox, read_from_line
from mailpost.carrying.mbox_target import MboxTarget, quoted
from mailpost.carrying.source import SourceError
from mailpost.store.contents import Shown

DATE = b"Thu Jan  1 00:00:05 1970"
LINES = st.sampled_from(
    [
        b"",
        b"From ",
        b"From a Thu Jan  1 00:00:05 1970",
        b">From b 0:00",
        b">>From ",
        b"From",
        b"text",
        b"Content-Length: 3",
        b"x\r",
        b"\xff",
    ]
)
LETTERS = st.lists(
    st.lists(LINES, max_size=6).map(lambda lines: b"".join(line + b"\r\n" for line in lines)),
    max_size=4,
)


def mbox(tmp_path, octets, quoting="mboxrd"):
    path = tmp_path / "mbox"
    path.write_bytes(octets)
    return read(path, quoting)


def read(path, quoting="mboxrd"):
    source = Mbox(path, quoting)
    try:
        return [(letter, b"".join(letter.pieces())) for letter in source.letters()]
    finally:
        source.close()


def octets(letters):
    return [text for _, text in letters]


def write(path, letters, *, finish=True):
    target = MboxTarget(path)
    for number, text in enumerate(letters, 1):
        shown = Shown(number, len(text), f"uidl-{number}", 1_000 * number, "bob@example.net")
        if not target.has(shown):
            target.put(shown, lambda text=text: iter([text[:7], text[7:]]))
    if finish:
        target.finish()
    else:
        target._file.close()
        target._list.close()


def test_letters_and_what_is_told_of_them(tmp_path):
    """From_ lines give the sender and the date; the blank line behind a letter is not the letter's."""
    letters = mbox(
        tmp_path,
        b"From bob@example.net " + DATE + b"\nSubject: a\n\nFrom here on\n>From there\n\n\n"
        b"From MAILER-DAEMON Thu, 1 Jan 1970 01:00:00 +0100\n\nno end",
    )
    assert octets(letters) == [
        b"Subject: a\r\n\r\nFrom here on\r\nFrom there\r\n\r\n",
        b"\r\nno end",
    ]
    first, second = (letter for letter, _ in letters)
    assert (first.sender, first.arrived) == ("bob@example.net", 5)
    assert (second.sender, second.arrived) == (None, 0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'From "a b"@example.net ' + DATE, ('"a b"@example.net', 5)),
        (b"From - " + DATE + b"\r\n", (None, 5)),
        (b"From  " + DATE, (None, 5)),
        (b"From bob yesterday at 1:00", ("bob", None)),
        (b"From bob", (None, None)),
    ],
)
def test_from_lines(line, told):
    """Whatever is there is told."""
    assert read_from_line(line) == told


def test_quoting(tmp_path):
    """How a line was quoted depends on the format."""
    text = b"From a " + DATE + b"\n\n>From x\n>>From y\n> From z\n"
    assert octets(mbox(tmp_path, text)) == [b"\r\nFrom x\r\n>From y\r\n> From z\r\n"]
    assert octets(mbox(tmp_path, text, "mboxo")) == [b"\r\nFrom x\r\n>>From y\r\n> From z\r\n"]
    assert octets(mbox(tmp_path, text, "mboxcl2")) == [
        text[len(b"From a \n" + DATE) :].replace(b"\n", b"\r\n")
    ]


def test_content_length(tmp_path):
    """It is believed in one format, and where a letter ends there."""
    separator = b"From a " + DATE + b"\n"
    inner = b"\n" + separator + b"\nx\n"
    right = separator + b"Content-Length: %d\n\n%s\n" % (len(inner), inner) + separator + b"\ny\n"
    assert len(mbox(tmp_path, right)) == 3
    (_, first), (_, second) = mbox(tmp_path, right, "mboxcl2")
    assert first.endswith(inner.replace(b"\n", b"\r\n"))
    assert second == b"\r\ny\r\n"
    for wrong in (b"1", b"99999"):
        text = separator + b"Content-Length: " + wrong + b"\n\nz\n\n" + separator + b"\ny\n"
        assert len(mbox(tmp_path, text, "mboxcl2")) == 2
    at_the_end = separator + b"content-length: 2\n\nz\n"
    assert octets(mbox(tmp_path, at_the_end, "mboxcl2")) == [b"content-length: 2\r\n\r\nz\r\n"]


def test_line_ends_of_windows(tmp_path):
    """They are those of the wire already."""
    text = b"From a " + DATE + b"\r\nS: 1\r\n\r\nx\r\n\r\nFrom a " + DATE + b"\r\n\r\ny\r\n"
    assert octets(mbox(tmp_path, text)) == [b"S: 1\r\n\r\nx\r\n", b"\r\ny\r\n"]


def test_no_mbox(tmp_path):
    """It is said what was expected; an empty file is an empty mbox."""
    with pytest.raises(SourceError, match="begins with a From line"):
        mbox(tmp_path, b"Subject: x\n\n")
    assert mbox(tmp_path, b"") == []


def test_a_file_that_is_being_written_to(tmp_path, monkeypatch):
    """What is not yet there as a whole is waited for, and not for ever; the file is left unlocked."""
    path = tmp_path / "mbox"
    path.write_bytes(b"From a " + DATE + b"\n\nx\n")
    writer = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'r+b')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print(flush=True)\ninput()\n"
    )
    holds = subprocess.Popen(
        [sys.executable, "-c", writer, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holds:
        holds.stdout.readline()
        monkeypatch.setattr(mbox_module, "TRIES", 1)
        with pytest.raises(SourceError, match="being written to"):
            Mbox(path)
        holds.stdin.write(b"\n")
    source = Mbox(path)
    done = subprocess.run(
        [sys.executable, "-c", writer, str(path)], input=b"\n", timeout=20, check=True
    )
    assert done.returncode == 0
    source.close()


def test_keys(tmp_path):
    """Equal letters are told apart; what a reader of the file notes in it makes no other letter of one."""
    separator = b"From a " + DATE + b"\n"
    letter = separator + b"Subject: x\n\nx\n\n"
    read_one = separator + b"Subject: x\nStatus: RO\nX-Keywords: a\n  b\n\nx\n\n"
    other = separator + b"Subject: x\n\nStatus: RO\n\n"
    before = [found.key for found, _ in mbox(tmp_path, letter + letter + other)]
    assert len(set(before)) == 3
    assert [found.key for found, _ in mbox(tmp_path, letter + read_one + other)] == before
    assert [found.key for found, _ in mbox(tmp_path, letter + other)] == [before[0], before[2]]


def test_a_large_letter(tmp_path):
    """It is read through a temporary file, and lines of any length are one line."""
    text = b"From a " + DATE + b"\n\n" + b"x" * 200_000 + b"From y 1:00\n" + b"line\n" * 300_000
    (found,) = octets(mbox(tmp_path, text))
    assert found == text.partition(b"\n")[2].replace(b"\n", b"\r\n")


@settings(max_examples=60, deadline=None)
@given(LETTERS)
@example([b"\r\n\r\n", b"", b"From \r\n", b"x\r\r\nFrom a 1:00\r\n"])
def test_written_and_read_back(letters):
    """Octets, dates, senders, unique-ids: all as they were, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mbox"
        write(path, letters)
        found = read(path)
    assert octets(found) == letters
    assert [letter.uidl for letter, _ in found] == [f"uidl-{n + 1}" for n in range(len(letters))]
    assert [letter.arrived for letter, _ in found] == [1_000 * (n + 1) for n in range(len(letters))]
    assert {letter.sender for letter, _ in found} <= {"bob@example.net"}


@given(
    st.lists(st.sampled_from([b"F", b"ro", b"m", b" ", b">", b"\n", b"\nFrom ", b"x"]), max_size=12)
)
def test_quoting_wherever_it_is_cut(pieces):
    """Each line that could be taken for a From_ line has one more ``>``."""
    whole = b"".join(pieces)
    lines = [
        b">" + line if line.lstrip(b">").startswith(b"From ") else line
        for line in whole.split(b"\n")
    ]
    assert b"".join(quoted(pieces)) == b"\n".join(lines)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES | st.binary(max_size=8), max_size=12), st.sampled_from(FORMATS))
@example([b"", b"From x 1:00", b"Content-Length: 0", b"", b"", b"From y 2:00"], "mboxcl2")
@example([b"x" * 70_000 + b" 1:00"], "mboxrd")
def test_whatever_stands_there(lines, quoting):
    """It is read to its end, and no line is lost: each is a letter's, or stands between letters."""
    text = b"From a " + DATE + b"\n" + b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mbox"
        path.write_bytes(text)
        found = read(path, quoting)
    assert found
    for word in {line for line in lines if line.startswith(b"text")}:
        assert text.count(word) == sum(octets.count(word) for _, octets in found)


def test_what_was_broken_off_goes_on(tmp_path):
    """The letter that was being written is written anew, and none comes twice."""
    path = tmp_path / "mbox"
    letters = [b"S: %d\r\n\r\nx\r\n" % n for n in range(5)]
    write(path, letters[:3], finish=False)
    whole = path.read_bytes()
    for cut in (len(whole), len(whole) - 1, len(whole) - 20):
        path.write_bytes(whole[:cut])
        write(path, letters[:3], finish=False)
        assert path.read_bytes() == whole
    with (tmp_path / "mbox.uidl").open("a") as noted:
        noted.write("4000 17")
    write(path, letters)
    assert octets(read(path)) == letters
    write(path, [*letters, b"S: new\r\n"])
    assert octets(read(path)) == [*letters, b"S: new\r\n"]


def test_a_file_that_is_somebody_elses(tmp_path):
    """It is not written to; nor is one that has changed since."""
    path = tmp_path / "mbox"
    path.write_bytes(b"mine")
    with pytest.raises(SourceError, match="exists already"):
        MboxTarget(path)
    path.unlink()
    write(path, [b"x\r\n"])
    with path.open("ab") as file:
        file.write(b"From a " + DATE + b"\n\nadded\n")
    kept = path.read_bytes()
    with pytest.raises(SourceError, match="has changed"):
        MboxTarget(path)
    assert path.read_bytes() == kept
    assert [letter.uidl for letter, _ in read(path)] == ["uidl-1", None]
    (tmp_path / "mbox.uidl").write_text("mine")
    with pytest.raises(SourceError, match="move it away"):
        read(path)
