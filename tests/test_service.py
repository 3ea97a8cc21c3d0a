"""The whole office, joined: a reactor in memory, peers in memory, a store in a temporary folder."""

from __future__ import annotations

import queue
import threading
import time
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock

from mailpost.accounts.passwords import encode
from mailpost.bans import Ban
from mailpost.config import Config, load
from mailpost.intake import SMTPFactory
from mailpost.service import STOP_SECONDS, PostOffice
from mailpost.store import create_store, open_store
from mailpost.store.errors import StoreError
from tests.memory import Peer, pass_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.logbook import Logbook

TOML = """
[office]
hostname = "post.example.org"
domains = ["example.org"]
max_letter_size = "64 KiB"
max_recipients = 3

[limits]
connections_per_address = 2
errors_per_session = 4
smtp_idle = 20
pop3_idle = 30

[[listen]]
protocol = "smtp"
endpoint = "tcp:2525:interface=127.0.0.1"

[[listen]]
protocol = "pop3"
endpoint = "tcp:1100:interface=127.0.0.1"
"""
HELLO = b"EHLO client.example\r\n"
LETTER = (
    b"MAIL FROM:<carol@x>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: hi\r\n\r\nhi\r\n.\r\n"
)
LOGIN = b"USER alice\r\nPASS secret\r\n"


