"""Sessions of collection: UPDATE, patience, shutdown, limits, and what the log says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred, fail

from mailpost.collection.protocol import IDLE_SECONDS
from mailpost.guard import Guard, GuardRules
from mailpost.limits import MAX_BUFFERED, ConnectionLimits
from mailpost.outcome import TemporaryFailure
from tests.memory import BUFFER, SEGMENT, pass_time

from .office import LETTERS, LOGIN, Office

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")


class BrokenError(Exception):
    """Something that nobody expects."""


def test_pop3_14_ok_after_the_commit() -> None:
    """+OK to QUIT leaves after the letters are gone, not before."""
    office = Office()
    office.maildrop.let_go_answer = going = Deferred()
    peer = office.peer()
    assert peer.ask(b"DELE 3\r\nDELE 1\r\nQUIT\r\n").count(b"+OK") == 2
    assert office.maildrop.asked == [0, 2]
    assert office.maildrop.letters == LETTERS
    going.callback(None)
    assert peer.heard() == b"+OK good bye\r\n"
    assert office.maildrop.letters == LETTERS[1:2]
    assert peer.line.ending == "close"
    assert not peer.connected


@pytest.mark.parametrize("kind", [TemporaryFailure, BrokenError])
@pytest.mark.parametrize("how", ["raised", "failed", "failed later"])
def test_pop3_14_quit_that_fails(kind: type[Exception], how: str, log: Logbook) -> None:
    """Letters that cannot be let go: -ERR [SYS/TEMP] at QUIT, all are still there, the lock is free."""
    office = Office()
    peer = office.peer()
    later: Deferred[None] = Deferred()
    trouble = kind("disk I/O error")
    office.maildrop.let_go_answer = {"raised": trouble, "failed later": later}.get(how) or fail(
        trouble
    )
    peer.ask(b"DELE 1\r\n")
    heard = peer.ask(b"QUIT\r\n")
    if how == "failed later":
        assert heard == b""
        later.errback(trouble)
        heard = peer.heard()
    assert heard == b"-ERR [SYS/TEMP] nothing was deleted, try again later\r\n"
    assert not peer.connected
    assert office.maildrop.letters == LETTERS
    assert not office.maildrop.locked
    if kind is BrokenError:
        assert len(log.take_failures(BrokenError)) == 1
    else:
        assert log.lines("nothing") == ["nothing let go for alice: disk I/O error"]


def test_quit_without_marks_asks_nobody() -> None:
    """Where nothing is marked nothing is committed."""
    office = Office()
    peer = office.peer()
    assert peer.ask(b"DELE 1\r\nRSET\r\nQUIT\r\n").endswith(b"+OK good bye\r\n")
    assert office.maildrop.asked is None
    assert not peer.connected


@pytest.mark.parametrize("ending", ["lost", "closed", "idle", "errors", "too long", "shutdown"])
def test_pop3_15_no_other_end_deletes(ending: str) -> None:
    """Lost, closed, timed out, sent away, shut down: nothing is deleted, and the lock is free."""
    office = Office(max_errors=3)
    peer = office.peer()
    peer.ask(b"DELE 1\r\nDELE 2\r\nQUI")
    if ending == "idle":
        pass_time(office.clock, 601)
        assert peer.heard().startswith(b"-ERR ")
    elif ending == "errors":
        assert b"too many errors" in peer.ask(b"T!\r\n" * 9)
    elif ending == "too long":
        peer.ask(b"x" * 2000)
    elif ending == "shutdown":
        office.factory.shut_down()
        assert peer.heard().startswith(b"-ERR [SYS/TEMP] ")
    if ending in {"lost", "closed"}:
        peer.leave(cleanly=ending == "closed")
    assert not office.maildrop.locked
    peer.ask(b"T\r\nQUIT\r\n")
    peer.leave(cleanly=True)
    assert office.maildrop.asked is None
    assert office.maildrop.letters == LETTERS


def test_lost_during_the_update(log: Logbook) -> None:
    """QUIT was said, so the letters go, although nobody is there to hear of it."""
    office = Office()
    office.maildrop.let_go_answer = going = Deferred()
    peer = office.peer()
    peer.ask(b"DELE 1\r\nQUIT\r\n")
    peer.leave()
    going.callback(None)
    assert office.maildrop.letters == LETTERS[1:]
    assert not office.maildrop.locked
    assert len(log.lines("collection")) == 1


def test_pop3_19_idle() -> None:
    """A peer may be silent for 10 minutes; then it hears -ERR, and if it does not go it is cut off."""
    assert IDLE_SECONDS == 600
    office = Office()
    peer = office.peer()
    pass_time(office.clock, 599)
    assert peer.ask(b"NOOP\r\n") == b"+OK ok\r\n"
    pass_time(office.clock, 599)
    assert peer.heard() == b""
    pass_time(office.clock, 1)
    assert peer.heard().startswith(b"-ERR nothing heard for too long")
    pass_time(office.clock, 12)
    assert peer.line.ending == "abort"
    assert not peer.connected
    assert office.clock.getDelayedCalls() == []


def test_shutdown_waits_for_the_update() -> None:
    """Letters that are being let go are let go, and the peer hears so, before the office closes."""
    office = Office()
    office.maildrop.let_go_answer = going = Deferred()
    peer = office.peer()
    peer.ask(b"DELE 1\r\nQUIT\r\n")
    ended = office.factory.shut_down()
    assert peer.heard() == b""
    going.callback(None)
    assert peer.heard() == b"+OK good bye\r\n"
    assert not peer.connected
    assert ended.called


def test_the_maildrop_is_free_when_the_office_is_told_that_all_have_gone() -> None:
    """Whoever waits for the last session to end may close the store: nothing is held any more."""
    office = Office()
    peer = office.peer()
    closed: list[int] = []
    office.factory.shut_down().addCallback(lambda _: closed.append(office.snapshot.closed))
    peer.leave()
    assert closed == [1]


def test_a_login_that_is_taken_away() -> None:
    """It ends at once: [AUTH], since another password is needed (RFC 3206); nothing is let go."""
    office = Office()
    peer = office.peer()
    peer.ask(b"DELE 1\r\n")
    peer.protocol.revoked()
    assert peer.heard().startswith(b"-ERR [AUTH] this login is good no longer")
    assert office.snapshot.closed == 1
    assert office.maildrop.asked is None
    peer.protocol.revoked()  # harmless when repeated
    assert peer.heard() == b""
    pass_time(office.clock, 12)
    assert not peer.connected


def test_an_account_that_is_locked() -> None:
    """It ends at once, too: [SYS/PERM], since no other password would help (RFC 3206 §4)."""
    office = Office()
    peer = office.peer()
    peer.ask(b"DELE 1\r\n")
    peer.protocol.locked("ask the desk")
    assert peer.heard() == b"-ERR [SYS/PERM] this maildrop is locked: ask the desk\r\n"
    assert office.snapshot.closed == 1
    assert office.maildrop.asked is None
    peer.protocol.locked("ask the desk")  # harmless when repeated
    assert peer.heard() == b""


def test_a_login_that_is_taken_away_amid_a_letter() -> None:
    """Who takes a letter as slowly as can be is not waited for."""
    office = Office()
    office.maildrop.letters = list(LETTERS)
    peer = office.peer()
    office.snapshot.answers[0] = Deferred()
    peer.ask(b"RETR 1\r\n")
    peer.protocol.revoked()
    assert not peer.connected
    assert peer.line.ending == "abort"
    assert office.snapshot.closed == 1


def test_too_many_connections(log: Logbook) -> None:
    """One too many hears -ERR [SYS/TEMP] in place of the greeting; the log has a line of it a minute."""
    office = Office(limits=ConnectionLimits(per_address=1))
    office.peer()
    second = office.peer(inside=False)
    assert second.heard() == b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    assert not second.connected
    office.peer(inside=False)
    pass_time(office.clock, 60)
    office.peer(inside=False)
    assert log.lines("connection from") == [
        "connection from 192.0.2.1 refused: there are too many (0 more before it)",
        "connection from 192.0.2.1 refused: there are too many (1 more before it)",
    ]


def test_who_is_banned() -> None:
    """Not [AUTH], at which a client would ask its user for another password (RFC 3206)."""
    office = Office()
    guard = office.factory.guard = Guard(office.clock, GuardRules(guesses=1))
    guard.wrong("192.0.2.1", "alice", b"1")
    banned = office.peer(inside=False)
    assert banned.heard().startswith(b"-ERR [SYS/TEMP] your address is banned for now")
    assert not banned.connected


def test_a_million_commands_whose_replies_are_not_read() -> None:
    """The office stops reading, and holds a bounded rest."""
    office = Office()
    peer = office.peer()
    peer.stop_reading()
    sent = 0
    while peer.line.reading and sent < 1_000_000:
        peer.say(b"NOOP\r\n" * 10_000)
        sent += 10_000
    assert sent < 100_000
    assert peer.protocol.session.buffered <= MAX_BUFFERED + SEGMENT
    assert peer.line.most <= 3 * BUFFER
    peer.read_on()
    assert peer.heard().count(b"\r\n") == sent


def test_short_commands_with_long_answers() -> None:
    """However much is pipelined: no more is answered at once than is sent, and than the peer takes."""
    office = Office()
    office.checker.answer = check = Deferred()
    peer = office.peer(inside=False)
    peer.ask(LOGIN)
    peer.stop_reading()
    peer.say(b"CAPA\r\n" * 20_000)
    check.callback(b"alice")
    assert peer.line.most <= 3 * BUFFER
    peer.read_on()
    assert peer.heard().count(b"\r\n.\r\n") == 20_000


# The log ----------------------------------------------------------------------------------------------


def test_the_session_in_the_log(log: Logbook) -> None:
    """One line for a session: who, from where, how many letters retrieved and deleted, how long."""
    office = Office()
    peer = office.peer()
    pass_time(office.clock, 3)
    peer.ask(b"RETR 1\r\nRETR 1\r\nTOP 2 0\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n")
    assert not peer.connected
    (fields,) = log.fields("mailpost.collection", "retrieved")
    assert fields == {
        "user": "alice",
        "peer": "192.0.2.1",
        "retrieved": 2,
        "deleted": 2,
        "seconds": 3.0,
    }
    assert log.lines("collection") == [
        "collection by alice from 192.0.2.1: 2 retrieved, 2 deleted, 3.000 s"
    ]


def test_nobody_in_the_log(log: Logbook) -> None:
    """Who never logged in is nobody; marks without QUIT are no deletions."""
    office = Office()
    office.peer(inside=False).leave()
    peer = office.peer()
    peer.ask(b"DELE 1\r\n")
    peer.leave()
    nobody, alice = log.lines("collection")
    assert "by nobody from" in nobody
    assert "0 retrieved, 0 deleted" in alice


def test_no_secret_and_nothing_hostile_in_the_log(log: Logbook) -> None:
    """No password is ever logged, and no control character."""
    office = Office()
    office.factory.transcripts = True
    peer = office.peer(inside=False)
    peer.ask(
        b"USER \x1b[31m\r\nUSER al{ice}\r\nPASS hunter2\r\n"
        + LOGIN
        + b"PASS hunter2\r\nNOOP \x07\r\n"
    )
    peer.leave()
    lines = log.lines()
    assert any(line.endswith("C: PASS ********") for line in lines)
    assert any(line.endswith(r"C: USER \x1b[31m") for line in lines)
    assert not any("hunter2" in line or "secret" in line for line in lines)
    assert all(line.isprintable() for line in lines)
