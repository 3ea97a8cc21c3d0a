"""Sessions of intake: patience, shutdown, limits, and what the log says of them."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from mailpost.bans import Ban
from mailpost.envelope import Destination, new_trace
from mailpost.guard import Guard, GuardRules
from mailpost.intake.listeners import IDLE_SECONDS
from mailpost.limits import ConnectionLimits
from mailpost.outcome import Delivered, TryLater
from tests.memory import pass_time

from .office import ENVELOPE, Office, codes

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")


def test_smtp_37_idle() -> None:
    """A peer may be silent for 5 minutes; then it hears 421, and if it does not go it is cut off."""
    assert IDLE_SECONDS == 300
    office = Office()
    peer = office.peer()
    pass_time(office.clock, 299)
    assert codes(peer.ask(b"NOOP\r\n")) == ["250 2.0.0"]
    pass_time(office.clock, 299)
    assert peer.heard() == b""
    pass_time(office.clock, 1)
    assert codes(peer.heard()) == ["421 4.4.2"]
    assert peer.line.ending == "half-close"
    assert peer.ask(b"NOOP\r\n") == b""
    pass_time(office.clock, 9)
    assert peer.connected
    pass_time(office.clock, 3)
    assert peer.line.ending == "abort"
    assert not peer.connected
    assert office.clock.getDelayedCalls() == []


def test_idle_within_a_letter() -> None:
    """Silence within a letter is silence, too; nothing is left of the letter."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"half a letter\r\n")
    pass_time(office.clock, 301)
    assert codes(peer.heard()) == ["421 4.4.2"]
    peer.leave(cleanly=True)
    assert office.delivery.drafts[0].aborted
    assert office.delivery.kept == []


def test_we_are_slow_not_the_peer() -> None:
    """While the peer waits for us its silence does not count, however long it takes."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\nhi\r\n.\r\n")
    pass_time(office.clock, 1000)
    assert peer.heard() == b""
    assert peer.connected
    office.delivery.kept[0].committed.callback([Delivered()])
    assert codes(peer.heard()) == ["250 2.0.0"]
    pass_time(office.clock, 301)
    assert codes(peer.heard()) == ["421 4.4.2"]


def test_a_peer_that_goes_while_a_question_is_open() -> None:
    """While a question is open the connection is read, so that a peer that has gone is noticed."""
    office = Office()
    slow: Deferred[object] = Deferred()
    office.sorter.answers["slow"] = slow
    peer = office.peer()
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<slow@x>\r\nNOOP\r\n")
    assert peer.line.reading
    peer.leave()
    assert office.factory.connections == set()
    slow.callback(Destination(3, "slow@x"))
    assert office.delivery.drafts == []


def test_given_up_while_a_question_is_open() -> None:
    """Who does not read is given up although a question is open; the late answer harms nothing."""
    office = Office()
    slow = office.sorter.answers["slow"] = Deferred()
    peer = office.peer()
    peer.ask(b"MAIL FROM:<>\r\n")
    peer.stop_reading()
    peer.say(b"NOOP\r\n" * 4_000)
    peer.say(b"NOOP\r\n" * 1_000 + b"RCPT TO:<slow@x>\r\n")
    pass_time(office.clock, 301)
    assert peer.protocol.session.closed
    slow.callback(Destination(3, "slow@x"))
    assert peer.protocol.session.asked is None
    pass_time(office.clock, 12)
    assert not peer.connected


def test_smtp_38_shutdown() -> None:
    """At shutdown every session hears 421; when the last has gone it is told."""
    office = Office()
    idle, busy = office.peer(), office.peer()
    busy.ask(ENVELOPE + b"DATA\r\nhalf")
    ended = office.factory.shut_down()
    assert codes(idle.heard()) == codes(busy.heard()) == ["421 4.3.2"]
    idle.leave(cleanly=True)
    assert not ended.called
    busy.leave(cleanly=True)
    assert ended.called
    assert office.delivery.drafts == [] or office.delivery.drafts[0].aborted


def test_shutdown_of_an_empty_house() -> None:
    """Where nobody is there it is over at once, any number of times."""
    office = Office()
    assert office.factory.shut_down().called
    assert office.factory.shut_down().called


def test_shutdown_waits_for_a_commit() -> None:
    """A letter that is being committed has its 250 before the 421; nothing more is begun."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    letter = ENVELOPE + b"DATA\r\nhi\r\n.\r\n"
    peer.ask(letter + letter)
    ended = office.factory.shut_down()
    assert peer.heard() == b""
    office.delivery.kept[0].committed.callback([Delivered()])
    assert codes(peer.heard()) == ["250 2.0.0", "421 4.3.2"]
    assert len(office.delivery.drafts) == 1
    peer.leave(cleanly=True)
    assert ended.called


