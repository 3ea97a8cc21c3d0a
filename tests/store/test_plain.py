"""The form of a letter for clients without UTF8, and its size."""

from __future__ import annotations

import errno
import os

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from mailpost.envelope import Copy, Envelope, Report, Traits
from mailpost.interfaces import IDowngrading
from mailpost.store import plain, schema
from mailpost.store.delivery import ROW
from mailpost.store.pieces import PIECE
from mailpost.wire.downgrade import downgraded

from .conftest import POSTMARK
from .test_delivery import parcel_files

HEADER = "From: Jörg <jörg@example.net>\r\nSubject: Grüße\r\n\r\n".encode()
UTF8 = Traits(eight_bit=True, utf8=True)


def plainly(office, account):
    """Every letter, as a client without UTF8 gets it; LIST and RETR agree."""
    snapshot = office.open(account)
    snapshot.downgrade()
    try:
        letters = [office.fetch(snapshot, index) for index in range(len(snapshot.sizes))]
        assert list(snapshot.sizes) == [len(letter) for letter in letters]
        office.fetch(snapshot, 0)
        at_hand = snapshot.at_hand(range(1, len(letters)))
        assert at_hand == letters[1 : 1 + len(at_hand)]
        return letters
    finally:
        snapshot.close()


def test_interface(office, alice):
    """The snapshot says that it can."""
    assert verifyObject(IDowngrading, office.open(alice))


