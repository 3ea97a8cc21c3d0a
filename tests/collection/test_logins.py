"""Logging in: the Portal, the lock, and whatever may go wrong with them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail

from mailpost.outcome import MaildropInUse, MaildropLocked, TemporaryFailure

from .office import LOGIN, Office

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.logbook import Logbook
    from tests.memory import Peer

pytestmark = pytest.mark.usefixtures("log")


class BrokenError(Exception):
    """Something that nobody expects."""


def log_in(office: Office, octets: bytes = LOGIN) -> tuple[Peer, bytes]:
    """A peer who tries to log in, and the last line of the answer."""
    peer = office.peer(inside=False)
    peer.heard()
    return peer, peer.ask(octets).split(b"\r\n")[-2]


def test_what_the_portal_is_asked() -> None:
    """Name and password as they were given, and from where they came."""
    office = Office()
    _, answer = log_in(office, b"USER Bob Smith\r\nPASS  pass\xe9 word \r\n")
    assert answer.startswith(b"-ERR [AUTH] ")
    assert office.checker.asked == [(b"Bob Smith", b" pass\xe9 word ", "192.0.2.1")]


@pytest.mark.parametrize("how", [lambda failure: failure, fail])
def test_pop3_26_wrong_password(how: Callable[[Exception], object]) -> None:
    """Whoever is not let in hears [AUTH], nothing else, and may try again."""
    office = Office()
    office.checker.answer = how(UnauthorizedLogin("the reason is nobody's business"))
    peer, answer = log_in(office)
    assert answer == b"-ERR [AUTH] name or password is wrong"
    office.checker.answer = None
    assert peer.ask(LOGIN).endswith(b"+OK 3 letters, %d octets\r\n" % sum(office.snapshot.sizes))


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (MaildropInUse(), b"[IN-USE]"),
        (MaildropLocked("moved out"), b"[SYS/PERM] this maildrop is locked: moved out"),
        (MaildropLocked(""), b"[SYS/PERM] this maildrop is locked"),
        (TemporaryFailure("the store is closed"), b"[SYS/TEMP]"),
        (BrokenError(), b"[SYS/TEMP]"),
    ],
)
@pytest.mark.parametrize("where", ["checker", "open", "open later"])
def test_pop3_25_26_trouble(trouble: Exception, code: bytes, where: str, log: Logbook) -> None:
    """Trouble at any step of a login is told by its code, the line is kept, and a retry goes well."""
    office = Office()
    later: Deferred[object] = Deferred()
    if where == "checker":
        office.checker.answer = trouble
    else:
        office.maildrop.opening = trouble if where == "open" else later
    peer, answer = log_in(office)
    if where == "open later":
        assert answer == b"+OK and the password?"
        assert peer.ask(b"CAPA\r\n") == b""
        later.errback(trouble)
        lines = peer.heard().split(b"\r\n")
        answer = lines[0]
        assert lines[1].startswith(b"+OK"), "what was pipelined is answered, too"
        office.maildrop.locked = False
    assert answer.startswith(b"-ERR " + code)
    if isinstance(trouble, BrokenError):
        assert log.take_failures(BrokenError)
    elif isinstance(trouble, TemporaryFailure):
        assert any("of alice put off: the store is closed" in line for line in log.lines("login"))
    office.checker.answer = office.maildrop.opening = None
    assert b"+OK 3 letters" in peer.ask(LOGIN)


def test_names_in_the_log(log: Logbook) -> None:
    """A name that is no word is quoted and escaped, so that it cannot look like the rest of a line."""
    office = Office()
    office.checker.answer = TemporaryFailure("later")
    said = "Eve put off: y ö".encode()
    peer, _ = log_in(office, b"UTF8\r\nUSER %b\r\nPASS x\r\n" % said)
    assert log.lines("login") == [r"login of 'Eve put off: y \xf6' put off: later"]
    peer.ask(b"USER alice from 127.0.0.1: 9 retrieved\r\n")
    peer.leave()
    (line,) = log.lines("collection by")
    assert line.startswith("collection by 'alice from 127.0.0.1: 9 retrieved' from 192.0.2.1: 0 ")


def test_pop3_06_one_session_at_a_time() -> None:
    """A second login hears [IN-USE] while the first session lives, and succeeds when it has gone."""
    office = Office()
    first = office.peer()
    second, answer = log_in(office)
    assert answer.startswith(b"-ERR [IN-USE] ")
    first.leave()
    assert b"+OK 3 letters" in second.ask(LOGIN)
    assert second.ask(b"QUIT\r\n").startswith(b"+OK")
    assert log_in(office)[1].startswith(b"+OK")


def test_pop3_06_free_before_good_bye() -> None:
    """The lock is released before the peer hears that the session is over: it may come again at once."""
    office = Office()
    for said in (b"QUIT\r\n", b"DELE 1\r\nQUIT\r\n", b"x" * 2000):
        peer = office.peer()
        closed_at = []
        write = peer.line.write
        peer.line.write = lambda data, w=write, c=closed_at: (
            c.append(office.snapshot.closed),
            w(data),
        )
        peer.ask(said)
        assert closed_at[-1] == 1
        assert not office.maildrop.locked


def test_gone_during_the_check() -> None:
    """A peer that goes while its password is checked: the check is cancelled, nothing is opened."""
    office = Office()
    cancelled: list[object] = []
    office.checker.answer = Deferred(cancelled.append)
    peer, _ = log_in(office)
    peer.leave()
    assert len(cancelled) == 1
    assert not office.maildrop.locked
    assert office.factory.connections == set()


def test_gone_during_the_check_that_cannot_be_cancelled() -> None:
    """The same where the check goes on all the same, and ends well later: what it opened is closed."""
    office = Office()

    class Stubborn(Deferred[bytes]):
        def cancel(self) -> None:
            pass

    office.checker.answer = check = Stubborn()
    peer, _ = log_in(office)
    peer.leave()
    check.callback(b"alice")
    assert not office.maildrop.locked
    assert office.snapshot.closed == 1


def test_an_idle_session_holds_nothing_of_its_login() -> None:
    """When the login is over no Deferred of it is left, whether it was known at once or later."""
    office = Office()
    gc.collect()
    before = deferreds()
    peers = [office.peer()]
    gc.collect()
    assert deferreds() == before
    peers.pop().leave()
    office.checker.answer = check = Deferred()
    peer, _ = log_in(office)
    check.callback(b"alice")
    assert peer.heard().startswith(b"+OK 3 letters")
    office.checker.answer = check = None
    gc.collect()
    assert deferreds() == before


def deferreds() -> int:
    """How many Deferreds there are."""
    return sum(isinstance(one, Deferred) for one in gc.get_objects())


def test_logout() -> None:
    """A realm's logout is called once, when the session is over."""
    office = Office()
    logouts: list[int] = []
    office.realm.logout = lambda: logouts.append(1)
    peer = office.peer()
    assert logouts == []
    peer.leave()
    assert logouts == [1]