def test_shutdown_while_the_disk_is_behind() -> None:
    """A letter in the midst of which the disk is behind is not waited for."""
    office = Office()
    office.delivery.behind = Deferred()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"half\r\n")
    office.factory.shut_down()
    assert codes(peer.heard()) == ["421 4.3.2"]
    office.delivery.behind.callback(None)
    assert peer.heard() == b""


def test_a_login_that_is_taken_away() -> None:
    """421 at once; a letter that was on its way is forgotten."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\nhalf")
    peer.protocol.revoked()
    assert codes(peer.heard()) == ["421 4.7.0"]
    peer.leave(cleanly=True)
    assert all(draft.aborted for draft in office.delivery.drafts)
    assert office.delivery.kept == []


@pytest.mark.parametrize(("reason", "told"), [("", b""), ("ask the desk", b": ask the desk")])
def test_an_account_that_is_locked(reason: str, told: bytes) -> None:
    """421 at once, with the reason; a letter that was on its way is forgotten."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\nhalf")
    peer.protocol.locked(reason)
    assert peer.heard() == b"421 4.7.0 this account is locked%b\r\n" % told
    peer.leave(cleanly=True)
    assert office.delivery.kept == []


def test_cut_off() -> None:
    """Who has not gone in time is cut off."""
    office = Office()
    peer = office.peer()
    ended = office.factory.shut_down()
    office.factory.cut_off()
    assert not peer.connected
    assert peer.line.ending == "abort"
    assert ended.called


def test_too_many_from_one_address(log: Logbook) -> None:
    """One connection too many hears 421 in place of the greeting, and is closed; others are not."""
    office = Office(ConnectionLimits(per_address=2))
    first, _second = office.peer(), office.peer()
    third = office.peer(greeted=False)
    assert codes(third.heard()) == ["421 4.7.0"]
    assert not third.connected
    assert third.line.ending == "close"
    office.peer("192.0.2.2")
    for _ in range(5):
        office.peer("127.0.0.1")
        office.peer("")
    first.leave()
    assert len(log.lines("intake")) == 1
    office.peer()
    assert codes(office.peer(greeted=False).heard()) == ["421 4.7.0"]


def test_refused_without_having_left_anything() -> None:
    """Who was refused is not counted, not watched and not listened to."""
    office = Office(ConnectionLimits(total=1))
    office.peer()
    refused = office.peer(greeted=False)
    refused.say(b"EHLO x\r\n" * 1000)
    assert codes(refused.heard()) == ["421 4.7.0"]
    assert len(office.factory.connections) == 1
    refused.leave()
    assert len(office.factory.connections) == 1


def test_who_is_banned() -> None:
    """421 in place of the greeting, for the ban's time; others come in, and who is in stays."""
    office = Office()
    guard = office.factory.guard = Guard(office.clock, GuardRules(guesses=2, ban=60))
    before = office.peer()
    for password in (b"1", b"2"):
        guard.wrong("192.0.2.1", "alice", password)
    banned = office.peer(greeted=False)
    assert banned.heard().startswith(b"421 4.7.0 your address is banned for now")
    assert not banned.connected
    assert before.connected
    office.peer("192.0.2.2")
    pass_time(office.clock, 60)
    office.peer()


def by_hand(office: Office, network: str) -> int:
    """The owner bans a network; how many sessions that ends."""
    guard = office.factory.guard = Guard(office.clock)
    guard.bans.add(Ban(ip_network(network), None, office.clock.seconds(), "", by_hand=True))
    return office.factory.turn_away()


def test_who_is_banned_in_the_midst_of_it() -> None:
    """421 whatever was going on; what was not confirmed has not happened. Another's session goes on."""
    office = Office()
    peer, other = office.peer(), office.peer("198.51.100.1")
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"half a let")
    assert by_hand(office, "192.0.2.0/24") == 1
    assert peer.heard().startswith(b"421 4.7.0 your address is banned for now")
    assert not peer.connected
    assert office.delivery.drafts[0].aborted
    assert other.ask(b"NOOP\r\n").startswith(b"250 ")


def test_who_is_banned_while_an_answer_is_waited_for() -> None:
    """The connection is cut; a letter that is being written is kept, and nobody hears of it."""
    office = Office()
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(ENVELOPE + b"DATA\r\n")
    peer.ask(b"A: 1\r\n\r\n.\r\n")
    assert by_hand(office, "192.0.2.1") == 1
    assert not peer.connected
    assert peer.heard() == b""
    committed = office.delivery.drafts[0].committed
    assert committed is not None
    committed.callback([Delivered()])


def test_an_ipv4_peer_at_a_socket_for_both() -> None:
    """A mapped address is the IPv4 address it maps: for the limits, in the log and in Received."""
    office = Office(ConnectionLimits(per_address=1))
    peer = office.peer("::ffff:192.0.2.1")
    assert codes(office.peer("192.0.2.1", greeted=False).heard()) == ["421 4.7.0"]
    assert peer.protocol.peer == "192.0.2.1"
    for _ in range(3):
        office.peer("::ffff:127.0.0.1")


