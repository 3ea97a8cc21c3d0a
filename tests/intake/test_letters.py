"""A letter's way from the wire into the store: envelope, copies, postmarks, and the 250."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from mailpost.envelope import Address, Destination
from mailpost.outcome import Delivered, Refused, TryLater
from mailpost.wire import reply

from .office import ENVELOPE, HELLO, Office, codes

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")

LETTER = b"Subject: hello\r\n\r\nHello.\r\n"


def test_smtp_39_250_only_when_durable() -> None:
    """The 250 leaves after the commit has answered, and names the letter's trace id; not before."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    assert codes(peer.ask(ENVELOPE + b"DATA\r\n")) == ["250 2.1.0", "250 2.1.5", "354"]
    assert peer.ask(LETTER + b".\r\n") == b""
    (draft,) = office.delivery.kept
    assert draft.body == LETTER
    assert draft.atomic
    assert peer.heard() == b""
    draft.committed.callback([Delivered()])
    assert peer.heard() == b"250 2.0.0 kept as %b\r\n" % draft.envelope.trace.encode()


def test_the_envelope() -> None:
    """What the store is given: who sent it, how it came, what was seen of it."""
    office = Office()
    peer = office.peer("2001:db8::7")
    peer.ask(ENVELOPE + b"DATA\r\n" + LETTER + b".\r\n")
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\xe4\r\n.\r\n")
    first, second = office.delivery.kept
    assert first.envelope.reverse_path == Address("carol", "example.net")
    assert (first.envelope.helo, first.envelope.peer) == ("client.example.net", "2001:db8::7")
    assert second.envelope.reverse_path is None
    assert first.envelope.trace != second.envelope.trace
    assert not first.traits.eight_bit
    assert second.traits.eight_bit
    assert first.traits.final_crlf


@pytest.mark.parametrize(("hello", "protocol"), [(HELLO, "ESMTP"), (b"HELO client\r\n", "SMTP")])
def test_smtp_29_received(hello: bytes, protocol: str) -> None:
    """The Received line says from whom, by whom, with what, as which letter, for whom, and when."""
    office = Office()
    peer = office.peer(greeted=False)
    peer.ask(hello + ENVELOPE.replace(b"alice@example", b'"alice"@EXAMPLE') + b"DATA\r\n.\r\n")
    (draft,) = office.delivery.kept
    helo = hello[5:-2].decode()
    received = message_from_bytes(draft.copies[0].postmark, policy=policy.SMTP)["Received"]
    assert re.fullmatch(
        rf"from {helo} \(\[192\.0\.2\.1\]\) by post\.example\.org with {protocol}"
        rf" id {draft.envelope.trace} for <alice@example\.org>; \w{{3}}, 0[89] Sep 2001 .{{14}}",
        " ".join(received.split()),
    )