class Reactor(MemoryReactorClock):
    """Twisted's reactor in memory, and what threads ask of it, done in the test's own thread."""

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = time.time()
        self.asked_for: queue.Queue[tuple[Any, Any, Any]] = queue.Queue()
        self.taken: set[int] = set()
        self.stopped: list[int] = []

    def callFromThread(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.asked_for.put((f, args, kwargs))

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port in self.taken:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        listening: Any = super().listenTCP(port, factory, backlog, interface)
        stop = listening.stopListening
        listening.stopListening = lambda: (self.stopped.append(port), stop())[1]
        return listening

    def until(self, happened: Callable[[], Any]) -> None:
        """Do what threads ask for until something has happened."""
        while not happened():
            function, args, kwargs = self.asked_for.get(timeout=20)
            function(*args, **kwargs)

    def door(self, port: int) -> Any:
        """The factory at a port."""
        return next(server[1] for server in self.tcpServers if server[0] == port)


class House:
    """An office and its reactor."""

    def __init__(self, config: Config, **extras: Any) -> None:
        self.reactor = Reactor()
        self.office = PostOffice(config, self.reactor, **extras)

    def start(self) -> None:
        """Open the doors."""
        self.office.startService()
        assert self.office.opened.called

    def peer(self, port: int, host: str = "127.0.0.1") -> Peer:
        """Somebody at a door."""
        return Peer(self.reactor.door(port), self.reactor, host)

    def ask(self, peer: Peer, octets: bytes, last: bytes) -> bytes:
        """Say something; what is heard, up to a line that begins so."""
        heard = peer.ask(octets)

        def is_whole() -> bool:
            nonlocal heard
            heard += peer.heard()
            return heard.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(last)

        self.reactor.until(is_whole)
        return heard

    def stop(self) -> None:
        """Close the doors, at the latest after the time that sessions have."""
        stopped = self.office.stopService()
        pass_time(self.reactor, STOP_SECONDS + 1)
        self.reactor.until(lambda: stopped.called)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration, and a store with an account for alice."""
    file = tmp_path / "mailpost.toml"
    file.write_text(TOML)
    create_store(tmp_path / "mailpost.db")
    reactor = Reactor()
    store = open_store(
        tmp_path / "mailpost.db",
        clock=reactor,
        call_in_reactor=reactor.callFromThread,
        defer_to_thread=lambda *_: None,
    )
    store.accounts.add("alice", encode(b"secret"))
    store.close()
    return load(file)


@pytest.fixture
def house(config: Config, log: Logbook) -> Iterator[House]:
    """An open office."""
    house = House(config)
    house.start()
    yield house
    house.stop()


def test_a_letter_s_whole_journey(house: House, log: Logbook) -> None:
    """In by SMTP, kept, out by POP3, deleted; the line at each door in the log, with its address."""
    sender = house.peer(2525)
    heard = house.ask(sender, HELLO + LETTER, b"250 2.0.0 kept")
    assert heard.startswith(b"220 post.example.org ")
    assert b"250-SIZE 65536\r\n" in heard
    trace = heard.split()[-1]
    reader = house.peer(1100)
    heard = house.ask(reader, LOGIN + b"RETR 1\r\nDELE 1\r\n", b"+OK letter 1 is marked")
    assert b"\r\nSubject: hi\r\n\r\nhi\r\n.\r\n" in heard
    assert b"Delivered-To: alice@example.org\r\n" in heard
    assert b"with ESMTP id " + trace in heard
    house.ask(reader, b"QUIT\r\n", b"+OK good bye")
    again = house.peer(1100)
    assert b"+OK 0 letters, 0 octets" in house.ask(again, LOGIN, b"+OK 0")
    # A reactor in memory tells this address for every port.
    assert log.lines("smtp on") + log.lines("pop3 on") == [
        "smtp on 0.0.0.0:2525",
        "pop3 on 0.0.0.0:1100",
    ]


def test_the_configuration_counts(house: House) -> None:
    """Limits and times are those of the configuration, and shared by all doors."""
    peer = house.peer(2525, "192.0.2.1")
    recipients = b"RCPT TO:<postmaster>\r\n" * 4
    heard = house.ask(
        peer, HELLO + b"MAIL FROM:<> SIZE=65537\r\nMAIL FROM:<>\r\n" + recipients, b"452"
    )
    assert b"552 5.3.4" in heard
    assert heard.count(b"250 2.1.5") == 3
    house.peer(1100, "192.0.2.1")
    assert house.peer(1100, "192.0.2.1").heard().startswith(b"-ERR [SYS/TEMP] too many")
    assert house.ask(house.peer(2525), b"T\r\n" * 9, b"421").count(b"500 5.5.2") == 4
    reader = house.peer(1100)
    pass_time(house.reactor, 21)
    assert peer.heard().startswith(b"421 4.4.2")
    assert reader.heard().startswith(b"+OK")
    pass_time(house.reactor, 10)
    assert reader.heard().startswith(b"-ERR nothing heard")


def test_too_many_within_a_minute(config: Config, log: Logbook) -> None:
    """At all doors together: 421, or -ERR [SYS/TEMP], in place of the greeting."""
    limits = evolved(config.limits, connections_per_minute=3)
    house = House(evolved(config, limits=limits))
    house.start()
    for port in (2525, 1100, 2525):
        peer = house.peer(port, "192.0.2.1")
        assert peer.heard().startswith((b"220 ", b"+OK "))
        peer.leave()
    assert house.peer(2525, "192.0.2.1").heard().startswith(b"421 4.7.0 too many connections")
    assert house.peer(1100, "192.0.2.1").heard().startswith(b"-ERR [SYS/TEMP] too many connections")
    assert house.peer(1100, "192.0.2.2").heard().startswith(b"+OK ")
    rooms = [door.room for door in house.office.doors if door.room is not None]
    assert [room.refused for room in rooms] == [1, 1]
    house.stop()
    assert len(log.lines("192.0.2.1 has connected 3 times within a minute")) == 1


def test_accounts_have_an_allowance(house: House) -> None:
    """That of the configuration, one for all doors at which letters are handed in."""
    rooms = [door.room for door in house.office.doors if isinstance(door.room, SMTPFactory)]
    allowances = {room.desk.allowance for room in rooms}
    assert len(allowances) == 1
    (allowance,) = allowances
    assert allowance is not None
    assert (allowance._letters.most, allowance._recipients.most) == (1000, 10_000)


def evolved(table: Any, **changes: Any) -> Any:
    """A table of the configuration with other values."""
    return table.model_copy(update=changes)


def test_who_is_banned_by_hand_is_out(house: House, config: Config, log: Logbook) -> None:
    """Within a second, at every door; others stay. When the ban is lifted they come again."""
    here = [house.peer(2525, "192.0.2.1"), house.peer(1100, "192.0.2.1")]
    others = [house.peer(2525, "198.51.100.1"), house.peer(1100)]
    for peer in here + others:
        peer.heard()
    shell = open_store(
        config.office.database,
        clock=house.reactor,
        call_in_reactor=house.reactor.callFromThread,
        defer_to_thread=lambda *_: None,
    )
    network = ip_network("192.0.2.0/24")
    shell.bans.add(Ban(network, None, house.reactor.seconds(), "spam", by_hand=True))
    pass_time(house.reactor, 1)
    assert here[0].heard() == b"421 4.7.0 your address is banned for now, try again later\r\n"
    assert here[1].heard() == b"-ERR [SYS/TEMP] your address is banned for now, try again later\r\n"
    assert not any(peer.connected for peer in here)
    assert all(peer.connected for peer in others)
    assert log.lines("bans were") == [
        "bans were changed by hand: 1 are in force, 2 sessions were ended"
    ]
    assert house.peer(2525, "192.0.2.2").heard().startswith(b"421 4.7.0 your address is banned")
    assert house.peer(1100, "192.0.2.2").heard().startswith(b"-ERR [SYS/TEMP] your address is")
    shell.bans.remove(network)
    shell.close()
    pass_time(house.reactor, 1)
    assert house.peer(2525, "192.0.2.2").heard().startswith(b"220 ")


def test_the_guard_s_bans_are_kept(config: Config, log: Logbook) -> None:
    """An office that was closed and opened knows them."""
    for wrong in range(2):
        house = House(config)
        house.start()
        peer = house.peer(1100, "192.0.2.1")
        if not wrong:
            guard = house.office.doors[0].room.guard  # type: ignore[union-attr]
            assert guard is not None
            for number in range(30):
                guard.wrong("192.0.2.1", "alice", b"%d" % number)
            peer = house.peer(1100, "192.0.2.1")
        assert peer.heard().startswith(b"-ERR [SYS/TEMP] your address is banned")
        house.stop()
    assert log.lines("192.0.2.1 is banned for 3600 s: 30 wrong logins")


def test_nobody_is_let_in_before_the_office_is_open(config: Config) -> None:
    """A door may be bound before there is a room behind it: until then it lets nobody in."""
    house = House(config)
    house.office.privilegedStartService()
    assert house.reactor.door(2525).buildProtocol(None) is None
    assert house.office.doors[0].where == "0.0.0.0:2525"
    house.start()
    assert house.reactor.door(2525).buildProtocol(None) is not None
    assert len(house.reactor.tcpServers) == 2
    house.stop()
    assert sorted(house.reactor.stopped) == [1100, 2525]


def test_where() -> None:
    """A door that is not open yet, or is no TCP port, is where the configuration says."""
    path = Path(__file__).parent / "nowhere"
    data = {
        "office": {"hostname": "h.example", "domains": ["example"]},
        "listen": [{"protocol": "pop3", "endpoint": "unix:/run/pop3"}],
    }
    office = PostOffice(Config.model_validate(data, context=path), Reactor())
    assert office.doors[0].where == "unix:/run/pop3"


@pytest.mark.parametrize("port", [2525, 1100])
def test_port_in_use(config: Config, port: int) -> None:
    """A port in use: ``opened`` fails with CannotListenError, and what was bound is closed again."""
    house = House(config)
    house.reactor.taken.add(port)
    failures: list[Any] = []
    house.office.opened.addErrback(failures.append)
    house.office.startService()
    (failure,) = failures
    assert failure.check(CannotListenError)
    assert failure.value.port == port
    other = 3625 - port
    assert house.reactor.door(other).buildProtocol(None) is None
    house.stop()
    assert house.reactor.stopped == [other]


def test_no_store(config: Config) -> None:
    """Without a store ``opened`` fails with what to do about it, and the office can be stopped."""
    config.office.database.unlink()
    house = House(config)
    failures: list[Any] = []
    house.office.opened.addErrback(failures.append)
    house.office.startService()
    assert failures[0].check(StoreError)
    house.stop()


@pytest.mark.parametrize("encrypted", [False, True])
def test_tls_that_a_balancer_has_ended(config: Config, *, encrypted: bool) -> None:
    """Where a trusted balancer says that the client came to it under TLS, that counts as TLS."""
    listen = [
        one.model_copy(update={"proxy": (ip_network("10.0.0.0/8"),)}) for one in config.listen
    ]
    house = House(config.model_copy(update={"listen": tuple(listen)}))
    house.start()
    told = b"\x20\0\x05\1\0\0\0\0" if encrypted else b""  # PP2_TYPE_SSL, with PP2_CLIENT_SSL
    addresses = b"\xc0\0\2\x4d\x0a\0\0\1\x0f\xa0\0\x19"
    block = addresses + told
    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + len(block).to_bytes(2, "big") + block
    sender = house.peer(2525, "10.0.0.5")
    heard = house.ask(sender, header + HELLO + LETTER, b"250 2.0.0 kept")
    assert (b" PLAIN" in heard) == encrypted  # from afar a password is taken under TLS alone
    reader = house.peer(1100, "10.0.0.5")
    heard = house.ask(reader, header + LOGIN, b"+OK 1 letters" if encrypted else b"-ERR")
    if encrypted:
        letter = house.ask(reader, b"RETR 1\r\n", b".")
        assert b"from client.example ([192.0.2.77])" in letter
        assert b" with ESMTPS id " in letter
    house.stop()


def test_two_offices_of_one_store(house: House, config: Config, log: Logbook) -> None:
    """The first one is asked how it fares; the second says so in its log, and leaves the socket alone."""
    socket = Path(config.office.database).with_name("mailpost.db.control")
    before = socket.stat().st_ino
    second = House(config)
    second.start()
    assert log.lines("another process serves this store")
    second.stop()
    assert socket.stat().st_ino == before


def test_shutdown_tells_everybody(house: House) -> None:
    """At SIGTERM the doors close, idle sessions hear 421 or -ERR, and it is over when they have gone."""
    sender, reader = house.peer(2525), house.peer(1100)
    house.ask(reader, LOGIN + b"NOOP\r\n", b"+OK ok")
    stopped = house.office.stopService()
    assert house.reactor.stopped == [2525, 1100]
    assert sender.heard().endswith(b"421 4.3.2 the post office is closing, try again soon\r\n")
    assert reader.heard().startswith(b"-ERR [SYS/TEMP] the post office is closing")
    sender.leave(cleanly=True)
    assert not stopped.called
    reader.leave(cleanly=True)
    house.reactor.until(lambda: stopped.called)
    assert house.reactor.getDelayedCalls() == []


def test_nothing_is_left_running(config: Config, log: Logbook) -> None:
    """A closed office leaves no thread and no timer behind, and can be opened again."""
    before = set(threading.enumerate())
    for _ in range(2):
        house = House(config)
        house.start()
        house.ask(house.peer(1100), LOGIN, b"+OK 0")
        assert set(threading.enumerate()) > before
        house.stop()
        assert set(threading.enumerate()) == before
        assert house.reactor.getDelayedCalls() == []


def test_shutdown_finishes_a_commit(house: House, config: Config) -> None:
    """A letter in flight at SIGTERM is committed and has its 250 before the 421; it is there later."""
    sender = house.peer(2525)
    sender.ask(HELLO + LETTER)
    stopped = house.office.stopService()
    heard = house.ask(sender, b"", b"421")
    assert b"\r\n250 2.0.0 kept as " in b"\r\n" + heard
    sender.leave(cleanly=True)
    house.reactor.until(lambda: stopped.called)
    again = House(config)
    again.start()
    assert b"+OK 1 letters" in again.ask(again.peer(1100), LOGIN, b"+OK 1")
    again.stop()


def test_shutdown_cuts_off(house: House) -> None:
    """Who has not gone after some seconds is cut off, and the office closes without them."""
    reader = house.peer(1100)
    house.ask(reader, LOGIN + b"NOOP\r\n", b"+OK ok")
    stopped = house.office.stopService()
    pass_time(house.reactor, STOP_SECONDS - 0.5)
    assert reader.connected
    assert not stopped.called
    pass_time(house.reactor, 1)
    assert reader.line.ending == "abort"
    house.reactor.until(lambda: stopped.called)
    assert STOP_SECONDS < 10


def test_checkers_in_place_of_our_own(config: Config, log: Logbook) -> None:
    """With ``--auth`` those checkers say who may in; our own passwords count for nothing then."""
    house = House(config, checkers=[InMemoryUsernamePasswordDatabaseDontUse(alice=b"other")])
    house.start()
    reader = house.peer(1100)
    assert b"-ERR [AUTH]" in house.ask(reader, LOGIN, b"-ERR")
    house.ask(reader, LOGIN.replace(b"secret", b"other"), b"+OK 0")
    house.stop()


def test_transcripts(config: Config, log: Logbook) -> None:
    """Asked for transcripts, the office logs every line of every session, secrets masked."""
    house = House(config, transcripts=True)
    house.start()
    house.ask(house.peer(1100), LOGIN, b"+OK 0")
    lines = log.lines("127.0.0.1")
    assert "127.0.0.1 C: PASS ********" in lines
    assert any("S: +OK post.example.org" in line for line in lines)
    house.stop()
