"""What every connection does, whatever its dialect; here with a dialect of three words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailpost.connection import Connection
from mailpost.limits import MAX_BUFFERED, MAX_THROWN_AWAY, ConnectionLimits
from mailpost.listener import ConnectionFactory
from mailpost.rota import TURN
from mailpost.wire.session import (
    MAX_UNSENT,
    OUTPUT_WAITING,
    Event,
    Question,
    ServerSession,
    SessionEnded,
)
from tests.memory import BUFFER, Line, Peer, go_round, pass_time

if TYPE_CHECKING:
    from mailpost.wire.framing import Defect
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")


class Asked(Question):
    """The peer asks something."""

    def __init__(self, words: bytes) -> None:
        self.words = words


class Session(ServerSession):
    """``SAY x`` is answered ``x``; ``ASK x`` is a question; ``LONG`` says much; ``BREAK`` breaks."""

    max_line = 200

    def __init__(self) -> None:
        super().__init__(3)
        self.log: list[bytes] = []

    def _obey(self, line: bytes) -> Event | None:
        verb, _, words = line.partition(b" ")
        self.log.append(line)
        if verb == b"SAY":
            self._say(words + b"\r\n")
        elif verb == b"ASK":
            return Asked(words)
        elif verb == b"LONG":
            self._emit(b"l" * 30_000)
            return OUTPUT_WAITING if words else None
        elif verb == b"QUIT":
            return self.end(b"bye", orderly=True)
        else:
            raise ZeroDivisionError
        return None

    def _complain(self, defect: Defect) -> Event | None:
        return self.end(b"no line")

    def answer(self, words: bytes) -> None:
        assert self._asked is not None
        self._asked = None
        self._say(words + b"\r\n")

    def end(self, words: bytes, *, orderly: bool = False) -> SessionEnded:
        self._say(words + b"\r\n")
        return self._close(orderly=orderly)


class Talk(Connection):
    """Acts on questions as the test says."""

    session: Session
    factory: Factory

    def act(self, event: Event) -> SessionEnded | None:
        if isinstance(event, Asked):
            return self.factory.asked(self, event.words)
        return None

    def fault(self) -> SessionEnded | None:
        self.session.answer(b"sorry")
        return self.session.end(b"and bye") if self.factory.ends_at_faults else None

    def greet(self) -> None:
        self.session._say(b"hello\r\n")

    def refuse(self) -> SessionEnded:
        return self.session.end(b"full", orderly=True)

    def give_up(self) -> SessionEnded:
        return self.session.end(b"zzz")

    def close_down(self) -> SessionEnded:
        return self.session.end(b"closing")

    def gone(self) -> None:
        self.factory.left.append(self)
        if self.factory.gone_fails:
            raise ZeroDivisionError


class Factory(ConnectionFactory):
    """A house where that is spoken."""

    def __init__(self) -> None:
        self.time = Clock()
        super().__init__(self.time, ConnectionLimits(total=3), 60)
        self.left: list[Connection] = []
        self.waiting: list[Talk] = []
        self.ends_at_faults = False
        self.gone_fails = False

    def connection(self, peer: str) -> Connection:
        return Talk(Session(), peer)

    def asked(self, talk: Talk, words: bytes) -> SessionEnded | None:
        if words == b"now":
            talk.session.answer(b"at once")
            talk.go_on()
        elif words == b"fail":
            raise ZeroDivisionError
        elif words == b"end":
            talk.session.answer(b"that was it")
            return talk.session.end(b"gone")
        else:
            self.waiting.append(talk)
        return None

    def peer(self, *, greeted: bool = True) -> Peer:
        peer = Peer(self, self.time)
        if greeted:
            assert peer.heard() == b"hello\r\n"
        return peer


def test_one_after_the_other() -> None:
    """Replies keep the order of the commands, across questions answered at once and later."""
    factory = Factory()
    peer = factory.peer()
    assert (
        peer.ask(b"SAY 1\r\nASK now\r\nSAY 2\r\nASK later\r\nSAY 3\r\n") == b"1\r\nat once\r\n2\r\n"
    )
    (talk,) = factory.waiting
    assert peer.ask(b"SAY 4\r\n") == b""
    talk.session.answer(b"at last")
    talk.go_on()
    assert peer.heard() == b"at last\r\n3\r\n4\r\n"


def test_an_end_by_the_dialect() -> None:
    """What ``act`` returns is the end: the last words are sent, the rest of the input is not run."""
    factory = Factory()
    peer = factory.peer()
    assert peer.ask(b"ASK end\r\nSAY more\r\n") == b"that was it\r\ngone\r\n"
    assert peer.line.ending == "half-close"
    assert peer.ask(b"SAY more\r\n") == b""
    peer.leave(cleanly=True)
    assert len(factory.left) == 1


@pytest.mark.parametrize("ends", [False, True])
def test_a_fault_in_the_dialect(ends: bool, log: Logbook) -> None:  # noqa: FBT001
    """A fault is logged and answered; what was pipelined goes on, unless the dialect ends it."""
    factory = Factory()
    factory.ends_at_faults = ends
    peer = factory.peer()
    heard = peer.ask(b"SAY 1\r\nASK fail\r\nSAY 2\r\n")
    assert heard == (b"1\r\nsorry\r\nand bye\r\n" if ends else b"1\r\nsorry\r\n2\r\n")
    assert len(log.take_failures(ZeroDivisionError)) == 1


def test_a_fault_in_the_engine(log: Logbook) -> None:
    """An engine that raises cannot be trusted any more: the session is ended, with words."""
    factory = Factory()
    peer = factory.peer()
    assert peer.ask(b"SAY 1\r\nBREAK\r\nSAY 2\r\n") == b"1\r\nclosing\r\n"
    assert peer.line.ending == "half-close"
    assert len(log.take_failures(ZeroDivisionError)) == 1


def test_a_fault_when_nobody_is_there(log: Logbook) -> None:
    """A fault after the peer has gone is logged, and answered to nobody."""
    factory = Factory()
    peer = factory.peer()
    peer.ask(b"ASK later\r\n")
    (talk,) = factory.waiting
    peer.leave()
    assert talk.lost
    ready: Deferred[None] = Deferred()
    talk.hold_until(ready)
    ready.errback(ZeroDivisionError())
    assert len(log.take_failures(ZeroDivisionError)) == 1
    assert peer.heard() == b""


def test_a_fault_at_the_end(log: Logbook) -> None:
    """Whatever fails when a connection has gone, it has gone: its place is free."""
    factory = Factory()
    factory.gone_fails = True
    peer = factory.peer()
    ended = factory.shut_down()
    with pytest.raises(ZeroDivisionError):
        peer.leave()
    assert ended.called
    assert factory.connections == set()
    assert factory.time.getDelayedCalls() == []
    assert all(factory.limits.admit("") for _ in range(3))


def test_holding() -> None:
    """While a hold lasts no event is taken; two holds are both waited for."""
    factory = Factory()
    peer = factory.peer()
    one: Deferred[None] = Deferred()
    two: Deferred[None] = Deferred()
    peer.protocol.hold_until(one)
    peer.protocol.hold_until(two)
    assert peer.ask(b"SAY 1\r\n") == b""
    one.callback(None)
    assert peer.heard() == b""
    two.callback(None)
    assert peer.heard() == b"1\r\n"
    peer.protocol.hold_until(succeed(None))
    assert peer.ask(b"SAY 2\r\n") == b"2\r\n"


def test_a_hold_that_fails(log: Logbook) -> None:
    """A hold that fails is logged, and over."""
    factory = Factory()
    peer = factory.peer()
    hold: Deferred[None] = Deferred()
    peer.protocol.hold_until(hold)
    hold.errback(ZeroDivisionError())
    assert peer.ask(b"SAY 1\r\n") == b"1\r\n"
    assert len(log.take_failures(ZeroDivisionError)) == 1


def test_taken() -> None:
    """``taken`` is over at once where there is room, else when the peer has read, or has gone."""
    factory = Factory()
    peer = factory.peer()
    done: list[str] = []

    def send(name: str) -> None:
        peer.protocol.session._emit(b"t" * BUFFER * 2)
        taken = Deferred.fromCoroutine(peer.protocol.taken())
        taken.addCallback(lambda _: done.append(name))

    send("read at once")
    assert done == ["read at once"]
    peer.stop_reading()
    send("read later")
    assert len(done) == 1
    peer.read_on()
    assert done[1:] == ["read later"]
    peer.stop_reading()
    send("gone")
    peer.leave()
    assert done[2:] == ["gone"]


def test_output_is_sent_in_parts() -> None:
    """Much output of many commands is not gathered without bound before it is sent."""
    factory = Factory()
    peer = factory.peer()
    peer.line.producer = None
    sizes: list[int] = []
    write = peer.line.write
    peer.line.write = lambda data: (sizes.append(len(data)), write(data))
    peer.say(b"LONG x\r\n" * 20 + b"LONG\r\nASK now\r\n" * 20)
    assert len(peer.heard()) == 20 * 30_000 + 20 * 30_009
    assert max(sizes) <= MAX_UNSENT + 30_009


@pytest.mark.parametrize("command", [b"SAY x\r\n", b"ASK now\r\n", b"LONG x\r\n"])
def test_a_flood_is_answered_in_turns(command: bytes) -> None:
    """Of what comes at once one turn's worth is answered at once; others are served before the rest is."""
    factory = Factory()
    flood, other = factory.peer(), factory.peer()
    flood.say(command * 10 * TURN)
    (talk,) = [one for one in factory.connections if one is flood.protocol]
    assert len(talk.session.log) <= TURN
    before = len(talk.session.log)
    other.say(b"SAY hello\r\n")
    assert bytes(other.line.heard) == b"hello\r\n"
    assert len(talk.session.log) == before
    go_round(factory.time)
    assert before < len(talk.session.log) <= before + TURN
    flood.settle()
    assert len(talk.session.log) == 10 * TURN


