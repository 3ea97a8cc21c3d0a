"""A full maildrop is told at RCPT, as far as the sender has said how large the letter is."""

from __future__ import annotations

import pytest

from mailpost.envelope import Destination, Group
from mailpost.outcome import TryLater
from mailpost.wire import reply

from .office import Office, codes

pytestmark = pytest.mark.usefixtures("log")

LETTER = b"DATA\r\nSubject: tea\r\n\r\nAt five?\r\n.\r\n"
ALICE, BOB = b"RCPT TO:<alice@example.org>\r\n", b"RCPT TO:<bob@example.org>\r\n"


def test_full() -> None:
    """452 4.2.2 for that one; who has room gets the letter."""
    office = Office()
    office.delivery.full = {1}
    peer = office.peer()
    heard = peer.ask(b"MAIL FROM:<carol@example.net> SIZE=1234\r\n" + ALICE + BOB)
    assert codes(heard) == ["250 2.1.0", "452 4.2.2", "250 2.1.5"]
    assert office.delivery.asked_for == [1234, 1234]
    assert codes(peer.ask(LETTER)) == ["354", "250 2.0.0"]
    (draft,) = office.delivery.kept
    assert [copy.maildrop for copy in draft.copies] == [2]
    peer.ask(b"MAIL FROM:<carol@example.net>\r\n" + BOB)
    assert office.delivery.asked_for[-1] == 0


def test_full_for_all() -> None:
    """Then there is no letter at all."""
    office = Office()
    office.delivery.full = {1}
    peer = office.peer()
    assert codes(peer.ask(b"MAIL FROM:<>\r\n" + ALICE + b"DATA\r\n"))[-1] in (
        "503 5.5.1",
        "554 5.5.1",
    )


def test_who_always_takes_letters_in() -> None:
    """The copies for postmaster, and for everybody in a group that was accepted, are marked as such."""
    office = Office()
    office.sorter.answers["postmaster"] = Destination(3, "postmaster@example.org", always=True)
    team = Group((Destination(4, "dan@example.org"), Destination(2, "bob@example.org")))
    office.sorter.answers["team"] = team
    peer = office.peer()
    peer.ask(b"MAIL FROM:<carol@example.net>\r\n" + ALICE + b"RCPT TO:<postmaster>\r\n")
    peer.ask(b"RCPT TO:<team@example.org>\r\n" + LETTER)
    (draft,) = office.delivery.kept
    assert [(copy.maildrop, copy.always) for copy in draft.copies] == [
        (1, False),
        (3, True),
        (4, True),
        (2, True),
    ]


def test_found_out_at_the_dot() -> None:
    """The reply that the store gives, and the reason in the log."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(b"MAIL FROM:<carol@example.net>\r\n" + ALICE + LETTER)
    (draft,) = office.delivery.drafts
    draft.committed.callback([TryLater(reply.MAILDROP_FULL, "its quota is used up")])
    assert codes(peer.heard()) == ["452 4.2.2"]
