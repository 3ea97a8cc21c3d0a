"""The guard: who guesses is slowed down and banned, and the victim is let in."""

from __future__ import annotations

import configparser
import io
import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailpost.guard import Guard, GuardRules
from mailpost.logs import LineObserver
from tests.logbook import Logbook

FILTER = Path(__file__).parent.parent / "etc" / "fail2ban" / "filter.d" / "mailpost.conf"
HOST = r"(?P<host>[0-9A-Fa-f:.]+)"
"""What fail2ban's <HOST> finds, as far as addresses go."""

PEERS = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:9::1"])
EXEMPT = st.sampled_from(
    ["127.0.0.1", "::1", "", "::ffff:127.0.0.1", "10.1.2.3", "::ffff:10.9.9.9"]
)
NAMES = st.sampled_from(["alice", "bob", "nobody"])
PASSWORDS = st.integers(0, 9).map(lambda number: b"%d" % number) | st.none()
RULES = GuardRules(
    window=100,
    free=1,
    guesses=4,
    ban=50,
    name_free=1,
    known_places=2,
    room=2,
    allow=(ip_network("10.0.0.0/8"),),
)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def test_growing_delay(clock: Clock) -> None:
    """A slip costs nothing; then each guess costs twice as much, up to the longest delay."""
    guard = Guard(clock)
    delays = [guard.wrong("192.0.2.1", "alice", b"%d" % number) for number in range(8)]
    assert delays == [0, 0, 1, 2, 4, 8, 16, 16]
    assert guard.wrong("192.0.2.2", "alice", b"0") == 0


def test_a_ban_and_its_end(clock: Clock) -> None:
    """Enough distinct guesses get the neighbourhood banned, it alone, and for its time."""
    guard = Guard(clock)
    for number in range(30):
        assert not guard.banned("2001:db8::1")
        guard.wrong(f"2001:db8::{number:x}", "alice", b"%d" % number)
    assert guard.banned("2001:db8::ffff")
    assert not guard.banned("2001:db8:0:1::1")
    assert guard.wrong("2001:db8::1", "alice", b"one more") == 16  # by a session that is still open
    clock.advance(3599)
    assert guard.banned("2001:db8::1")
    clock.advance(1)
    assert not guard.banned("2001:db8::1")
    assert guard.wrong("2001:db8::1", "alice", b"0") == 0


def test_an_old_password_in_a_mail_program(clock: Clock) -> None:
    """It comes every five minutes for a month, and gets nobody banned or slowed down."""
    guard = Guard(clock)
    for _ in range(30 * 24 * 12):
        assert guard.wrong("192.0.2.1", "alice", b"last year's") == 0
        clock.advance(300)
    assert not guard.banned("192.0.2.1")


def test_old_passwords_by_proof(clock: Clock) -> None:
    """Three programs behind one address that use SCRAM, every five minutes for a week: nobody is banned."""
    guard = Guard(clock)
    for _ in range(7 * 24 * 12):
        for _ in range(3):
            assert guard.wrong("192.0.2.1", "alice", None) <= 16
        clock.advance(300)
    assert not guard.banned("192.0.2.1")


def test_guessing_by_proof(clock: Clock) -> None:
    """Eight count as one, and each is answered as late as if it counted whole; then comes the ban."""
    guard = Guard(clock)
    delays = []
    while not guard.banned("192.0.2.1"):
        delays.append(guard.wrong("192.0.2.1", "alice", None))
    assert delays[:9] == [0, 0, 1, 2, 4, 8, 16, 16, 16]
    assert set(delays[6:]) == {16}
    assert len(delays) == 29 * 8 + 1


def test_guessing_by_proof_at_many_names(clock: Clock) -> None:
    """One name is one guess at the least."""
    guard = Guard(clock)
    for number in range(30):
        assert not guard.banned("192.0.2.1")
        guard.wrong("192.0.2.1", f"user{number}", None)
    assert guard.banned("192.0.2.1")


def test_a_proof_is_no_password(clock: Clock) -> None:
    """What counts as one are proofs; whatever password is tried beside them is another guess."""
    guard = Guard(clock, GuardRules(guesses=3))
    guard.wrong("192.0.2.1", "alice", None)
    for password in (b"0", b"0 "):
        assert not guard.banned("192.0.2.1")
        guard.wrong("192.0.2.1", "alice", password)
    assert guard.banned("192.0.2.1")


