"""Reports on letters that were delivered: who gets one, what is in it, and that it goes with its letter."""

from __future__ import annotations

import itertools
import re
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from mailpost.envelope import Address, Destination, Envelope, Report
from mailpost.intake.postmarks import Postmarks
from mailpost.intake.report import MAX_HEADER, ReportUnderWay
from mailpost.intake.reports import Reports
from mailpost.outcome import Delivered, Refused, TryLater
from mailpost.wire import reply
from mailpost.wire.dsn import OriginalRecipient

from .office import HELLO, Office, codes

if TYPE_CHECKING:
    from email.message import EmailMessage

    from tests.logbook import Logbook
    from tests.memory import Peer

pytestmark = pytest.mark.usefixtures("log")

FROM_ALICE = b"MAIL FROM:<alice@example.org> ENVID=tea+2B4 RET=FULL\r\n"
TO_BOB = b"RCPT TO:<bob@example.org> NOTIFY=success,failure ORCPT=rfc822;bob+2Btea@example.org\r\n"
HEADER = b"Message-ID: <1@alice.example>\r\nSubject: tea\r\n"
LETTER = HEADER + b"\r\nAt five?\r\n"
NOW = 1_000_000_000


def users() -> tuple[Office, Peer]:
    """An office, and one of its users who has logged in."""
    office = Office()
    peer = office.peer()
    peer.protocol.session.user = "alice"
    return office, peer


def hand_in(peer: Peer, letter: bytes = LETTER, *commands: bytes) -> list[str]:
    """Hand a letter in; the codes of the last answer."""
    peer.ask(b"".join(commands or (FROM_ALICE, TO_BOB)) + b"DATA\r\n")
    return codes(peer.ask(letter + b".\r\n"))


def parsed(report: Report) -> EmailMessage:
    """The report as a mail program reads it; nothing in it may be amiss."""
    message: Any = message_from_bytes(report.body, policy=policy.default)
    for part in message.walk():
        assert part.defects == []
        for name, value in part.items():
            assert value.defects == () or part.get_content_maintype() == "message", name
    return message


def groups(part: EmailMessage) -> list[dict[str, str]]:
    """The groups of fields of a delivery-status part."""
    text = part.as_bytes(policy=policy.SMTPUTF8).decode().partition("\r\n\r\n")[2]
    return [
        dict(line.split(": ", 1) for line in group.strip().split("\r\n"))
        for group in text.split("\r\n\r\n")
        if group.strip()
    ]


def test_smtp_79_every_field() -> None:
    """Whoever asked by NOTIFY=SUCCESS has a report with everything by which they know the letter again."""
    office, peer = users()
    assert hand_in(peer) == ["250 2.0.0"]
    (draft,) = office.delivery.kept
    assert draft.atomic
    report, trace = draft.report, draft.envelope.trace
    assert report is not None
    assert report.envelope.reverse_path is None
    assert report.envelope.trace != trace
    assert report.copies[0].maildrop == 1
    assert report.copies[0].postmark == b"Return-Path: <>\r\nDelivered-To: alice@example.org\r\n"
    assert not report.traits.eight_bit
    assert not report.traits.utf8
    assert report.traits.final_crlf
    message = parsed(report)
    assert message["From"] == "The post office <postmaster@post.example.org>"
    assert message["To"] == "alice@example.org"
    assert message["Subject"] == "Your letter was delivered"
    assert message["Message-ID"] == f"<{report.envelope.trace}@post.example.org>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["MIME-Version"] == "1.0"
    assert message["Date"].datetime.timestamp() == NOW
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    text, status, header = message.iter_parts()
    assert [part.get_content_type() for part in (text, status, header)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert "<bob@example.org>" in text.get_content()
    assert trace in text.get_content()
    whole, bob = groups(status)
    assert parsedate_to_datetime(whole.pop("Arrival-Date")).timestamp() == NOW
    assert whole == {
        "Original-Envelope-Id": "tea+4",
        "Reporting-MTA": "dns; post.example.org",
    }
    assert bob == {
        "Original-Recipient": "rfc822;bob+tea@example.org",
        "Final-Recipient": "rfc822;bob@example.org",
        "Action": "delivered",
        "Status": "2.1.5",
        "Final-Log-ID": trace,
    }
    assert header.get_payload(decode=True) == HEADER


def test_one_report_for_all_who_were_asked_for() -> None:
    """A report has each RCPT that asked, and nobody else; the address is the one that the peer said."""
    office, peer = users()
    office.sorter.answers["postmaster"] = Destination(3, "postmaster@example.org")
    hand_in(
        peer,
        LETTER,
        b"MAIL FROM:<alice@example.org>\r\n",
        b"RCPT TO:<bob@Example.ORG> NOTIFY=SUCCESS\r\n",
        b"RCPT TO:<alice@example.org> NOTIFY=FAILURE,DELAY\r\n",
        b"RCPT TO:<nobody@example.org> NOTIFY=SUCCESS\r\n",
        b"RCPT TO:<postmaster> NOTIFY=SUCCESS\r\n",
    )
    (draft,) = office.delivery.kept
    assert [copy.maildrop for copy in draft.copies] == [2, 1, 3]
    _, status, _ = parsed(draft.report).iter_parts()
    whole, *each = groups(status)
    assert "Original-Envelope-Id" not in whole
    assert [one["Final-Recipient"] for one in each] == [
        "rfc822;bob@example.org",
        "rfc822;postmaster@example.org",
    ]
    assert all("Original-Recipient" not in one for one in each)


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        (b"alice@example.org", b""),
        (b"alice@example.org", b"NOTIFY=NEVER"),
        (b"alice@example.org", b"NOTIFY=FAILURE,DELAY"),
        (b"alice@example.org", b"ORCPT=rfc822;x"),
        (b"", b"NOTIFY=SUCCESS"),
    ],
)
def test_nobody_is_to_be_told(sender: bytes, recipient: bytes) -> None:
    """No report where none was asked for, none to the null reverse-path, and nothing is remembered."""
    office, peer = users()
    said = (b"MAIL FROM:<%b>\r\n" % sender, b"RCPT TO:<bob@example.org> %b\r\n" % recipient)
    peer.ask(b"".join(said) + b"DATA\r\n")
    assert peer.protocol._letter.report is None
    assert codes(peer.ask(LETTER + b".\r\n")) == ["250 2.0.0"]
    assert office.delivery.kept[0].report is None


