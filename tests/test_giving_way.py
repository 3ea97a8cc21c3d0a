"""A full office: strangers give way to strangers; nobody who has logged in, no letter that is being kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from mailpost.guard import Guard
from mailpost.limits import ConnectionLimits
from tests.collection.office import LOGIN
from tests.collection.office import Office as Collection
from tests.intake.office import ENVELOPE
from tests.intake.office import Office as Intake

if TYPE_CHECKING:
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")

CROWD, NEW = "203.0.113.9", "198.51.100.7"
FULL = b"421 4.7.0 too many connections, try again later\r\n"


def full(office: Intake | Collection, count: int) -> None:
    """Let in so many strangers, and a tenth more of those who are known."""
    office.factory.limits = ConnectionLimits(total=count + 1)
    office.factory.guard = Guard(office.clock)


def test_one_of_the_crowd_gives_way(log: Logbook) -> None:
    """The longest silent one hears 421 and is gone; the newcomer's letter is kept; it is told once."""
    office = Intake()
    full(office, 9)
    crowd = [office.peer(CROWD) for _ in range(9)]
    new = office.peer(NEW)
    assert crowd[0].heard() == FULL
    assert [one.connected for one in crowd] == [False] + [True] * 8
    assert new.ask(ENVELOPE + b"DATA\r\nhi\r\n.\r\n").endswith(b"\r\n")
    assert len(office.delivery.kept) == 1
    another = office.peer("198.51.100.8")
    assert not crowd[1].connected
    assert len(office.factory.connections) == 9
    told = log.lines("the office is full of strangers")
    assert told == [
        f"the office is full of strangers: {CROWD} gave way to another (0 more before it)"
    ]
    another.leave()
    assert office.peer("198.51.100.9").connected
    assert crowd[2].connected


def test_the_crowd_itself_is_refused() -> None:
    """Whoever has the most connections gets no more by that."""
    office = Intake()
    full(office, 9)
    crowd = [office.peer(CROWD) for _ in range(9)]
    assert office.peer(CROWD, greeted=False).heard() == FULL
    assert all(one.connected for one in crowd)


def test_a_letter_that_is_being_kept_stays() -> None:
    """Its sender would bring it again; so would one who was of use go last."""
    office = Intake()
    full(office, 9)
    office.delivery.at_once = False
    keeping = office.peer(CROWD)
    keeping.say(ENVELOPE + b"DATA\r\nhi\r\n.\r\n")
    drips = [office.peer(CROWD) for _ in range(8)]
    office.peer(NEW)
    assert keeping.connected
    assert [one.connected for one in drips[:2]] == [False, True]


def test_who_brings_much_goes_last() -> None:
    """A letter that comes in earnest is told from one that drips."""
    office = Intake()
    full(office, 9)
    crowd = [office.peer(CROWD) for _ in range(9)]
    crowd[0].ask(ENVELOPE + b"DATA\r\n")
    crowd[0].ask(b"x" * 2000)
    crowd[1].ask(b"N")
    office.peer(NEW)
    assert [one.connected for one in crowd[:3]] == [True, False, True]
    assert not any(draft.aborted for draft in office.delivery.drafts)


def test_a_letter_that_drips_is_forgotten() -> None:
    """Nothing is kept of it, and nothing is left of it."""
    office = Intake()
    full(office, 9)
    crowd = [office.peer(CROWD) for _ in range(9)]
    crowd[0].ask(ENVELOPE + b"DATA\r\nx")
    office.peer(NEW)
    assert not crowd[0].connected
    assert office.delivery.kept == []


def test_who_has_logged_in_stays() -> None:
    """So does a login that has to wait, from where there is no other; one of many that wait gives way."""
    office = Collection()
    full(office, 9)
    user = office.peer("192.0.2.1")
    office.checker.answer = Deferred()
    single, *crowd = [office.peer(f"203.0.113.{20 + (n > 0)}", inside=False) for n in range(8)]
    for peer in (single, *crowd):
        assert peer.ask(LOGIN).count(b"\r\n") == 2
    new = office.peer(NEW, inside=False)
    assert new.heard().startswith(b"+OK")
    assert user.connected
    assert single.connected
    assert crowd[0].heard() == b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    assert [one.connected for one in crowd[:2]] == [False, True]


@pytest.mark.parametrize("reads", [True, False])
def test_whoever_gives_way_is_gone_at_once(*, reads: bool) -> None:
    """Also one who does not read: its place is free before the newcomer is let in."""
    office = Intake()
    full(office, 9)
    crowd = [office.peer(CROWD) for _ in range(9)]
    if not reads:
        crowd[0].stop_reading()
        crowd[0].say(b"NOOP\r\n" * 20_000)
        crowd[0].settle()
    office.peer(NEW)
    assert crowd[0].line.ending == ("close" if reads else "abort")
    assert len(office.factory.connections) == 9