def test_smtp_30_one_return_path() -> None:
    """Each copy begins with one Return-Path, and one Delivered-To of its own."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"RCPT TO:<bob@example.org>\r\nDATA\r\n" + LETTER + b".\r\n")
    peer.ask(ENVELOPE.replace(b"carol@example.net", b"") + b"DATA\r\n.\r\n")
    first, second = office.delivery.kept
    for copy, name in zip(first.copies, ("alice", "bob"), strict=True):
        lines = copy.postmark.split(b"\r\n")
        assert lines[0] == b"Return-Path: <carol@example.net>"
        assert lines[1] == b"Delivered-To: %b@example.org" % name.encode()
        assert copy.postmark.count(b"Return-Path:") == copy.postmark.count(b"Delivered-To:") == 1
        assert copy.postmark.endswith(b"\r\n")
        assert max(map(len, lines)) < 998
    assert second.copies[0].postmark.startswith(b"Return-Path: <>\r\n")
    assert [copy.maildrop for copy in first.copies] == [1, 2]


def test_smtp_31_octet_for_octet() -> None:
    """What the store is given is what was sent, dots unstuffed, and nothing of ours in it."""
    office = Office()
    peer = office.peer()
    body = bytes(set(range(256)) - {10, 13}) + b"\r\n.dot\r\n" + b"x" * 100_000 + b"\r\n\0\r\n"
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    assert office.delivery.kept[0].body == body


def test_smtp_36_a_recipient_named_twice() -> None:
    """Who is named twice, or by two names of the same maildrop, has one copy; both are answered 250."""
    office = Office()
    office.sorter.answers["al"] = Destination(1, "alice@example.org")
    peer = office.peer()
    said = b"RCPT TO:<alice@example.org>\r\nRCPT TO:<al@example.org>\r\nDATA\r\n.\r\n"
    answers = codes(peer.ask(ENVELOPE + said))
    assert answers == ["250 2.1.0", "250 2.1.5", "250 2.1.5", "250 2.1.5", "354", "250 2.0.0"]
    assert [copy.maildrop for copy in office.delivery.kept[0].copies] == [1]


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA", "middle", "dot", "question"])
def test_smtp_28_connection_lost(at: str, log: Logbook) -> None:
    """A connection lost before the end of the letter leaves nothing behind, wherever it is lost."""
    office = Office()
    office.sorter.answers["slow"] = Deferred()
    peer = office.peer()
    said = {
        "MAIL": ENVELOPE[:30],
        "RCPT": ENVELOPE,
        "DATA": ENVELOPE + b"DATA\r\n",
        "middle": ENVELOPE + b"DATA\r\nhalf a let",
        "dot": ENVELOPE + b"DATA\r\nletter\r\n.\r",
        "question": b"MAIL FROM:<>\r\nRCPT TO:<slow@example.org>\r\n",
    }[at]
    peer.ask(said)
    peer.leave()
    assert office.delivery.kept == []
    assert all(draft.aborted for draft in office.delivery.drafts)
    assert len(log.lines("intake")) == 1
    assert office.factory.connections == set()
    office.sorter.answers["slow"].callback(Destination(3, "slow@example.org"))


def test_lost_while_the_letter_is_committed(log: Logbook) -> None:
    """A letter that was whole is kept although its sender has gone; the log tells of it all the same."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n" + LETTER + b".\r\n")
    peer.leave()
    (draft,) = office.delivery.kept
    assert not draft.aborted
    draft.committed.callback([Delivered()])
    (line,) = log.lines("letter")
    assert "to alice@example.org" in line
    assert line.endswith("kept")


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (TryLater(), "451 4.3.0"),
        (TryLater(reply.DISK_FULL, "no space left"), "452 4.3.1"),
        (Refused(reply.TOO_LARGE), "552 5.3.4"),
    ],
)
def test_commit_outcomes(outcome: TryLater | Refused, answer: str, log: Logbook) -> None:
    """One copy that cannot be kept: the letter is answered so, and the reason stands in the log alone."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(ENVELOPE + b"RCPT TO:<bob@example.org>\r\nDATA\r\n" + LETTER + b".\r\n")
    office.delivery.kept[0].committed.callback([Delivered(), outcome])
    heard = peer.heard()
    assert codes(heard) == [answer]
    assert b"no space left" not in heard
    (line,) = log.lines("letter")
    assert outcome.reason in line
    assert codes(peer.ask(ENVELOPE)) == ["250 2.1.0", "250 2.1.5"]


def test_smtp_60_no_room() -> None:
    """Without room MAIL is answered 452, no draft is begun, and it is asked anew each time."""
    office = Office()
    office.delivery.room = False
    peer = office.peer()
    assert codes(peer.ask(ENVELOPE)) == ["452 4.3.1", "503 5.5.1"]
    office.delivery.room = True
    assert codes(peer.ask(ENVELOPE)) == ["250 2.1.0", "250 2.1.5"]
    assert office.delivery.drafts == []


def test_sorting_takes_its_time() -> None:
    """A recipient that is decided later is answered later; what was pipelined waits, in its order."""
    office = Office()
    slow: Deferred[object] = Deferred()
    office.sorter.answers["slow"] = slow
    peer = office.peer()
    answers = peer.ask(
        b"MAIL FROM:<>\r\nRCPT TO:<alice@x>\r\nRCPT TO:<slow@x>\r\nRCPT TO:<no@x>\r\nDATA\r\nhi\r\n.\r\n"
    )
    assert codes(answers) == ["250 2.1.0", "250 2.1.5"]
    assert peer.ask(b"NOOP\r\n") == b""
    slow.callback(TryLater(reply.LOCAL_ERROR, "the register is closed"))
    later = ["451 4.3.0", "550 5.1.1", "354", "250 2.0.0", "250 2.0.0"]
    assert codes(peer.heard()) == later


def test_recipients_decided_later_are_kept() -> None:
    """A recipient accepted later is one of the letter's, and one decided at once in a Deferred as well."""
    office = Office()
    office.sorter.answers["slow"] = succeed(Destination(3, "slow@example.org"))
    peer = office.peer()
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<slow@x>\r\nRCPT TO:<alice@x>\r\nDATA\r\n.\r\n")
    assert [copy.maildrop for copy in office.delivery.kept[0].copies] == [3, 1]