def test_the_letters_lines_in_the_log(log: Logbook) -> None:
    """The letter has its line, and so has the report."""
    office, peer = users()
    hand_in(peer)
    trace = office.delivery.kept[0].envelope.trace
    (line,) = log.lines("letter ")
    assert line.endswith("kept")
    assert log.lines("report ") == [f"report on letter {trace} to <alice@example.org>: kept"]


def test_the_sender_has_gone(log: Logbook) -> None:
    """An account that was removed meanwhile hears nothing; the letter is kept all the same."""
    office, peer = users()
    office.sorter.answers["alice"] = Refused(reply.NO_SUCH_USER, "no account of this name")
    assert hand_in(peer) == ["250 2.0.0"]
    assert office.delivery.kept[0].report is None
    (line,) = log.lines("report ")
    assert line.endswith(f"{reply.NO_SUCH_USER} (no account of this name)")


def test_the_senders_maildrop_has_gone(log: Logbook) -> None:
    """The same, noticed by the store."""
    office, peer = users()
    office.delivery.at_once = False
    hand_in(peer)
    gone = Refused(reply.NO_SUCH_USER, "its maildrop has been removed")
    office.delivery.kept[0].committed.callback([Delivered(), gone])
    assert codes(peer.heard()) == ["250 2.0.0"]
    (line,) = log.lines("report ")
    assert line.endswith("(its maildrop has been removed)")


def test_nobody_knows_where_the_sender_is() -> None:
    """While it is not known where a report would go, there is no letter either: the client comes again."""
    office, peer = users()
    office.sorter.answers["alice"] = TryLater(reply.LOCAL_ERROR, "the register is closed")
    assert hand_in(peer) == ["451 4.3.0"]
    assert office.delivery.kept == []
    assert office.delivery.drafts[0].aborted
    office.sorter.answers["alice"] = Destination(1, "alice@example.org")
    assert hand_in(peer) == ["250 2.0.0"]


def test_a_letter_that_failed_is_not_reported(log: Logbook) -> None:
    """No report without its letter, and no line of one."""
    office, peer = users()
    office.delivery.at_once = False
    hand_in(peer)
    office.delivery.kept[0].committed.callback([TryLater(), TryLater()])
    assert codes(peer.heard()) == ["451 4.3.0"]
    assert log.lines("report ") == []


