"""APOP: offered only where it was asked for, and never with the same timestamp twice (RFC 1939 §7)."""

from __future__ import annotations

import hashlib
import re

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal

from mailpost.collection import POP3Factory
from tests.memory import Peer

from .office import Office

pytestmark = pytest.mark.usefixtures("log")


def greeted(*, apop: bool) -> list[tuple[Peer, bytes]]:
    """Two peers of a collection behind one of Twisted's own checkers, and what each was told first."""
    office = Office()
    portal = Portal(office.realm, [InMemoryUsernamePasswordDatabaseDontUse(alice=b"tanstaaf")])
    factory = POP3Factory("post.example.org", portal, office.clock, apop=apop)
    peers = [Peer(factory, office.clock, "192.0.2.1") for _ in range(2)]
    return [(peer, peer.heard()) for peer in peers]


def test_pop3_21_apop() -> None:
    """Two greetings at the same moment differ, and the digest of the one is nothing to the other."""
    stamps = []
    for peer, greeting in greeted(apop=True):
        (stamp,) = re.findall(rb"<[0-9a-f]{16}\.\d+@post\.example\.org>", greeting)
        stamps.append((peer, stamp))
    (first, one), (second, other) = stamps
    assert one != other
    said = b"APOP alice %b\r\n" % hashlib.md5(one + b"tanstaaf").hexdigest().encode()
    assert second.ask(said).startswith(b"-ERR [AUTH]")
    assert first.ask(said).startswith(b"+OK 3 letters")


def test_not_by_default() -> None:
    """The greeting has no timestamp, and the command is unknown."""
    for peer, greeting in greeted(apop=False):
        assert b"<" not in greeting
        assert peer.ask(b"APOP alice %b\r\n" % (b"0" * 32)) == b"-ERR unknown command\r\n"