def test_nagle_is_off() -> None:
    """Replies are small and awaited: TCP_NODELAY is set."""
    assert Office().peer().line.nodelay


# The log ----------------------------------------------------------------------------------------------


def test_the_letter_in_the_log(log: Logbook) -> None:
    """One line for a letter, with the trace id that the 250 names."""
    office = Office()
    peer = office.peer()
    heard = peer.ask(ENVELOPE + b"RCPT TO:<bob@example.org>\r\nDATA\r\nhello\r\n.\r\n")
    trace = heard.split()[-1].decode()
    (fields,) = log.fields("mailpost.intake", "trace")
    assert fields == {
        "trace": trace,
        "sender": ("carol", "example.net"),
        "recipients": "alice@example.org, bob@example.org",
        "octets": 7,
        "peer": "192.0.2.1",
        "outcome": "kept",
    }
    assert log.lines("letter") == [
        (
            f"letter {trace} from <carol@example.net> to alice@example.org, bob@example.org,"
            " 7 octets, by 192.0.2.1: kept"
        )
    ]
    assert re.fullmatch(r"[0-9a-f]{16}", trace)
    assert len({new_trace() for _ in range(100)}) == 100


def test_a_refused_letter_in_the_log(log: Logbook) -> None:
    """One line for a letter that was refused, and one for one that could not be kept; with the reason."""
    office = Office(max_octets=10)
    office.delivery.at_once = False
    peer = office.peer()
    peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n" + b"x" * 100 + b"\r\n.\r\n")
    peer.ask(ENVELOPE + b"DATA\r\n.\r\n")
    office.delivery.kept[0].committed.callback([TryLater(reason="ledger: disk I/O error")])
    refused, put_off = log.lines("letter")
    assert "from <> to alice@example.org, by 192.0.2.1: 552 5.3.4" in refused
    assert "octets, by 192.0.2.1: 451 4.3.0" in put_off
    assert put_off.endswith("(ledger: disk I/O error)")


def test_no_line_for_what_was_no_letter(log: Logbook) -> None:
    """RSET and lost connections leave no line for a letter."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"RSET\r\n" + ENVELOPE + b"DATA\r\nhalf")
    peer.leave()
    assert log.lines("letter") == []


def test_many_recipients_in_the_log(log: Logbook) -> None:
    """Of many recipients the first ten are named, and how many more there are."""
    office = Office()
    names = [f"u{number}" for number in range(13)]
    office.sorter.answers = {n: Destination(i, f"{n}@x") for i, n in enumerate(names)}
    recipients = "".join(f"RCPT TO:<{name}@x>\r\n" for name in names).encode()
    office.peer().ask(b"MAIL FROM:<>\r\n" + recipients + b"DATA\r\n.\r\n")
    (line,) = log.lines("letter")
    assert " to u0@x, " in line
    assert "u9@x and 3 more, " in line


def test_the_session_in_the_log(log: Logbook) -> None:
    """One line for a session: who, how many letters, how many recipients refused, how long."""
    office = Office()
    peer = office.peer()
    peer.ask(ENVELOPE + b"RCPT TO:<no@x>\r\nRCPT TO:<nor@x>\r\nDATA\r\n.\r\n")
    pass_time(office.clock, 2)
    peer.ask(b"QUIT\r\n")
    assert not peer.connected
    (fields,) = log.fields("mailpost.intake", "helo")
    assert fields == {
        "peer": "192.0.2.1",
        "helo": "client.example.net",
        "letters": 1,
        "refused": 2,
        "seconds": 2.0,
    }
    assert log.lines("intake") == [
        "intake from 192.0.2.1 (client.example.net): 1 letters, 2 recipients refused, 2.000 s"
    ]


def test_nothing_hostile_in_the_log(log: Logbook) -> None:
    """Control characters, escapes and 8-bit from the wire never reach the log as they are."""
    office = Office()
    office.factory.transcripts = True
    peer = office.peer(greeted=False)
    for said in (b"EHLO \x1b[31mred\x07", b"HELO \xff\0", b"NOOP \x9b2J", b"MAIL FROM:<\x1b@x>"):
        peer.ask(said + b"\r\n")
    peer.ask(b"EHLO client\r\nMAIL FROM:<%s@x.{peer}>\r\n")
    peer.leave()
    assert all(line.isprintable() and line.isascii() for line in log.lines())
    assert any(r"C: EHLO \x1b[31mred\x07" in line for line in log.lines())
    assert any("S: 500 5.5.2" in line for line in log.lines())


def test_transcripts_are_off(log: Logbook) -> None:
    """Without being asked for, no line of a session is logged."""
    office = Office()
    office.peer().ask(b"NOOP\r\n")
    assert log.lines() == []