def test_two_names_of_one_maildrop() -> None:
    """Who is named twice has one copy, and both names are reported."""
    office, peer = users()
    office.sorter.answers["bobby"] = Destination(2, "bob@example.org")
    twice = TO_BOB + TO_BOB.replace(b"<bob@", b"<bobby@")
    assert hand_in(peer, LETTER, FROM_ALICE, twice) == ["250 2.0.0"]
    (draft,) = office.delivery.kept
    assert len(draft.copies) == 1
    assert draft.report.body.count(b"Final-Recipient:") == 2


@pytest.mark.parametrize("how", ["late", "at once", "gone", "failed"])
def test_the_sender_is_sorted_in_its_time(how: str, log: Logbook) -> None:
    """Where sorting takes its time, the letter waits; whoever leaves meanwhile has handed nothing in."""
    office, peer = users()
    alice = Destination(1, "alice@example.org")
    later: Deferred[object] = Deferred()
    if how == "at once":
        later.callback(alice)
    elif how == "failed":
        later.errback(ZeroDivisionError())
    office.sorter.answers["alice"] = later
    heard = hand_in(peer)
    if how == "failed":
        assert heard == ["451 4.3.0"]
        assert len(log.take_failures(ZeroDivisionError)) == 1
    elif how == "at once":
        assert heard == ["250 2.0.0"]
    else:
        assert heard == []
        assert peer.ask(b"NOOP\r\n") == b""
        if how == "gone":
            peer.leave()
        later.callback(alice)
        assert codes(peer.heard()) == ([] if how == "gone" else ["250 2.0.0", "250 2.0.0"])
    kept = [draft.report is not None for draft in office.delivery.kept]
    assert kept == ([True] if how in {"late", "at once"} else [])


def test_nothing_is_left_for_the_next_letter() -> None:
    """A letter for which nothing was asked has no report, although the one before had."""
    office, peer = users()
    hand_in(peer)
    hand_in(peer, LETTER, b"MAIL FROM:<alice@example.org>\r\n", b"RCPT TO:<bob@example.org>\r\n")
    first, second = office.delivery.kept
    assert first.report is not None
    assert second.report is None


def test_not_offered_to_strangers() -> None:
    """Whoever has not logged in is told that nothing of the kind is known."""
    office = Office()
    assert codes(office.peer().ask(FROM_ALICE)) == ["555 5.5.4"]
    assert b"DSN" not in office.peer().ask(HELLO)


# What is in it -------------------------------------------------------------------------------------


def written(
    header: bytes = HEADER,
    *,
    sender: str = "alice",
    domain: str = "example.org",
    recipient: str = "bob@example.org",
    original: OriginalRecipient | None = None,
    protocol: str = "ESMTPA",
    added: bytes = b"",
) -> Report:
    """A report on a letter."""
    about = ReportUnderWay("")
    about.delivered(recipient, original)
    about.take(header + b"\r\n")
    envelope = Envelope("0123", Address(sender, domain), protocol)
    reports = Reports("post.example.org", Postmarks("post.example.org"))
    home = Destination(1, "alice@example.org")
    return reports.write("4567", envelope, home, about, added, NOW)


def test_what_was_added_is_returned_too() -> None:
    """A Message-ID that the letter got here is what the sender finds it by."""
    *_, header = parsed(written(added=b"Message-ID: <1@post>\r\n")).iter_parts()
    assert header.get_payload(decode=True) == b"Message-ID: <1@post>\r\n" + HEADER


@pytest.mark.parametrize(
    ("recipient", "original"),
    [
        ("bob@b\u00fccher.example", None),
        ("bob@example.org", OriginalRecipient("utf-8", "j\u00f6rg@example.org")),
    ],
)
def test_addresses_beyond_ascii(recipient: str, original: OriginalRecipient | None) -> None:
    """An address beyond US-ASCII makes the report for programs a global one (RFC 6533)."""
    report = written(recipient=recipient, original=original, protocol="UTF8SMTPA")
    assert report.traits.eight_bit
    assert report.traits.utf8
    message = parsed(report)
    assert message["Content-Type"].params["report-type"] == "global-delivery-status"
    text, status, header = message.iter_parts()
    assert recipient in text.get_content()
    assert status.get_content_type() == "message/global-delivery-status"
    assert status["Content-Transfer-Encoding"] == "8bit"
    kind = "rfc822" if recipient.isascii() else "utf-8"
    assert f"\r\nFinal-Recipient: {kind};{recipient}\r\n".encode() in report.body
    if original is not None:
        assert f"\r\nOriginal-Recipient: {original}\r\n".encode() in report.body
    assert header.get_content_type() == "text/rfc822-headers"