def test_who_waits_for_a_turn_and_goes() -> None:
    """Nothing more is acted on, whether the peer has hung up or the office closes."""
    factory = Factory()
    gone, told = factory.peer(), factory.peer()
    for peer in (gone, told):
        peer.say(b"SAY x\r\n" * 3 * TURN)
    gone.line.lose(ConnectionLost())
    told.protocol.shut_down()
    for peer in (gone, told):
        peer.settle()
        assert len(peer.protocol.session.log) == TURN
    assert told.heard().endswith(b"closing\r\n")
    assert len(factory.rota) == 0


def test_what_comes_after_the_end_is_thrown_away_but_not_for_ever() -> None:
    """Reading on lets the last words arrive; whoever goes on sending is cut off."""
    factory = Factory()
    peer = factory.peer()
    peer.ask(b"ASK end\r\n")
    peer.ask(b"x" * MAX_THROWN_AWAY)
    assert peer.line.ending == "half-close"
    peer.ask(b"x")
    assert peer.line.ending == "abort"
    assert not peer.connected


def test_back_pressure_both_ways() -> None:
    """Input beyond the limit is left with the sender; it is taken when there is room again."""
    factory = Factory()
    peer = factory.peer()
    peer.ask(b"ASK later\r\n")
    (talk,) = factory.waiting
    peer.say(b"SAY %b\r\n" % (b"s" * 94) * 5_000)
    assert not peer.line.reading
    assert talk.session.buffered < MAX_BUFFERED + (1 << 16)
    talk.session.answer(b"now")
    talk.go_on()
    assert peer.heard().count(b"\r\n") == 5_001
    assert peer.line.reading