@pytest.mark.parametrize("size", [10, ROW, ROW + 1, 2 * PIECE + 1])
@pytest.mark.parametrize("end", [b"\r\n", b""])
def test_two_forms(office, alice, size, end):
    """In rows and parcels, and reopened: as it came with UTF8, in US-ASCII without."""
    body = HEADER + b"\xc3\xa9" * (size // 2) + end
    office.deliver(b"before\r\n", alice)
    office.deliver(body, alice, traits=Traits(utf8=True, final_crlf=bool(end)))
    office.deliver(b"behind\r\n", alice)
    office.restart()
    before, behind = POSTMARK + b"before\r\n", POSTMARK + b"behind\r\n"
    whole = body + (b"" if end else b"\r\n")
    assert office.letters(alice) == [before, POSTMARK + whole, behind]
    assert plainly(office, alice) == [before, POSTMARK + downgraded(whole), behind]


@pytest.mark.parametrize("size", [10, ROW, 2 * PIECE, 5 * PIECE - 300])
def test_the_header_of_a_part(office, alice, size):
    """UTF-8 in a part's header alone: two forms, in rows and in parcels, wherever the part begins."""
    part = '--b\r\nContent-Type: x/y; name="Größe.pdf"\r\n\r\nx\r\n--b--\r\n'.encode()
    text = b"--b\r\nContent-Type: text/plain\r\n\r\n\xc3\xa9" + b"x" * size + b"\r\n"
    body = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + text + part
    office.deliver(body, alice, traits=Traits(eight_bit=True))
    office.deliver(body.replace("ö".encode(), b"o"), alice, traits=Traits(eight_bit=True))
    other = body.replace("ö".encode(), b"o").replace(b"\xc3\x9f", b"s")
    office.deliver(other, alice, traits=Traits(eight_bit=True))
    office.restart()
    plain = plainly(office, alice)
    assert plain[0] == POSTMARK + downgraded(body) != POSTMARK + body
    assert plain[2] == POSTMARK + other
    assert office.letters(alice)[0] == POSTMARK + body
    assert office.rows("SELECT count(plain) FROM entry") == [(2,)]


@pytest.mark.parametrize("size", [10, ROW + 1])
def test_sizes_by_older_rules(office, alice, monkeypatch, size):
    """What was measured before parts had two forms goes out as it came, and is counted so."""
    body = HEADER + b"x" * size + b"\r\n"
    office.deliver(body, alice, traits=UTF8)
    office.store.close()
    step = next(n for n, each in enumerate(schema.STEPS) if "plain = NULL" in each[0])
    db = apsw.Connection(str(office.path))
    db.execute(f"UPDATE entry SET plain = 7; PRAGMA user_version={step}").fetchall()
    db.close()
    monkeypatch.setattr(schema, "STEPS", schema.STEPS[: step + 1])
    monkeypatch.setattr(schema, "VERSION", step + 1)
    office.open_store()
    office.deliver(body, alice, traits=UTF8)
    assert plainly(office, alice) == [POSTMARK + body, POSTMARK + downgraded(body)]


def test_a_report_has_two_forms(office, alice, bob):
    """A report whose own header has UTF-8, kept beside a letter that has none."""
    report = Report(Envelope("r", None), (Copy(alice.maildrop, POSTMARK),), HEADER, UTF8)
    draft = office.draft(b"tea\r\n")
    copies = [Copy(bob.maildrop, POSTMARK)]
    draft.commit(Envelope("t", None), copies, Traits(), atomic=True, report=report)
    office.turn()
    assert office.letters(alice) == [POSTMARK + HEADER]
    assert plainly(office, alice) == [POSTMARK + downgraded(HEADER)]
    assert plainly(office, bob) == [POSTMARK + b"tea\r\n"]


@pytest.mark.parametrize("size", [10, ROW + 1, 3 * PIECE])
def test_without_smtputf8(office, alice, size):
    """UTF-8 in a header counts however it came; a body alone needs no other form."""
    body = HEADER + b"x" * size + b"\r\n"
    plain_header = b"Subject: x\r\n\r\n\xc3\xa9" + b"x" * size + b"\r\n"
    office.deliver(body, alice, traits=Traits(eight_bit=True))
    office.deliver(plain_header, alice, traits=Traits(eight_bit=True))
    assert plainly(office, alice) == [POSTMARK + downgraded(body), POSTMARK + plain_header]
    assert office.rows("SELECT count(plain) FROM entry") == [(1,)]


def test_no_more_than_can_change_is_read(office, alice, monkeypatch):
    """A large body without parts costs one look at its beginning, UTF-8 in texts no hop to a thread."""
    reads = []
    read = os.read
    monkeypatch.setattr(os, "read", lambda *args: reads.append(args) or read(*args))
    office.deliver(HEADER + b"x" * (5 * PIECE) + b"\r\n", alice, traits=Traits(eight_bit=True))
    assert len([size for _, size in reads if size == PIECE]) == 1
    hops = office.hops
    office.deliver(b"Subject: x\r\n\r\n\xc3\xa9\r\n", alice, traits=Traits(eight_bit=True))
    parts = (
        b"Content-Type: multipart/a; boundary=b\r\n\r\n--b\r\nContent-Type: c/d\r\n\r\n\xc3\xa9\r\n"
    )
    office.deliver(parts, alice, traits=Traits(eight_bit=True))
    assert office.hops == hops


def test_a_long_field_in_pieces(office, alice):
    """Where a piece of a parcel lies within one field, the letter does not end there."""
    body = b"Subject: " + b"x\r\n " * PIECE + HEADER + b"text\r\n"
    office.deliver(body, alice, traits=UTF8)
    assert plainly(office, alice) == [POSTMARK + downgraded(body)]


def test_each_copy_has_its_postmark(office, alice, bob):
    """A postmark with UTF-8 is downgraded as well, and counted; a body alone keeps its octets."""
    marks = ["Delivered-To: jörg@x\r\n".encode(), b"Delivered-To: bob@x\r\n"]
    copies = [Copy(alice.maildrop, marks[0]), Copy(bob.maildrop, marks[1])]
    body = b" not: a fold\r\nTo: x\r\n\r\n\xc3\xa9\r\n"
    office.draft(body).commit(Envelope("t", None), copies, UTF8, atomic=True)
    office.turn()
    assert plainly(office, alice) == [downgraded(marks[0]) + body]
    assert plainly(office, bob) == [marks[1] + body]
    assert office.rows("SELECT count(plain) FROM entry") == [(1,)]


def test_what_was_let_go_of(office, alice):
    """Gaps in a maildrop and reading ahead do not mix the forms up."""
    bodies = [HEADER + b"%d\r\n" % n if n % 3 else b"X: %d\r\n\r\n" % n for n in range(12)]
    for body in bodies:
        office.deliver(body, alice, traits=Traits(utf8=not body.isascii()))
    office.let_go(alice, 1, 5, 6)
    left = [body for n, body in enumerate(bodies) if n not in {1, 5, 6}]
    assert plainly(office, alice) == [POSTMARK + downgraded(body) for body in left]


def test_letters_of_an_older_store(office, alice, monkeypatch):
    """What was kept before there were such sizes goes out as it came, and is counted so."""
    office.deliver(HEADER, alice, traits=UTF8)
    office.store.close()
    db = apsw.Connection(str(office.path))
    db.execute("DROP INDEX entry_plain; ALTER TABLE entry DROP COLUMN plain").fetchall()
    step = next(n for n, each in enumerate(schema.STEPS) if any("entry_plain" in s for s in each))
    db.execute(f"PRAGMA user_version={step}").fetchall()
    db.close()
    # What came after that step is there already.
    monkeypatch.setattr(schema, "STEPS", schema.STEPS[: step + 1])
    monkeypatch.setattr(schema, "VERSION", step + 1)
    office.open_store()
    office.deliver(HEADER, alice, traits=UTF8)
    assert plainly(office, alice) == [POSTMARK + HEADER, POSTMARK + downgraded(HEADER)]


@pytest.mark.parametrize("size", [10, ROW + 1])
def test_a_letter_that_cannot_be_measured(office, alice, monkeypatch, size):
    """Nothing is kept of it, and its sender shall come again."""

    def fail(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(plain, "of_body", fail)
    monkeypatch.setattr(plain, "of_parcel", fail)
    outcomes = office.deliver(HEADER + b"x" * size + b"\r\n", alice, traits=UTF8)
    assert [outcome.reply.code for outcome in outcomes] == [451]
    assert office.letters(alice) == []
    assert parcel_files(office) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=80), st.binary(max_size=80), st.sampled_from([0, 2]))
def test_the_size_is_the_length(postmark, body, extra):
    """Whatever the octets, what was measured is what is given."""
    size = plain.of_body(body, extra).below(postmark)
    end = b"\r\n" if extra else b""
    given_form = downgraded(postmark) + downgraded(body + end)
    assert len(given_form) == size or (size is None and given_form == postmark + body + end)