def test_an_address_that_is_said_in_ascii() -> None:
    """What was said in US-ASCII is reported so, and the report is an ordinary one."""
    report = written(original=OriginalRecipient("utf-8", r"j\x{F6}rg@example.org"))
    assert report.body.isascii()
    assert b"\r\nOriginal-Recipient: utf-8;j\\x{F6}rg@example.org\r\n" in report.body
    assert b"Content-Type: message/delivery-status\r\n" in report.body


def test_a_sender_beyond_ascii() -> None:
    """Then the report's own header has UTF-8."""
    report = written(domain="b\u00fccher.example", protocol="UTF8SMTPA")
    assert report.traits.utf8
    assert "\r\nTo: <alice@b\u00fccher.example>\r\n".encode() in report.body


@pytest.mark.parametrize(
    ("header", "protocol", "kind", "encoding"),
    [
        (b"Subject: tea\r\n", "ESMTPA", "text/rfc822-headers", "7bit"),
        (b"", "ESMTPA", "text/rfc822-headers", "7bit"),
        ("Subject: t\u00e9\r\n".encode(), "UTF8SMTPA", "message/global-headers", "8bit"),
        ("Subject: t\u00e9\r\n".encode(), "ESMTPA", "text/rfc822-headers", "quoted-printable"),
        (b"Subject: t\xe9\r\n", "UTF8SMTPA", "text/rfc822-headers", "quoted-printable"),
        (b"Subject: t\0\r\n", "ESMTPA", "text/rfc822-headers", "quoted-printable"),
        (b"Subject: " + b"t" * 990 + b"\r\n", "ESMTPA", "text/rfc822-headers", "quoted-printable"),
        (b"Subject: =3D \r\n\t.\r\n", "ESMTPA", "text/rfc822-headers", "7bit"),
    ],
)
def test_the_header_as_it_was(header: bytes, protocol: str, kind: str, encoding: str) -> None:
    """Whatever is in a header comes back, in the plainest way in which it can be sent."""
    report = written(header, protocol=protocol)
    assert report.traits.utf8 is kind.startswith("message/global")
    assert report.traits.eight_bit is (encoding == "8bit")
    assert max(map(len, report.body.split(b"\r\n"))) <= 998
    assert b"\r\n" in report.body
    assert not re.search(rb"[^\r]\n|\r[^\n]|\0", report.body)
    *_, part = message_from_bytes(report.body).get_payload()
    assert part.get_content_type() == kind
    assert part["Content-Transfer-Encoding"] == encoding
    if encoding == "8bit":
        assert b"\r\n\r\n" + header + b"\r\n--" in report.body
    else:
        assert part.get_payload(decode=True) == header


# The header, as the letter goes by ----------------------------------------------------------------


def remembered(*pieces: bytes) -> bytes:
    """What is kept of a letter's header."""
    about = ReportUnderWay("")
    for piece in pieces:
        about.take(piece)
    return about.header


@given(
    st.lists(st.sampled_from([b"\r\n", b"a", b" ", b"\r\n\r\n", b"A: b\r\n"])).map(b"".join),
    st.lists(st.integers(0, 40)),
)
def test_a_header_in_pieces(letter: bytes, at: list[int]) -> None:
    """It ends at the first blank line, wherever the network cuts."""
    places = [0, *sorted(at), len(letter)]
    pieces = [letter[a:b] for a, b in itertools.pairwise(places)]
    end = (b"\r\n" + letter).find(b"\r\n\r\n")
    expected = letter[:end] if end >= 0 else letter
    if expected and not expected.endswith(b"\r\n"):
        expected += b"\r\n"
    assert remembered(*pieces) == expected


@pytest.mark.parametrize("over", [-1, 0, 1, 2, 3, 4, 5, 100_000])
@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_a_header_without_end(over: int, piece: int) -> None:
    """A long header is cut between two fields, and no more of it than that is held."""
    last = b"Last: x\r\n\ty\r\n"
    first = b"A: " + b"x" * (MAX_HEADER - 5 - len(last) + over) + b"\r\n"
    letter = first + last + b"\r\nbody" * 1000
    about = ReportUnderWay("")
    for start in range(0, len(letter), piece):
        about.take(letter[start : start + piece])
    assert len(about._begun) <= MAX_HEADER + 4
    fits = [part for part in (first + last, first) if len(part) <= MAX_HEADER]
    assert about.header == (fits[0] if fits else b"")


def test_one_endless_field() -> None:
    """Of a field that is longer than all that may be returned, nothing is."""
    assert remembered(b"A: b\r\n" + b" c\r\n" * MAX_HEADER) == b""