class BrokenError(Exception):
    """Something that nobody expects."""


PIPELINED = b"MAIL FROM:<>\r\nRCPT TO:<bad@x>\r\nRCPT TO:<alice@x>\r\nDATA\r\nhi\r\n.\r\nNOOP\r\n"


@pytest.mark.parametrize("how", ["raised", "failed", "failed later", "nonsense"])
def test_sorting_is_broken(how: str, log: Logbook) -> None:
    """Whatever sorting raises is 451 for this recipient, logged with its traceback; all else goes on."""
    office = Office()
    late: Deferred[object] = Deferred()
    office.sorter.answers["bad"] = {
        "raised": BrokenError,
        "failed": lambda: fail(BrokenError()),
        "failed later": lambda: late,
        "nonsense": lambda: None,
    }[how]()
    peer = office.peer()
    heard = peer.ask(PIPELINED)
    if how == "failed later":
        late.errback(BrokenError())
        heard += peer.heard()
    expected = ["250 2.1.0", "451 4.3.0", "250 2.1.5", "354", "250 2.0.0", "250 2.0.0"]
    assert codes(heard) == expected
    (failure,) = log.take_failures(AttributeError if how == "nonsense" else BrokenError)
    assert failure.getTraceback()
    assert [copy.maildrop for copy in office.delivery.kept[0].copies] == [1]


def test_asking_for_room_is_broken(log: Logbook) -> None:
    """Whatever ``has_room`` raises is 451 at MAIL, and the session goes on."""
    office = Office()
    office.delivery.room = BrokenError()
    peer = office.peer()
    assert codes(peer.ask(b"MAIL FROM:<>\r\nNOOP\r\n")) == ["451 4.3.0", "250 2.0.0"]
    assert len(log.take_failures(BrokenError)) == 1


@pytest.mark.parametrize("step", ["begin", "write", "commit", "commit failed", "outcomes"])
def test_delivery_is_broken(step: str, log: Logbook) -> None:
    """Whatever delivery raises, at any step: 451 at the letter's end, nothing kept, the session goes on.

    Above all no letter is ever kept with a hole in it.
    """
    office = Office()
    delivery = office.delivery
    delivery.at_once = False
    if step in {"begin", "write", "commit"}:
        setattr(delivery, f"{step}_fails", BrokenError())
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    heard = peer.ask(b"first\r\n")
    delivery.begin_fails = delivery.write_fails = None
    heard += peer.ask(b"second\r\n.\r\nNOOP\r\n")
    if step == "commit failed":
        delivery.kept[0].committed.errback(BrokenError())
    elif step == "outcomes":
        delivery.kept[0].committed.callback(None)
    heard += peer.heard()
    assert codes(heard) == ["451 4.3.0", "250 2.0.0"]
    assert len(log.take_failures(TypeError if step == "outcomes" else BrokenError)) == 1
    assert log.lines("letter")[0].endswith("451 4.3.0 something is wrong here, try again later")
    assert [draft.body for draft in delivery.kept] in ([], [b"first\r\nsecond\r\n"])
    delivery.commit_fails = None
    delivery.at_once = True
    again = peer.ask(ENVELOPE + b"DATA\r\n" + LETTER + b".\r\n")
    assert codes(again) == ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    assert delivery.kept[-1].body == LETTER


