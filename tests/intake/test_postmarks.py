"""What the office writes before a letter."""

from __future__ import annotations

import os
import time
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.envelope import Address, Envelope
from mailpost.intake.postmarks import Postmarks

PRINTABLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=2000
)


def write(envelope: Envelope, now: float = 1_000_000_000.0) -> bytes:
    """A postmark for alice."""
    return Postmarks("post.example.org").write(envelope, "alice@example.org", "al@example.org", now)


@pytest.mark.parametrize(
    ("peer", "helo", "shown"),
    [
        ("192.0.2.1", "client.example", "client.example ([192.0.2.1])"),
        ("2001:db8::1", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1] ([IPv6:2001:db8::1])"),
        ("", "client.example", "client.example"),
        ("192.0.2.1", "evil(comment;<x>", "evil?comment??x? ([192.0.2.1])"),
    ],
)
def test_from(peer: str, helo: str, shown: str) -> None:
    """Who it came from: as it calls itself, and as it is."""
    postmark = write(Envelope("t1", None, helo=helo, peer=peer))
    assert f"Received: from {shown}\r\n".encode() in postmark


@given(PRINTABLE)
def test_whatever_the_peer_calls_itself(helo: str) -> None:
    """A postmark is three header fields, each line short, whatever the peer has said."""
    postmark = write(Envelope("t1", Address("c\\", "example.net"), helo=helo, peer="192.0.2.1"))
    message = message_from_bytes(postmark + b"\r\n")
    assert message.keys() == ["Return-Path", "Delivered-To", "Received"]
    assert not message.defects
    assert all(len(line) < 998 for line in postmark.split(b"\r\n"))


def test_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The date is that of the moment, in the local zone, written once a second."""
    monkeypatch.setitem(os.environ, "TZ", "UTC-2")
    time.tzset()
    try:
        postmarks = Postmarks("post.example.org")
        envelope = Envelope("t1", None)
        dates = [
            postmarks.write(envelope, "a@b", "a@b", now).split(b"; ")[1]
            for now in (1_000_000_000.2, 1_000_000_000.9, 1_000_000_001.0)
        ]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert dates == [
        b"Sun, 09 Sep 2001 03:46:40 +0200\r\n",
        b"Sun, 09 Sep 2001 03:46:40 +0200\r\n",
        b"Sun, 09 Sep 2001 03:46:41 +0200\r\n",
    ]