def test_an_end_while_the_peer_was_held_back() -> None:
    """A connection that ends while it was held back is read again: the peer's going is noticed."""
    factory = Factory()
    peer = factory.peer()
    peer.stop_reading()
    while peer.line.reading:
        peer.say(b"SAY %b\r\n" % (b"s" * 94) * 1_000)
    pass_time(factory.time, 61)
    assert peer.protocol.session.closed
    peer.settle()
    assert peer.line.reading


def test_a_transport_that_cannot_be_half_closed() -> None:
    """Where half a connection cannot be closed the whole is."""

    class OldLine(Line):
        loseWriteConnection: Any = property()  # there is no such attribute

    factory = Factory()
    talk = factory.buildProtocol(None)
    line = OldLine(factory.time)
    line.protocol = talk
    talk.makeConnection(line)
    talk.shut_down()
    assert line.ending == "close"
    assert talk.peer == ""


def test_any_transport_of_twisted() -> None:
    """Twisted's own transport for tests will do: nothing but the usual is asked of it."""
    factory = Factory()
    talk = factory.buildProtocol(None)
    transport = StringTransport()
    talk.makeConnection(transport)
    talk.dataReceived(b"SAY 1\r\nQUIT\r\n")
    assert transport.value() == b"hello\r\n1\r\nbye\r\n"
    assert transport.disconnecting
    talk.connectionLost(connectionDone)
    assert factory.connections == set()


def test_ends_that_come_too_late() -> None:
    """Time-out, shutdown and cut-off of a session that is over already change nothing."""
    factory = Factory()
    peer = factory.peer()
    peer.ask(b"QUIT\r\n")
    assert not peer.connected
    talk = peer.protocol
    talk.silent()
    talk.shut_down()
    talk.end(SessionEnded(orderly=True))
    talk.go_on()
    assert peer.heard() == b""
    assert len(factory.left) == 1
    never_connected = factory.buildProtocol(None)
    never_connected.cut_off()
    never_connected.connectionLost(connectionDone)


def test_a_dialect_says_what_it_does() -> None:
    """The common part has no words of its own."""
    bare = Connection(Session(), "")
    for method in (bare.fault, bare.greet, bare.refuse, bare.give_up, bare.close_down):
        with pytest.raises(NotImplementedError):
            method()
    with pytest.raises(NotImplementedError):
        bare.act(Event())
    with pytest.raises(NotImplementedError):
        ConnectionFactory(Clock(), ConnectionLimits(), 1).connection("")
    bare.gone()
