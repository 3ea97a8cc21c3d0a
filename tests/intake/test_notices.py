"""Letters by which the office tells its own users something."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import default

from mailpost.intake import Notices
from mailpost.store.warnings import Filling


def test_a_maildrop_that_is_nearly_full() -> None:
    """It says how full it is and what to do; nobody answers it, and it has room however full it is."""
    notices = Notices("mx.example.org", "example.org")
    told = notices.filling(Filling("alice", 7, 430 << 20, 500 << 20, 80, 0), 1_800_000_000)
    (copy,) = told.copies
    assert (copy.maildrop, copy.always) == (7, True)
    assert copy.postmark == b"Return-Path: <>\r\nDelivered-To: alice@example.org\r\n"
    assert told.envelope.reverse_path is None
    letter = BytesParser(policy=default).parsebytes(copy.postmark + told.body)
    assert not letter.defects
    assert letter["Subject"] == "Your maildrop is 86 per cent full"
    assert letter["To"] == "alice@example.org"
    assert letter["From"].addresses[0].addr_spec == "postmaster@mx.example.org"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"] == f"<{told.envelope.trace}@mx.example.org>"
    text = letter.get_content()
    assert "Your maildrop holds 430 MiB; it may hold 500 MiB. That is 86 per cent." in text
    assert "write to postmaster@example.org." in text
    assert max(map(len, told.body.split(b"\r\n"))) < 82
    assert b"\n" not in told.body.replace(b"\r\n", b"")