def test_proofs_are_forgiven_and_forgotten(clock: Clock) -> None:
    """By a right login at that name, and an hour after the last one."""
    guard = Guard(clock)
    for again in (lambda: guard.right("192.0.2.1", "alice"), lambda: clock.advance(3600)):
        for _ in range(20):
            guard.wrong("192.0.2.1", "alice", None)
        again()
        assert guard.wrong("192.0.2.1", "alice", None) == 0
        guard.right("192.0.2.1", "alice")


def test_no_bans(clock: Clock) -> None:
    """A ban of no length is none: the answers come late, and that is all."""
    guard = Guard(clock, GuardRules(ban=0, guesses=3))
    delays = [guard.wrong("192.0.2.1", "alice", b"%d" % number) for number in range(9)]
    assert not guard.banned("192.0.2.1")
    assert delays[-1] > 0
    assert list(guard.bans) == []


def test_wrong_guesses_are_forgotten(clock: Clock) -> None:
    """Guesses count for an hour."""
    guard = Guard(clock)
    for number in range(200):
        assert guard.wrong("192.0.2.1", "alice", b"%d" % number) <= 1
        clock.advance(1300)
    assert not guard.banned("192.0.2.1")


def test_a_botnet_at_one_name(clock: Clock) -> None:
    """A name that many guess at is guarded: from where it is not known its logins wait some seconds."""
    guard = Guard(clock)
    guard.right("198.51.100.1", "alice")
    waits = []
    for number in range(200):
        waits.append(guard.slow(f"192.0.2.{number}", "Alice"))
        guard.wrong(f"192.0.2.{number}", "Alice", b"123456")
    assert waits == [0] * 6 + [1, 2] + [4] * 192
    assert guard.slow("198.51.100.1", "alice") == 0  # the victim's own
    assert guard.slow("203.0.113.1", "alice") == 4  # the victim on the way: once
    guard.right("203.0.113.1", "alice")
    assert guard.slow("203.0.113.1", "alice") == 0
    assert guard.slow("192.0.2.1", "bob") == 0
    clock.advance(3600)
    assert guard.slow("192.0.2.1", "alice") == 0


def test_known_for_a_month(clock: Clock) -> None:
    """A neighbourhood where nobody has logged in for a month is a strange one again."""
    guard = Guard(clock)
    guard.right("198.51.100.1", "alice")
    clock.advance(30 * 86_400)
    for number in range(9):
        guard.wrong(f"192.0.2.{number}", "alice", b"123456")
    assert guard.slow("198.51.100.1", "alice") == 4


def test_whose_neighbourhood_is_known(clock: Clock) -> None:
    """One from which somebody has logged in within a month; and those that are never banned."""
    guard = Guard(clock, GuardRules(allow=(ip_network("10.0.0.0/8"),)))
    guard.right("2001:db8::1", "alice")
    guard.wrong("192.0.2.1", "alice", b"1")
    known = ["2001:db8::2", "10.1.2.3", "127.0.0.1", "", "192.0.2.1", "2001:db8:0:1::1"]
    assert [guard.knows(peer) for peer in known] == [True] * 4 + [False] * 2
    clock.advance(30 * 86_400)
    assert not guard.knows("2001:db8::2")


def test_an_account_of_his_own(clock: Clock) -> None:
    """Logging in rightly between the guesses at another's account does not help."""
    guard = Guard(clock)
    for number in range(30):
        guard.wrong("192.0.2.1", "alice", b"%d" % number)
        guard.right("192.0.2.1", "mallory")
    assert guard.banned("192.0.2.1")


def test_who_finds_the_password_again(clock: Clock) -> None:
    """What was guessed at the own name is forgiven."""
    guard = Guard(clock)
    for number in range(29):
        guard.wrong("192.0.2.1", "alice", b"%d" % number)
    guard.right("192.0.2.1", "alice")
    assert guard.wrong("192.0.2.1", "alice", b"a slip") == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["wrong", "right", "slow", "wait"]), PEERS | EXEMPT, NAMES, PASSWORDS
    ),
    max_size=120,
)


