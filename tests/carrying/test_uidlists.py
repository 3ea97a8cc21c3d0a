"""The lists of unique-ids that Dovecot and Courier keep beside a Maildir."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.carrying.source import SourceError
from mailpost.carrying.uidlists import (
    COURIER,
    DOVECOT,
    Listed,
    UidlFormat,
    base_of,
    read_courier,
    read_dovecot,
)

LETTER = Listed(0x1A, "1700000001.M1P1.host,S=12")


def dovecot(tmp_path, text):
    (tmp_path / DOVECOT).write_bytes(text)
    return read_dovecot(tmp_path)


def courier(tmp_path, text):
    (tmp_path / COURIER).write_bytes(text)
    return read_courier(tmp_path)


def test_dovecots_list(tmp_path):
    """UIDs, saved unique-ids and GUIDs, by the file's name without its flags; other fields do not matter."""
    found = dovecot(
        tmp_path,
        b"3 V1795522323 N25022 G3085f01b7f11094c501100008c4a11c1\n"
        b"1 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"
        b"17 W2481 PUID7-99 Gabc O3 :1276533073.M242911P3632.kurkku:2,F\n"
        b"18 :n\xe4me\n",
    )
    assert (found.validity, found.next) == (1795522323, 25022)
    assert list(found.letters.values()) == [
        Listed(1, "1276528487.M364837P9451.kurkku,S=1355,W=1394"),
        Listed(17, "1276533073.M242911P3632.kurkku", "UID7-99", "abc"),
        Listed(18, "n\udce4me"),
    ]


def test_a_list_of_version_1(tmp_path):
    """Dovecot before 1.1 wrote one like Courier's IMAP server."""
    found = dovecot(tmp_path, b"1 1275660208 3\n1 first:2,S\n2 second\n")
    assert found.validity == 1275660208
    assert list(found.letters) == ["first", "second"]


def test_no_list(tmp_path):
    """A Maildir need not have one."""
    assert read_dovecot(tmp_path) is None
    assert read_courier(tmp_path) == {}


@pytest.mark.parametrize(
    "text", [b"", b"2 V1 N2\n", b"3 N2\n", b"3 V1 Nx\n", b"3 V1 N2\nx :name\n", b"3 V1 N2\n1 W3\n"]
)
def test_a_list_that_is_damaged(tmp_path, text):
    """It is an error: to go on without it would have every client fetch all again."""
    with pytest.raises(SourceError, match="expected"):
        dovecot(tmp_path, text)


@pytest.mark.parametrize(
    ("how", "uidl"),
    [
        ("%08Xu%08Xv", "0000001a6b057f13"),
        ("%v.%u", "1795522323.26"),
        ("%08Xv%08Xu", "6b057f130000001a"),
        ("%u", "26"),
        ("UID%u-%v", "UID26-1795522323"),
        ("%f", "1700000001.M1P1.host,S=12"),
        ("%g", "1700000001.M1P1.host,S=12"),
        ("%Mf", hashlib.md5(LETTER.base.encode()).hexdigest()),
        ("%%%u%%u", "%26%u"),
        ("%XUv", "6B057F13"),
        ("%4f", "1700"),
    ],
)
def test_formats(how, uidl):
    """As Dovecot's own settings for other servers' unique-ids have them."""
    assert UidlFormat(how)(LETTER, 1795522323) == uidl


def test_a_guid_of_its_own():
    """Where a letter has one it is that, and not the file's name."""
    assert UidlFormat("%g")(Listed(1, "name", None, "abc"), 1) == "abc"


@pytest.mark.parametrize("how", ["%m", "%08Xz", "%", "%u%"])
def test_formats_that_are_not_known(how):
    """They are told, and so is what there is."""
    with pytest.raises(SourceError, match=r"none of %u .*%g"):
        UidlFormat(how)


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_the_default_format_can_be_read_back(uid, validity):
    """Sixteen digits: first the UID, then the UIDVALIDITY."""
    uidl = UidlFormat()(Listed(uid, "name"), validity)
    assert (int(uidl[:8], 16), int(uidl[8:], 16), len(uidl)) == (uid, validity, 16)


def test_couriers_list(tmp_path):
    """Version 3, and 2, and 1; where a letter has no number its name is its unique-id."""
    expected = {"1700000001.M1P1.host": "UID5-1795522323", "1700000002.a": "UID6"}
    for text in (
        b"/3 7 1795522323\n1700000001.M1P1.host:2,S 12 5:1795522323:1\n1700000002.a 9 6:0:0\n",
        b"/2 7 1795522323\n1700000001.M1P1.host 12 5:1795522323\n1700000002.a:2, 9 6:0\n",
    ):
        assert courier(tmp_path, text) == expected
    assert courier(tmp_path, b"/1 7\na b:2,S 12 5\nc'+\xe4 9 0\n") == {
        "a b": "UID5",
        "c'+\udce4": "c+27+2B+E4",
    }
    assert courier(tmp_path, b"17.M1:2,S 12\n") == {"17.M1": "17.M1"}
    assert courier(tmp_path, b"") == {}


@pytest.mark.parametrize("text", [b"/4 1 2\n", b"/2 1 2\nname\n", b"name\n"])
def test_a_list_of_couriers_that_is_damaged(tmp_path, text):
    """It is an error, as Dovecot's is."""
    with pytest.raises(SourceError, match="expected"):
        courier(tmp_path, text)


def test_a_files_base():
    """The flags do not belong to it."""
    assert base_of("17.M1.host,S=3:2,FS") == base_of("17.M1.host,S=3") == "17.M1.host,S=3"
