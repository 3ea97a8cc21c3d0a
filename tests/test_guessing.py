"""A thousand wrong passwords at once, over the wire: the victim comes in, and nobody learns who exists.

The rooms are the real ones, from the PROXY header to the store; only the hasher is the test's, which counts
what it is asked and takes as long as it is told to.
"""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred

from mailpost.accounts import passwords
from mailpost.accounts.portal import make_portal
from mailpost.accounts.scram import KeyMaker, encode
from mailpost.accounts.turnstile import Turnstile
from mailpost.collection import POP3Factory
from mailpost.config import Config
from mailpost.guard import Guard, GuardRules
from mailpost.intake import SubmissionFactory
from mailpost.limits import ConnectionLimits
from mailpost.proxied import ProxiedFactory
from mailpost.sorting.local import LocalSorter
from mailpost.wire.smtp import Settings
from tests.memory import Peer, pass_time
from tests.store.conftest import Office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROXY = "10.0.0.5"
HOME = "198.51.100.1"  # where alice is known
SECRET = b"a long secret"
CONFIG = {
    "office": {"hostname": "mx.example.org", "domains": ["example.org"]},
    "listen": [{"protocol": "pop3", "endpoint": "tcp:110"}],
}
ROOM = 300  # of the guard: fewer than there are guessers


class Hasher:
    """Checks passwords when it is told to.

    :ivar asked: what it was asked to check against, and with which password.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.running: list[tuple[Callable[[], bool], Deferred[bool]]] = []

    def in_thread(self, work: Callable[[], bool]) -> Deferred[bool]:
        done: Deferred[bool] = Deferred()
        self.running.append((work, done))
        return done

    def matches(self, encoded: str, password: bytes) -> bool:
        self.asked.append((encoded, password))
        return encoded == f"hash of {password.decode()}"

    def work(self) -> None:
        """Check all there is, and what comes of it."""
        while self.running:
            work, done = self.running.pop(0)
            done.callback(work())


class Town:
    """An office with two doors behind a load balancer, a guard, and an account of alice."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hasher = Hasher()
        monkeypatch.setattr(passwords, "matches", self.hasher.matches)
        self.office = Office(path / "mail.db")
        store, self.clock = self.office.store, self.office.clock
        maker = KeyMaker(store.secret, store.iterations)
        self.office.accounts.add(
            "alice", f"hash of {SECRET.decode()}", encode(maker.make("alice", SECRET.decode()))
        )
        self.office.accounts.add("bob", None)
        config = Config.model_validate(CONFIG)
        portal = make_portal(store, config.office, self.hasher.in_thread)
        self.guard = Guard(self.clock, GuardRules(room=ROOM), store.bans.keep)
        store.bans.fill(self.guard.bans, lambda: None)
        limits = ConnectionLimits(1000, 50)
        self.pop3 = POP3Factory("mx.example.org", portal, self.clock, limits)
        self.submission = SubmissionFactory(
            Settings("mx.example.org", needs_login=True),
            LocalSorter(store.addresses, config),
            store.delivery,
            self.clock,
            limits,
            portal=portal,
        )
        self.doors = {}
        for room in (self.pop3, self.submission):
            room.guard = self.guard
            self.doors[room] = ProxiedFactory(room, [ip_network(f"{PROXY}/32")], self.clock)

    def comes(self, host: str, room: Any = None) -> Peer:
        """Somebody connects through the balancer."""
        peer = Peer(self.doors[room or self.pop3], self.clock, PROXY)
        kind, here = ("TCP6", "2001:db8::25") if ":" in host else ("TCP4", "192.0.2.25")
        peer.say(f"PROXY {kind} {host} {here} 4711 110\r\n".encode())
        return peer

    def guesses(self, host: str, name: str, password: bytes) -> Peer:
        """Somebody tries a password, if they are let in; they wait for the answer."""
        peer = self.comes(host)
        peer.say(b"USER %s\r\nPASS %s\r\n" % (name.encode(), password))
        return peer

    def logs_in(self, host: str = HOME, password: bytes = SECRET) -> bytes:
        """Alice collects; the answer to PASS that she has by now, without any time passing."""
        peer = self.guesses(host, "alice", password)
        answer = peer.heard().split(b"\r\n")[2:-1]
        peer.leave()
        return answer[0] if answer else b""