@given(STEPS)
def test_what_always_holds(steps: list[tuple[str, str, str, bytes | None]]) -> None:
    """Whatever comes: the exempt are never slowed down or banned, delays and memory have their bounds,
    and every ban ends."""
    clock = Clock()
    guard = Guard(clock, RULES)
    for what, peer, name, password in steps:
        exempt = not peer or "127." in peer or "10." in peer or peer == "::1"
        if what == "wrong":
            assert 0 <= guard.wrong(peer, name, password) <= (0 if exempt else RULES.longest_delay)
        elif what == "right":
            guard.right(peer, name)
            assert guard.slow(peer, name) == 0
        elif what == "slow":
            assert 0 <= guard.slow(peer, name) <= (0 if exempt else RULES.name_delay)
        else:
            clock.advance(17)
        assert not (exempt and guard.banned(peer))
        assert max(guard.sizes) <= 2
    clock.advance(RULES.ban)
    assert not any(guard.banned(peer) for _, peer, _, _ in steps)


@given(STEPS)
def test_the_victim_comes_in(steps: list[tuple[str, str, str, bytes | None]]) -> None:
    """Whatever others do elsewhere, from a known address the victim is neither banned nor slowed down."""
    clock = Clock()
    guard = Guard(clock)
    guard.right("198.51.100.1", "alice")
    for what, peer, name, password in steps:
        if what == "wrong":
            guard.wrong(peer, name, password)
        elif what == "right" and name != "alice":
            guard.right(peer, name)
        else:
            clock.advance(17)
        assert not guard.banned("198.51.100.1")
        assert guard.slow("198.51.100.1", "alice") == 0


def test_memory_is_bounded(clock: Clock) -> None:
    """However many addresses and names come, no more are remembered than there is room for."""
    guard = Guard(clock, GuardRules(room=100, guesses=2))
    for number in range(3000):
        peer = f"2001:db8:{number:x}::1"
        guard.wrong(peer, f"user{number}", b"1")
        if number % 2:
            guard.wrong(peer, f"user{number}", b"2")
        else:
            guard.wrong(peer, f"user{number}", None)
        guard.right(peer, f"user{number}")
        assert max(guard.sizes) <= 100
    assert guard.banned("2001:db8:bb7::1")
    assert not guard.banned("2001:db8:1::1")


def written(guard: Guard, peer: str, name: str) -> list[str]:
    """The lines that a wrong login leaves in the log of ``mailpost serve``."""
    stream = io.StringIO()
    with Logbook() as logbook:
        guard.wrong(peer, name, b"wrong")
    observer = LineObserver(stream)
    for event in logbook.events:
        observer(event)
    return stream.getvalue().split("\n")[:-1]


def found(line: str) -> str | None:
    """Whom fail2ban would count this line against."""
    filters = configparser.RawConfigParser()
    filters.read(FILTER)
    date, _, rest = line.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", date)
    # fail2ban takes the date it has recognised out of the line, and leaves the rest
    match = re.search(filters["Definition"]["failregex"].replace("<HOST>", HOST), f" {rest}")
    return match["host"] if match else None


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::1"])
def test_fail2ban_reads_it(clock: Clock, peer: str) -> None:
    """The filter in etc/ finds the address in the line that is really written."""
    (line,) = written(Guard(clock), peer, "alice")
    assert line.endswith(f" wrong login from {peer} as 'alice'")
    assert found(line) == peer
    assert found(f"2026-01-31T12:00:00+0100 mx mailpost[4711]: {line}") == peer  # from the journal


FORGED = "x' \n2026-01-31T12:00:00+0100 wrong login from 203.0.113.9 as 'alice'"


@pytest.mark.parametrize(
    "name", [FORGED, FORGED.replace("\n", "\r"), FORGED.replace("\n", "\u2028"), "{peer}", "'", '"']
)
def test_a_forged_line(clock: Clock, name: str) -> None:
    """A name that looks like a line of the log is counted against whoever sent it."""
    (line,) = written(Guard(clock), "192.0.2.1", name)
    assert line.isprintable()
    assert found(line) == "192.0.2.1"


@given(st.text())
def test_any_name(name: str) -> None:
    """Whatever the name, there is one line, against the one who sent it."""
    (line,) = written(Guard(Clock()), "192.0.2.1", name)
    assert found(line) == "192.0.2.1"


def test_other_lines_are_not_found() -> None:
    """A session's line, whose peer may call itself anything, is none of the filter's."""
    forged = "wrong login from 203.0.113.9 as 'alice'"
    line = f"2026-01-31T12:00:00+0100 intake from 192.0.2.1 ({forged}): 0 letters"
    assert found(line) is None
    assert found(f"2026-01-31T12:00:00+0100 warn: login of {forged} put off") is None