@pytest.mark.parametrize("command", [b"RSET\r\n", b"EHLO again\r\n"])
def test_forgetting_is_broken(command: bytes, log: Logbook) -> None:
    """Whatever ``abort`` raises, the answer to RSET comes, and the next commands are answered, too."""
    office = Office(max_octets=100)
    office.delivery.abort_fails = BrokenError()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"half\r\n")
    assert codes(peer.ask(b"x" * 200 + b"\r\n.\r\nNOOP\r\n")) == ["552 5.3.4", "250 2.0.0"]
    assert len(log.take_failures(BrokenError)) == 1
    assert codes(peer.ask(b"MAIL FROM:<>\r\n" + command + b"NOOP\r\n"))[-1] == "250 2.0.0"


def test_an_empty_letter() -> None:
    """A letter without an octet is a letter."""
    office = Office()
    assert codes(office.peer().ask(ENVELOPE + b"DATA\r\n.\r\n"))[-1] == "250 2.0.0"
    assert office.delivery.kept[0].body == b""


def test_two_letters_in_a_session() -> None:
    """Nothing of the first letter is left over for the second."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\none\r\n.\r\n")
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<bob@x>\r\nDATA\r\ntwo\r\n.\r\n")
    first, second = office.delivery.kept
    assert (first.body, second.body) == (b"one\r\n", b"two\r\n")
    assert [copy.maildrop for copy in second.copies] == [2]


@pytest.mark.parametrize("command", [b"RSET\r\n", HELLO])
def test_what_is_forgotten(command: bytes) -> None:
    """After RSET or a new hello neither sender nor recipients are left."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + command)
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<bob@x>\r\nDATA\r\n.\r\n")
    (draft,) = office.delivery.kept
    assert draft.envelope.reverse_path is None
    assert [copy.maildrop for copy in draft.copies] == [2]


def test_smtp_23_past_the_limit() -> None:
    """Past the limit of recipients 452; the earlier ones have the letter."""
    office = Office(max_recipients=1)
    peer = office.peer()
    heard = peer.ask(ENVELOPE + b"RCPT TO:<bob@x>\r\nDATA\r\n.\r\n")
    assert codes(heard) == ["250 2.1.0", "250 2.1.5", "452 4.5.3", "354", "250 2.0.0"]
    assert [copy.maildrop for copy in office.delivery.kept[0].copies] == [1]


def test_the_disk_is_behind() -> None:
    """While the disk is behind nothing more of the letter is taken; then it goes on where it was."""
    office = Office()
    behind: Deferred[None] = Deferred()
    office.delivery.behind = behind
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"one\r\n")
    office.delivery.behind = None
    assert peer.ask(b"two\r\n.\r\n") == b""
    assert office.delivery.drafts[0].body == b"one"
    behind.callback(None)
    assert codes(peer.heard()) == ["250 2.0.0"]
    assert office.delivery.drafts[0].body == b"one\r\ntwo\r\n"


def test_the_disk_fails_meanwhile(log: Logbook) -> None:
    """A write that fails later spoils its letter: 451 at its end, nothing kept, the next one goes well."""
    office = Office()
    behind: Deferred[None] = Deferred()
    office.delivery.behind = behind
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"one\r\n")
    office.delivery.behind = None
    behind.errback(BrokenError())
    assert codes(peer.ask(b"two\r\n.\r\n")) == ["451 4.3.0"]
    assert office.delivery.kept == []
    assert office.delivery.drafts[0].aborted
    assert len(log.take_failures(BrokenError)) == 1
    assert codes(peer.ask(ENVELOPE + b"DATA\r\n.\r\n"))[-1] == "250 2.0.0"


def test_gone_while_the_disk_is_behind() -> None:
    """A peer that goes while the disk is behind: the letter is forgotten, and nothing happens later."""
    office = Office()
    office.delivery.behind = Deferred()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"one\r\n")
    peer.leave()
    assert office.delivery.drafts[0].aborted
    office.delivery.behind.callback(None)
    assert office.delivery.kept == []
