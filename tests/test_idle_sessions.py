"""What a session holds that is silent: by construction little, counted in octets, without sockets."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

import mailpost
from mailpost.accounts.portal import make_portal
from mailpost.collection import POP3Factory
from mailpost.config import Office as Settings
from mailpost.intake import SMTPFactory
from mailpost.limits import ConnectionLimits
from mailpost.store.accounts import Add
from mailpost.wire.login import Access
from mailpost.wire.smtp import Settings as Taken
from tests.intake.office import Delivery, Sorter
from tests.memory import Peer
from tests.store.conftest import Office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.listener import ConnectionFactory

SESSIONS = 200
LOGGED_IN = 1520
"""Octets of ours that a session may hold that has logged in to an empty maildrop: measured, 1,467."""

GREETED = 900
"""Octets of one that has been greeted over SMTP, and has said EHLO: measured, 863."""

LIMITS = ConnectionLimits(10 * SESSIONS, 10 * SESSIONS)
SETTINGS = Settings(hostname="post.example.org", domains=("example.org",))
PASSWORD = "open"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A store with an account for each session."""
    office = Office(tmp_path / "mail.db")
    encoded = QUICK.hash(PASSWORD)
    for number in range(2 * SESSIONS):
        office.ledger.submit(Add(f"user{number}", encoded, None, None))
    office.turn()
    yield office
    office.store.close()


@pytest.fixture
def pop3(office: Office) -> POP3Factory:
    """A listener for POP3 over the store."""
    portal = make_portal(office.store, SETTINGS, office._hop)
    return POP3Factory("post.example.org", portal, office.clock, LIMITS)


@pytest.fixture
def smtp(office: Office) -> SMTPFactory:
    """A listener for SMTP, where nothing is kept."""
    return SMTPFactory(Taken("post.example.org"), Sorter(), Delivery(), office.clock, LIMITS)


def logged_in(factory: ConnectionFactory, number: int) -> Peer:
    """Somebody has logged in, asked STAT, and says no more."""
    peer = Peer(factory, factory.clock)
    said = peer.ask(b"USER user%d\r\nPASS %s\r\nSTAT\r\n" % (number, PASSWORD.encode()))
    assert said.endswith(b"+OK 0 0\r\n")
    return peer


def greeted(factory: ConnectionFactory, _: int) -> Peer:
    """A host has said EHLO, and says no more."""
    peer = Peer(factory, factory.clock)
    assert b"250" in peer.ask(b"EHLO client.example.net\r\n")
    return peer


def held(
    office: Office, factory: ConnectionFactory, come: Callable[[ConnectionFactory, int], Peer]
) -> float:
    """Octets that each of many sessions holds, as far as lines of ours have taken them."""
    some = [come(factory, number) for number in range(SESSIONS)]  # what is there once for all
    office.turn()
    ours = [tracemalloc.Filter(True, str(Path(mailpost.__file__).parent / "*"))]
    gc.collect()
    tracemalloc.start()
    try:
        many = [come(factory, number) for number in range(SESSIONS, 2 * SESSIONS)]
        office.turn()  # what a login has noted waits no longer
        gc.collect()
        taken = tracemalloc.take_snapshot().filter_traces(ours).statistics("filename")
    finally:
        tracemalloc.stop()
    for peer in some + many:
        peer.leave()
    return sum(one.size for one in taken) / SESSIONS


def test_logged_in(office: Office, pop3: POP3Factory) -> None:
    """A session that has logged in holds little more than its objects."""
    assert held(office, pop3, logged_in) < LOGGED_IN


def test_greeted(office: Office, smtp: SMTPFactory) -> None:
    """So does one that may bring a letter."""
    assert held(office, smtp, greeted) < GREETED


def test_nothing_of_the_engines_has_a_dict(pop3: POP3Factory, smtp: SMTPFactory) -> None:
    """Engines, their input, marks, open maildrops and outlets have slots alone."""
    peer = logged_in(pop3, 0)
    collecting, sending = peer.line.protocol, greeted(smtp, 0).line.protocol
    engine = collecting.session
    parts = [engine, engine._input, engine._maildrop, collecting.snapshot, collecting._outlet]
    parts += [sending.session, sending.session._input, sending._outlet]
    assert [part for part in parts if hasattr(part, "__dict__")] == []


def test_an_idle_session_keeps_no_words(pop3: POP3Factory) -> None:
    """Nothing of what was said or heard is held, the password least of all."""
    engine = logged_in(pop3, 0).line.protocol.session
    assert engine._input._data == b""
    assert engine._output is None


def test_access_is_shared(pop3: POP3Factory) -> None:
    """How a peer may come in is one object for all who may come in so."""
    here, there = logged_in(pop3, 0), logged_in(pop3, 1)
    access = here.line.protocol.session._access
    assert isinstance(access, Access)
    assert access is there.line.protocol.session._access