IN = b"+OK 0 letters, 0 octets"


@pytest.fixture
def new_town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any) -> Iterator[Town]:
    """A town whose office has just opened."""
    town = Town(tmp_path, monkeypatch)
    yield town
    for room in (town.pop3, town.submission):
        room.cut_off()
    town.clock.advance(0)
    town.hasher.work()
    town.office.store.close()


@pytest.fixture
def town(new_town: Town) -> Town:
    """A town whose alice has logged in from home before."""
    peer = new_town.guesses(HOME, "alice", SECRET)
    new_town.hasher.work()
    assert peer.heard().endswith(IN + b"\r\n")
    peer.leave()
    new_town.hasher.asked.clear()
    return new_town


def words(peer: Peer) -> bytes:
    """The first word of the latest line that a peer has heard, with its code."""
    found = re.match(rb"(?s)(?:.*\r\n)?([+-]\w+(?: \[[^\]]+\])?)[^\r\n]*\r\n$", peer.heard())
    return found[1] if found else b""


def test_from_one_address(town: Town) -> None:
    """Fifty get as far as a password, thirty of them get the ban, and the others hear so for an hour."""
    peers = [town.guesses("203.0.113.7", "alice", b"guess %d" % number) for number in range(1000)]
    assert town.logs_in() == IN
    refused = [peer for peer in peers if words(peer) == b"-ERR [SYS/TEMP]"]
    assert len(refused) == 950
    assert len(town.pop3.connections) == 50
    town.hasher.work()
    assert len(town.hasher.asked) == 50  # the longest that the victim's neighbour would wait for
    assert town.guard.banned("203.0.113.7")
    assert town.logs_in() == IN
    pass_time(town.clock, 16)
    assert {words(peer) for peer in peers} <= {b"", b"-ERR [AUTH]"}
    for room, hears in (
        (town.pop3, b"-ERR [SYS/TEMP] your address is banned for now, try again later\r\n"),
        (town.submission, b"421 4.7.0 your address is banned for now, try again later\r\n"),
    ):
        late = town.comes("203.0.113.7", room)
        assert late.heard() == hears
        assert not late.connected
    assert len(town.hasher.asked) == 50
    assert town.logs_in() == IN
    town.office.turn()
    assert [str(ban.network) for ban in town.office.store.bans.in_force()] == ["203.0.113.7/32"]
    pass_time(town.clock, 3600, 60)
    assert words(town.comes("203.0.113.7")) == b"+OK"


def test_from_a_thousand_addresses(town: Town) -> None:
    """No address stands out. The victim's own programs notice nothing; on the way she waits four seconds."""
    hosts = [f"203.0.{number >> 8}.{number & 255}" for number in range(1000)]
    for wave in range(2):
        peers = [town.guesses(host, "alice", b"guess %d" % wave) for host in hosts]
        assert len(town.pop3.connections) == 900  # the rest is for those who are known
        assert town.logs_in() == IN
        assert len(town.hasher.asked) <= 900 * wave
        pass_time(
            town.clock, 4
        )  # the name is guarded from the second wave on: they are held back first
        town.hasher.work()
        assert len(town.hasher.asked) == 900 * (wave + 1)
        assert town.logs_in() == IN
        pass_time(town.clock, 16)
        assert [words(peer) for peer in peers] == [b"-ERR [AUTH]"] * 900 + [
            b"-ERR [SYS/TEMP]"
        ] * 100
        for peer in peers:
            peer.leave()
        assert max(town.guard.sizes) <= ROOM
        assert len(town.pop3.connections) == 0
    assert not list(town.guard.bans)
    on_the_way = town.guesses("192.0.2.9", "alice", SECRET)
    pass_time(town.clock, 3)
    assert words(on_the_way) == b"+OK"
    pass_time(town.clock, 1)
    assert on_the_way.heard() == IN + b"\r\n"
    on_the_way.leave()
    assert town.logs_in("192.0.2.9") == IN  # known here, from now on


