"""A Maildir as a source."""

from __future__ import annotations

import contextlib
import os

import pytest

from mailpost.carrying.looking import source_at
from mailpost.carrying.maildir import Maildir
from mailpost.carrying.source import SourceError
from mailpost.carrying.uidlists import COURIER, DOVECOT


@pytest.fixture
def maildir(tmp_path):
    """A Maildir of Dovecot's, with a folder."""
    place = tmp_path / "Maildir"
    for folder in (place, place / ".Sent", place / ".not-one"):
        folder.mkdir()
    for folder in (place, place / ".Sent"):
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir()
    (place / "cur" / "1700000003.c:2,S").write_bytes(b"Subject: c\n\n")
    (place / "cur" / "1700000001.a:2,ST").write_bytes(b"Subject: a\n\n")
    (place / "new" / "1700000009.n").write_bytes(b"Subject: n\n\n")
    (place / "cur" / "1700000002.b:2,").write_bytes(b"Subject: b\n\n")
    (place / "tmp" / "1700000000.t").write_bytes(b"not delivered yet")
    (place / ".Sent" / "cur" / "1600000000.s:2,S").write_bytes(b"Subject: s\n\n")
    (place / DOVECOT).write_text(
        "3 V255 N9\n5 :1700000003.c\n7 Pold-b :1700000002.b:2,S\n8 :gone\n"
    )
    return place


def names(source):
    return [letter.name.rpartition("/")[2] for letter in source.letters()]


def read(letter):
    return b"".join(letter.pieces())


def test_the_inbox(maildir):
    """Letters in the order of their UIDs, then by time; with date, unique-id and CRLF."""
    source = Maildir(maildir)
    assert (source.count, source.octets) == (4, 48)
    letters = list(source.letters())
    assert [letter.uidl for letter in letters] == ["00000005000000ff", "old-b", None, None]
    assert [letter.arrived for letter in letters] == [
        1700000003,
        1700000002,
        1700000001,
        1700000009,
    ]
    assert list(map(read, letters)) == [b"Subject: %c\r\n\r\n" % c for c in b"cban"]


def test_folders(maildir):
    """They come when asked for, without unique-ids, which POP3 has never shown of them."""
    letters = list(Maildir(maildir, folders=True).letters())
    assert len(letters) == 5
    assert letters[-1].name.endswith(".Sent/cur/1600000000.s:2,S")
    assert letters[-1].uidl is None


def test_couriers_unique_ids(maildir):
    """They count where Dovecot has none."""
    (maildir / COURIER).write_text("/2 9 77\n1700000001.a:2, 14 4:77\n1700000003.c 14 5:77\n")
    assert [letter.uidl for letter in Maildir(maildir).letters()] == [
        "00000005000000ff",
        "old-b",
        "UID4-77",
        None,
    ]


def test_flags_and_places_do_not_matter(maildir):
    """A letter that was read, or moved to a folder, between two runs is the same letter."""
    before = {letter.key for letter in Maildir(maildir, folders=True).letters()}
    (maildir / "new" / "1700000009.n").rename(maildir / "cur" / "1700000009.n:2,S")
    (maildir / "cur" / "1700000003.c:2,S").rename(maildir / ".Sent" / "cur" / "1700000003.c:2,S")
    assert {letter.key for letter in Maildir(maildir, folders=True).letters()} == before


def test_a_letter_that_gets_other_flags_meanwhile(maildir):
    """It is found again; one that was deleted is told."""
    letters = {letter.name[-1]: letter for letter in Maildir(maildir).letters()}
    (maildir / "new" / "1700000009.n").rename(maildir / "cur" / "1700000009.n:2,S")
    assert read(letters["n"]) == b"Subject: n\r\n\r\n"
    (maildir / "cur" / "1700000009.n:2,S").unlink()
    with pytest.raises(FileNotFoundError):
        read(letters["n"])


def test_flags_that_change_while_the_list_is_made(maildir, monkeypatch):
    """The list is made anew, and has every letter."""
    scandir, trouble = os.scandir, iter(["FS", "FRS"])

    def renaming(place):
        if not str(place).endswith("cur") or (flags := next(trouble, None)) is None:
            return scandir(place)
        listed = list(scandir(place))
        (old,) = place.glob("1700000003.c*")
        old.rename(place / f"1700000003.c:2,{flags}")
        return contextlib.nullcontext(listed)

    monkeypatch.setattr(os, "scandir", renaming)
    assert len({letter.key for letter in Maildir(maildir).letters()}) == 4


def test_a_name_without_a_time(maildir):
    """Its file's own date will do."""
    (maildir / "cur" / "odd").write_bytes(b"x")
    (odd,) = [letter for letter in Maildir(maildir).letters() if letter.name.endswith("odd")]
    assert odd.arrived is None
    assert odd.otherwise > 1_700_000_000


def test_parts_that_are_links(maildir, tmp_path):
    """They are refused: whose letters would they be?"""
    (maildir / "new" / "1700000009.n").unlink()
    (maildir / "new").rmdir()
    (maildir / "new").symlink_to(tmp_path)
    with pytest.raises(SourceError, match="is a link"):
        Maildir(maildir)


def test_it_is_found_by_looking(maildir, tmp_path):
    """A folder with cur and new; one above it is told where it is."""
    options = {"uidl_format": "%u", "quoting": "mboxrd", "folders": False}
    found = source_at(maildir, **options)
    assert isinstance(found, Maildir)
    assert next(found.letters()).uidl == "5"
    with pytest.raises(SourceError, match=r"there is a Maildir below: .*/Maildir$"):
        source_at(tmp_path, **options)
