"""One recipient that stands for several: every maildrop one copy, whatever ways lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailpost.envelope import Destination, Group
from mailpost.intake import LMTPFactory
from mailpost.intake import letter as letter_module
from mailpost.outcome import Delivered, Outcome, Refused, TryLater
from mailpost.wire import reply
from mailpost.wire.smtp import Settings
from tests.memory import Peer

from .office import ENVELOPE, Office, codes

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")

ALICE = Destination(1, "alice@example.org")
BOB = Destination(2, "bob@example.org")
CAROL = Destination(3, "carol@example.org")
GONE = Refused(reply.NO_SUCH_USER, "its maildrop has been removed")
FROM = b"MAIL FROM:<alice@example.org>\r\n"
TO_TEAM = b"RCPT TO:<team@example.org>\r\n"
LETTER = b"DATA\r\nSubject: tea\r\n\r\nAt five?\r\n.\r\n"


def with_team(*members: Destination) -> Office:
    """An office where team stands for several."""
    office = Office()
    office.sorter.answers["team"] = Group(members or (BOB, CAROL))
    return office


def test_a_group() -> None:
    """One RCPT, one 250, a copy for each member; its postmark says to whom, and by which address."""
    office = with_team()
    peer = office.peer()
    assert codes(peer.ask(FROM + TO_TEAM)) == ["250 2.1.0", "250 2.1.5"]
    assert codes(peer.ask(LETTER)) == ["354", "250 2.0.0"]
    (draft,) = office.delivery.kept
    assert [copy.maildrop for copy in draft.copies] == [2, 3]
    for copy, named in zip(draft.copies, (BOB, CAROL), strict=True):
        assert f"\r\nDelivered-To: {named.delivered_to}\r\n".encode() in copy.postmark
        assert b"\r\n\tfor <team@example.org>; " in copy.postmark


def test_by_two_ways_once() -> None:
    """Who is named, and in two groups as well, has one copy; the first way is the one that counts."""
    office = with_team()
    office.sorter.answers["all"] = Group((ALICE, BOB, CAROL))
    peer = office.peer()
    peer.ask(FROM + b"RCPT TO:<bob@example.org>\r\n" + TO_TEAM + b"RCPT TO:<all@example.org>\r\n")
    assert codes(peer.ask(LETTER))[-1] == "250 2.0.0"
    (draft,) = office.delivery.kept
    assert [copy.maildrop for copy in draft.copies] == [2, 3, 1]
    assert b"for <bob@" in draft.copies[0].postmark


def test_all_or_none() -> None:
    """SMTP: where one member's copy cannot be kept, the letter is not."""
    office = with_team()
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(FROM + b"RCPT TO:<alice@example.org>\r\n" + TO_TEAM + LETTER)
    office.delivery.kept[0].committed.callback([TryLater()] * 3)
    assert codes(peer.heard()) == ["451 4.3.0"]


@pytest.mark.parametrize(
    ("outcomes", "answers"),
    [
        ([Delivered(), Delivered(), Delivered()], ["250 2.0.0", "250 2.0.0", "250 2.0.0"]),
        ([GONE, Delivered(), Delivered()], ["250 2.0.0", "250 2.0.0", "550 5.1.1"]),
        ([GONE, GONE, Delivered()], ["550 5.1.1", "250 2.0.0", "550 5.1.1"]),
        ([TryLater(), Delivered(), Delivered()], ["451 4.3.0", "250 2.0.0", "451 4.3.0"]),
        ([GONE, TryLater(), Delivered()], ["451 4.3.0", "250 2.0.0", "550 5.1.1"]),
    ],
)
def test_one_reply_for_each_recipient(outcomes: list[Outcome], answers: list[str]) -> None:
    """LMTP: a group has the letter when its copies are kept; a member that has gone does not count."""
    office = with_team(BOB, CAROL)
    office.delivery.at_once = False
    factory = LMTPFactory(
        Settings("post.example.org"), office.sorter, office.delivery, office.clock
    )
    peer = Peer(factory, office.clock)
    peer.ask(b"LHLO relay.example.net\r\n" + FROM + TO_TEAM)
    peer.ask(b"RCPT TO:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\n" + LETTER)
    (draft,) = office.delivery.kept
    assert [copy.maildrop for copy in draft.copies] == [2, 3, 1]
    draft.committed.callback(outcomes)
    assert codes(peer.heard()) == answers


def test_smtp_23_groups_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter's groups may bring so many copies; then 452, and what was accepted stands."""
    monkeypatch.setattr(letter_module, "MAX_EXPANDED", 4)
    office = with_team()
    peer = office.peer()
    heard = codes(peer.ask(ENVELOPE + TO_TEAM * 3 + b"RCPT TO:<bob@example.org>\r\n"))
    assert heard == ["250 2.1.0", *["250 2.1.5"] * 3, "452 4.5.3", "452 4.5.3"]
    assert codes(peer.ask(LETTER)) == ["354", "250 2.0.0"]
    assert [copy.maildrop for copy in office.delivery.kept[0].copies] == [1, 2, 3]


def test_smtp_79_a_group_is_reported_as_expanded() -> None:
    """The sender is told that the group has it, and not who is in it (RFC 3461 §5.2.7.3, §5.2.7.4)."""
    office = with_team()
    peer = office.peer()
    peer.protocol.session.user = "alice"
    peer.ask(FROM + TO_TEAM.replace(b">", b"> NOTIFY=SUCCESS") + LETTER)
    report = office.delivery.kept[0].report
    assert report is not None
    assert b"\r\nFinal-Recipient: rfc822;team@example.org\r\nAction: expanded\r\n" in report.body
    assert b"\r\n    <team@example.org>\r\n" in report.body
    assert b"bob@" not in report.body


def test_a_report_to_a_group() -> None:
    """A letter that was sent in a group's name is reported to all of the group."""
    office = with_team()
    peer = office.peer()
    peer.protocol.session.user = "alice"
    peer.ask(b"MAIL FROM:<team@example.org>\r\n")
    peer.ask(b"RCPT TO:<alice@example.org> NOTIFY=SUCCESS\r\n")
    assert codes(peer.ask(LETTER)) == ["354", "250 2.0.0"]
    report = office.delivery.kept[0].report
    assert report is not None
    assert [copy.maildrop for copy in report.copies] == [2, 3]
    assert report.copies[1].postmark == b"Return-Path: <>\r\nDelivered-To: carol@example.org\r\n"


def test_the_log_has_both_names(log: Logbook) -> None:
    """A letter's line says who has it, and how they were called; the same name is not said twice."""
    office = with_team()
    office.sorter.answers["INFO"] = ALICE
    peer = office.peer()
    peer.ask(FROM + TO_TEAM + b"RCPT TO:<INFO@example.org>\r\n" + LETTER)
    peer.ask(FROM + b"RCPT TO:<alice@Example.ORG>\r\n" + LETTER)
    several, one = (line.partition(" to ")[2] for line in log.lines("letter "))
    assert several.startswith(
        "bob@example.org (team@example.org), carol@example.org (team@example.org),"
        " alice@example.org (INFO@example.org), 26 octets"
    )
    assert one.startswith("alice@example.org, 26 octets")
