"""Bringing letters into the store: what is true where it fails."""

from __future__ import annotations

import pytest

from mailpost.store.delivery import ROW
from mailpost.store.entering import Fate
from mailpost.store.errors import DiskFull, NoSuchName

LARGE = b"x" * ROW + b"\r\n"


def take(office, octets=LARGE, key=b"k", **more):
    return office.store.bringing.take([octets], key=key, arrived=5, **more)


def parcels(office):
    return list(office.path.with_name("mail.db.parcels").iterdir())


def test_a_maildrop_that_was_removed(office, alice):
    """It is told, and nothing of the letters is left."""
    letters = [take(office), take(office, b"small\r\n", b"s")]
    assert len(parcels(office)) == 1
    office.accounts.remove("alice")
    with pytest.raises(NoSuchName, match="removed"):
        office.store.bringing.keep(alice.maildrop, letters)
    assert parcels(office) == []
    assert office.rows("SELECT count(*) FROM letter") == [(0,)]


def test_a_source_that_fails_within_a_large_letter(office):
    """Half a parcel is not left behind."""

    def pieces():
        yield LARGE
        raise OSError("the disk is broken")

    with pytest.raises(OSError, match="broken"):
        office.store.bringing.take(pieces(), key=b"k", arrived=5)
    assert parcels(office) == []


def test_a_copy_of_a_parcel(office):
    """It is taken where it is what it was; else nothing is left of it, nor where the disk is full."""
    bringing = office.store.bringing
    digest = take(office).digest
    (first,) = parcels(office)
    assert bringing.copy([LARGE], digest) is not None
    assert bringing.copy([LARGE[:-1]], digest) is None
    office.store.space.free = lambda: -1
    office.store.space.take(1 << 60)
    with pytest.raises(DiskFull):
        bringing.copy([LARGE], digest)
    assert len(parcels(office)) == 2
    assert first in parcels(office)


def test_the_holder_of_a_unique_id(office, alice):
    """Same octets, whatever they lie in, are the same letter; others are another one."""
    bringing = office.store.bringing
    for octets in (b"no end", LARGE):
        bringing.keep(alice.maildrop, [take(office, octets, octets[:3], uidl=octets[:3].decode())])

    def fate(octets, uidl):
        return bringing.keep(alice.maildrop, [take(office, octets, octets[-9:], uidl=uidl)])[0]

    assert fate(b"no end\r\n", "no ") is Fate.THERE
    assert fate(b"no ENDS", "no ") is Fate.NEW_UIDL
    assert fate(LARGE[:-5] + b"yyy\r\n", "xxx") is Fate.NEW_UIDL
    assert fate(b"y" * len(LARGE), "xxx") is Fate.NEW_UIDL
    assert office.letters(alice)[:2] == [b"no end\r\n", LARGE]
    assert len(office.letters(alice)) == 5