def test_shutdown_during_the_check() -> None:
    """At shutdown a login under way is answered first; then the session ends, and holds no lock."""
    office = Office()
    office.checker.answer = check = Deferred()
    peer, _ = log_in(office, LOGIN + b"DELE 1\r\nQUIT\r\n")
    office.factory.shut_down()
    check.callback(b"alice")
    lines = peer.heard().split(b"\r\n")
    assert lines[0].startswith(b"+OK 3 letters")
    assert lines[1].startswith(b"-ERR [SYS/TEMP] the post office is closing")
    assert len(lines) == 3
    assert not office.maildrop.locked
    assert len(office.maildrop.letters) == 3


def test_guessing() -> None:
    """Who guesses is sent away after so many wrong passwords; the next connection is welcome."""
    office = Office(max_errors=3)
    peer, _ = log_in(office, b"USER alice\r\nPASS guess\r\n" * 10)
    assert len(office.checker.asked) == 4
    assert not peer.protocol.session.asked
    assert peer.line.ending == "half-close"
    assert log_in(office)[1].startswith(b"+OK")


def test_the_portal_takes_its_time() -> None:
    """What was pipelined behind PASS waits for it, in its order."""
    office = Office()
    office.checker.answer = check = Deferred()
    peer = office.peer(inside=False)
    peer.heard()
    assert peer.ask(LOGIN + b"STAT\r\nLIST 1\r\n") == b"+OK and the password?\r\n"
    check.callback(b"alice")
    lines = peer.heard().split(b"\r\n")
    sizes = office.snapshot.sizes
    assert lines[1] == b"+OK 3 %d" % sum(sizes)
    assert lines[2] == b"+OK 1 %d" % sizes[0]