def test_from_one_network_of_ipv6(town: Town) -> None:
    """A /64 is one address, of which one machine can have all; a ban covers it whole."""
    hosts = [f"2001:db8::{number:x}" for number in range(1, 1001)]
    peers = [town.guesses(host, "alice", host.encode()) for host in hosts]
    assert len(town.pop3.connections) == 50
    town.hasher.work()
    assert town.logs_in() == IN
    assert words(town.comes("2001:db8::ffff")) == b"-ERR [SYS/TEMP]"
    assert words(town.comes("2001:db8:0:1::1")) == b"+OK"
    assert max(town.guard.sizes) == 1
    pass_time(town.clock, 16)
    assert all(words(peer) in {b"", b"-ERR [AUTH]", b"-ERR [SYS/TEMP]"} for peer in peers)


def test_an_office_that_has_just_opened(new_town: Town) -> None:
    """It knows nobody's place yet: the victim's password is checked behind one of each address at most."""
    hosts = [f"203.0.{number >> 8}.{number & 255}" for number in range(400)]
    for host in hosts:
        for number in range(2):
            new_town.guesses(host, "alice", b"guess %d" % number)
    assert len(new_town.pop3.connections) == 800
    right = new_town.guesses("192.0.2.9", "alice", SECRET)
    right.heard()
    while not right.heard():
        work, done = new_town.hasher.running.pop(0)
        done.callback(work())
    assert len(new_town.hasher.asked) <= 400 + 4  # those that ran already when they came
    assert new_town.hasher.asked[-1][1] == SECRET


@pytest.mark.parametrize("mechanism", ["PASS", "PLAIN"])
def test_nobody_learns_who_exists(town: Town, mechanism: str) -> None:
    """For each name the same words at the same time after the same work: by the hasher, and in the store."""
    seen = {}
    for name in ("alice", "alice@example.org", "bob", "nobody", "nobody@example.org"):
        host = f"203.0.113.{len(seen)}"
        statements: list[str] = []
        town.hasher.asked.clear()
        heard: list[object] = []
        for number in range(9):
            peer = town.comes(host)
            peer.heard()
            guess = b"guess %d" % number
            plain = b64encode(b"\0%s\0%s" % (name.encode(), guess))
            said = b"USER %s\r\nPASS %s\r\n" % (name.encode(), guess)
            town.office.store._finder.exec_trace = lambda _, text, __, all_=statements: (
                all_.append(text) is None
            )
            peer.say(said if mechanism == "PASS" else b"AUTH PLAIN " + plain + b"\r\n")
            before = town.clock.seconds()
            town.hasher.work()
            while not (answer := peer.heard()).endswith(b"wrong\r\n"):
                town.clock.advance(1)
            town.office.store._finder.exec_trace = None
            heard += [answer, town.clock.seconds() - before]
            peer.leave()
        checked = [password for _, password in town.hasher.asked]
        seen[name] = (heard, checked, sorted(statements))
        pass_time(town.clock, 7200, 600)
    first = seen["alice"]
    assert len(first[1]) == 9
    assert len(first[2]) >= 18
    assert all(other == first for other in seen.values())


def test_keys_tell_nothing_either(town: Town) -> None:
    """For SCRAM the store is asked the same, whoever exists, and what is said has the same form."""
    seen = []
    for name in ("alice", "bob", "nobody"):
        statements: list[str] = []
        peer = town.comes("203.0.113.1")
        peer.heard()
        town.office.store._finder.exec_trace = lambda _, text, __, all_=statements: (
            all_.append(text) is None
        )
        first = b64encode(b"n,,n=%s,r=abcdefgh" % name.encode())
        answer = peer.ask(b"AUTH SCRAM-SHA-256 " + first + b"\r\n")
        town.office.store._finder.exec_trace = None
        peer.leave()
        seen.append((len(answer), statements))
    assert seen[0][0] > 40
    assert len(seen[0][1]) == 2
    assert seen[1:] == seen[:1] * 2


def test_who_waits_for_the_hasher_is_bounded(town: Town) -> None:
    """However many come, no more wait than there is room for; the rest is put off, and alice is not."""
    turnstile = Turnstile(town.hasher.in_thread)
    for number in range(5000):
        turnstile.check(f"203.0.{number >> 8 & 7}.{number & 255}", lambda: False).addErrback(
            lambda _: None
        )
        assert len(turnstile) <= 1024
    town.hasher.running.clear()
    assert town.logs_in() == IN
