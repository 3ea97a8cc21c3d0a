"""LOGIN-DELAY: announced where it is enforced, and enforced where it is announced (RFC 2449 §6.5)."""

from __future__ import annotations

import pytest

from mailpost.collection import POP3Factory
from tests.memory import Peer

from .office import LOGIN, Office

pytestmark = pytest.mark.usefixtures("log")


def office(seconds: int) -> Office:
    """A collection whose maildrops rest so long between two logins."""
    office = Office()
    office.factory = POP3Factory(
        "post.example.org", office.portal, office.clock, login_delay=seconds
    )
    return office


def comes(office: Office) -> bytes:
    """Somebody logs in and leaves; the answer to PASS."""
    peer = Peer(office.factory, office.clock, "192.0.2.1")
    peer.heard()
    answer = peer.ask(LOGIN).split(b"\r\n")[1]
    peer.ask(b"QUIT\r\n")
    return answer


def test_pop3_25_too_soon() -> None:
    """Within the time: -ERR [LOGIN-DELAY], the lock is free again; after it one is let in."""
    small = office(60)
    assert comes(small).startswith(b"+OK")
    small.clock.advance(59)
    assert comes(small).startswith(b"-ERR [LOGIN-DELAY] ")
    assert not small.maildrop.locked
    small.clock.advance(1)
    assert comes(small).startswith(
        b"+OK"
    )  # from the login that was let in, not from the refused one


def test_a_wrong_password_does_not_begin_it() -> None:
    """Whoever guesses keeps nobody out, and does not learn whether somebody was here."""
    small = office(60)
    small.checker.answer = None
    peer = Peer(small.factory, small.clock, "192.0.2.2")
    peer.heard()
    assert peer.ask(b"USER alice\r\nPASS wrong\r\n").split(b"\r\n")[1].startswith(b"-ERR [AUTH]")
    assert comes(small).startswith(b"+OK")
    assert peer.ask(b"USER alice\r\nPASS wrong\r\n").split(b"\r\n")[1].startswith(b"-ERR [AUTH]")


def test_pop3_22_announced_where_true() -> None:
    """CAPA tells the seconds, and is silent where there are none."""
    for seconds in (0, 60):
        small = office(seconds)
        peer = Peer(small.factory, small.clock, "192.0.2.1")
        peer.heard()
        assert (b"LOGIN-DELAY 60\r\n" in peer.ask(b"CAPA\r\n")) is bool(seconds)


def test_without_a_delay_everybody_comes_at_once() -> None:
    """The default."""
    small = office(0)
    assert [comes(small)[:3] for _ in range(3)] == [b"+OK"] * 3
