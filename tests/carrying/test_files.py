"""Letters as files: Maildir and ``.eml``, written and read back."""

from __future__ import annotations

import pytest

from mailpost.carrying.eml import Eml
from mailpost.carrying.files import EmlTarget, MaildirTarget
from mailpost.carrying.looking import source_at
from mailpost.carrying.maildir import Maildir
from mailpost.carrying.source import SourceError
from mailpost.carrying.uidlists import DOVECOT, read_dovecot
from mailpost.store.contents import Shown

LETTERS = [
    b"Subject: a\r\n\r\nx\r\n",
    b"",
    b"Subject: a\r\n\r\nx\r\n",
    b"bare\r\r\nCR\r\n",
    bytes(range(0x80, 0x100)) * 4000 + b"\r\n",
]
UIDLS = ["1", "[IMAP-UID:7]/x", "3", "P", "~" * 70]
OPTIONS = {"uidl_format": "%u", "quoting": "mboxrd", "folders": False}


def shown(number):
    return Shown(number + 1, len(LETTERS[number]), UIDLS[number], 1_700_000_000 + number, None)


def write(target, *numbers):
    for number in numbers or range(len(LETTERS)):
        letter = shown(number)
        if not target.has(letter):
            text = LETTERS[number]
            target.put(letter, lambda text=text: iter([text[:5], text[5:]]))
    return target


def told(source):
    return [(letter.uidl, letter.arrived, b"".join(letter.pieces())) for letter in source.letters()]


EXPECTED = [(UIDLS[n], 1_700_000_000 + n, LETTERS[n]) for n in range(len(LETTERS))]


@pytest.mark.parametrize("kind", [MaildirTarget, EmlTarget])
def test_written_and_read_back(tmp_path, kind):
    """Octets, dates and unique-ids, in their order; equal letters are two."""
    write(kind(tmp_path / "letters")).finish()
    source = source_at(tmp_path / "letters", **OPTIONS)
    assert told(source) == EXPECTED
    assert len({letter.key for letter in source.letters()}) == len(LETTERS)
    assert source.count == len(LETTERS)


@pytest.mark.parametrize("kind", [MaildirTarget, EmlTarget])
def test_what_was_broken_off_goes_on(tmp_path, kind):
    """Files that are there are not written again, half of one counts for nothing, and lists are whole."""
    place = tmp_path / "letters"
    write(kind(place), 0, 1)
    half = place / ("tmp" if kind is MaildirTarget else "") / ".half"
    half.write_bytes(b"half a letter")
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    if kind is EmlTarget:
        with (place / "uidl").open("a") as noted:
            noted.write("1700000002 00000003-")
    write(kind(place)).finish()
    assert told(source_at(place, **OPTIONS)) == EXPECTED
    for path, changed in before.items():
        assert path.name == "uidl" or path.stat().st_mtime_ns == changed


def test_a_maildir_is_added_to(tmp_path):
    """Dovecot's list keeps what it has; a letter that was read since is known."""
    write(MaildirTarget(tmp_path), 0, 1).finish()
    first = read_dovecot(tmp_path)
    (tmp_path / "new" / "1600000000.other").write_bytes(b"delivered since\n")
    with (tmp_path / DOVECOT).open("a") as file:
        file.write("9 W16 :1600000000.other\n")
    text = (tmp_path / DOVECOT).read_text().replace("N3", "N10")
    (tmp_path / DOVECOT).write_text(text)
    (read,) = (tmp_path / "new").glob("1700000001.*")
    read.rename(tmp_path / "cur" / f"{read.name}:2,S")
    write(MaildirTarget(tmp_path)).finish()
    then = read_dovecot(tmp_path)
    assert (then.validity, then.next) == (first.validity, 13)
    assert dict(first.letters).items() <= dict(then.letters).items()
    assert [uidl for uidl, _, _ in told(Maildir(tmp_path))] == [
        *UIDLS[:2],
        f"{9:08x}{then.validity:08x}",
        *UIDLS[2:],
    ]


def test_one_file(tmp_path):
    """A letter by itself has the unique-id that is noted in its folder, or none."""
    write(EmlTarget(tmp_path)).finish()
    path = min(tmp_path.glob("*.eml"))
    assert told(source_at(path, **OPTIONS)) == EXPECTED[:1]
    (tmp_path / "uidl").unlink()
    (letter,) = source_at(path, **OPTIONS).letters()
    assert (letter.uidl, letter.arrived, letter.otherwise) == (None, None, 1_700_000_000)


def test_copies_of_one_file(tmp_path):
    """The first of equal files is the same letter in every run, whatever its name."""
    for name in ("a.eml", "b.EML"):
        (tmp_path / name).write_bytes(b"same\n")
    (tmp_path / "c.eml").symlink_to("/etc/passwd")
    (tmp_path / "notes.txt").write_bytes(b"no letter")
    first, second, link = source_at(tmp_path, **OPTIONS).letters()
    (alone,) = Eml([tmp_path / "b.EML"]).letters()
    assert first.key == alone.key != second.key
    with pytest.raises(OSError, match="it is a link"):
        list(link.pieces())


def test_a_folder_of_nothing(tmp_path):
    """It is said what was expected."""
    with pytest.raises(SourceError, match="neither a Maildir nor"):
        source_at(tmp_path, **OPTIONS)
    (tmp_path / "uidl").write_bytes(b"\xff")
    with pytest.raises(SourceError, match="list of unique-ids"):
        EmlTarget(tmp_path)
