"""Clients that did not say UTF8 (RFC 6856 §2)."""

from __future__ import annotations

import pytest
from zope.interface import implementer

from mailpost.interfaces import IDowngrading

from .office import LOGIN, Office, Snapshot

PLAIN = b"in US-ASCII\r\n"
LETTER = "Subject: Grüße\r\n\r\ntext\r\n".encode()


@implementer(IDowngrading)
class Downgrading(Snapshot):
    """An open maildrop that has its letters in two forms."""

    def downgrade(self) -> None:
        self.letters = [PLAIN]
        self.sizes = [len(PLAIN)]


@pytest.mark.parametrize(
    ("said", "opened", "given"),
    [
        (b"", Downgrading, PLAIN),
        (b"UTF8\r\n", Downgrading, LETTER),
        (b"", Snapshot, LETTER),
    ],
)
def test_pop3_29(
    said: bytes, opened: type[Snapshot], given: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without UTF8 letters are downgraded and so counted, where the maildrop can do it."""
    monkeypatch.setattr("tests.collection.office.Snapshot", opened)
    office = Office([LETTER])
    peer = office.peer(inside=False)
    heard = peer.ask(said + LOGIN + b"STAT\r\nLIST 1\r\nRETR 1\r\n")
    size = len(given)
    assert b"+OK 1 letters, %d octets\r\n+OK 1 %d\r\n+OK 1 %d\r\n" % (size, size, size) in heard
    assert heard.endswith(b"\r\n" + given + b".\r\n")
