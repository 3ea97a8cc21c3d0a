"""The checker itself: offices that lie are found out, each of them, and an honest one is believed.

The offices are a few lines in memory; what happens to them is drawn by hypothesis: letters for one and for
several, some answers lost, sessions that hang up, crashes. Each liar breaks one promise.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.checker import Checker
from tests.faults.history import History
from tests.faults.letters import body_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VIEWS = ("alice", "alice#phone", "bob")
USERS = ("alice", "bob")


class Honest:
    """A maildrop as a log and views as cursors, in memory."""

    says = ""  # what the checker says of the lie

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.next = 0
        self.maildrops: dict[str, dict[str, bytes]] = {user: {} for user in USERS}
        self.gone: dict[str, set[str]] = {view: set() for view in VIEWS}

    def lies(self) -> bool:
        return self.dice.random() < 0.5

    def enter(self, user: str, body: bytes) -> None:
        self.next += 1
        self.maildrops[user][f"e.{self.next}"] = body

    def keep(self, users: Iterable[str], body: bytes) -> bytes:
        for user in users:
            self.enter(user, body)
        return b"250 2.0.0 kept"

    def refuse(self, users: Iterable[str], body: bytes) -> bytes:
        return b"452 4.3.1 the disk is full"

    def forget(self, users: Iterable[str], body: bytes) -> None:
        """It was cut off before its end."""

    def show(self, view: str) -> dict[str, bytes]:
        shown = self.maildrops[view.partition("#")[0]]
        return {uidl: body for uidl, body in shown.items() if uidl not in self.gone[view]}

    def hang_up(self, view: str, marked: list[str]) -> None:
        """Without QUIT."""

    def let_go(self, view: str, marked: list[str]) -> bytes:
        self.gone[view] |= set(marked)
        return b"+OK good bye"

    def fail(self, view: str, marked: list[str]) -> bytes:
        """The deletion could not be written."""
        return b"-ERR [SYS/TEMP] try again later"

    def crash(self) -> None:
        """It starts anew."""


class Loses(Honest):
    says = "was promised to"

    def keep(self, users: Iterable[str], body: bytes) -> bytes:
        return b"250 2.0.0 kept" if self.lies() else super().keep(users, body)


class LosesOneRecipient(Honest):
    says = "was promised to"

    def keep(self, users: Iterable[str], body: bytes) -> bytes:
        return super().keep(["alice"], body) if self.lies() else super().keep(users, body)


class Doubles(Honest):
    says = "times; attempts"

    def keep(self, users: Iterable[str], body: bytes) -> bytes:
        if self.lies():
            super().keep(users, body)
        return super().keep(users, body)


class KeepsWhatItRefused(Honest):
    says = "times; attempts: nowhere"

    def refuse(self, users: Iterable[str], body: bytes) -> bytes:
        super().keep(users, body)
        return super().refuse(users, body)


class KeepsHalfALetter(Honest):
    says = "is damaged in"

    def forget(self, users: Iterable[str], body: bytes) -> None:
        super().keep(users, body[:-20])


class KeepsALetterWithoutAnEnd(Honest):
    says = "times; attempts: nowhere"

    def forget(self, users: Iterable[str], body: bytes) -> None:
        super().keep(users, body)


class Damages(Honest):
    says = "is damaged in"

    def enter(self, user: str, body: bytes) -> None:
        super().enter(user, body.replace(b"1", b"2") if self.lies() else body)


class Misdirects(Honest):
    says = "that nobody sent there"

    def keep(self, users: Iterable[str], body: bytes) -> bytes:
        return super().keep(USERS, body)


class MakesUp(Honest):
    says = "that nobody sent there"

    def keep(self, users: Iterable[str], body: bytes) -> bytes:
        self.enter("bob", b"Subject: nobodys\r\n\r\nsurprise\r\n")
        return super().keep(users, body)


class Resurrects(Honest):
    says = "which has let go of it"

    def crash(self) -> None:
        self.gone = {view: set() for view in VIEWS}


class DeletesNothing(Honest):
    says = "which has let go of it"

    def let_go(self, view: str, marked: list[str]) -> bytes:
        return b"+OK good bye"


class DeletesWithoutQuit(Honest):
    says = "and nobody let go of it"

    def hang_up(self, view: str, marked: list[str]) -> None:
        super().let_go(view, marked)


class DeletesTooMuch(Honest):
    says = "and nobody let go of it"

    def let_go(self, view: str, marked: list[str]) -> bytes:
        return super().let_go(view, [*marked, *list(self.show(view))[-1:]])


class DeletesForAllViews(Honest):
    says = "and nobody let go of it"

    def let_go(self, view: str, marked: list[str]) -> bytes:
        for uidl in marked:
            self.maildrops[view.partition("#")[0]].pop(uidl, None)
        return super().let_go(view, marked)


class DeletesByHalf(Honest):
    says = "was done by half"

    def fail(self, view: str, marked: list[str]) -> bytes:
        super().let_go(view, marked[:1])
        return super().fail(view, marked)


class ForgetsInACrash(Honest):
    says = "and nobody let go of it"

    def crash(self) -> None:
        for maildrop in self.maildrops.values():
            for uidl in list(maildrop)[-1:]:
                del maildrop[uidl]


class Renumbers(Honest):
    says = "and nobody let go of it"

    def crash(self) -> None:
        for user, maildrop in self.maildrops.items():
            self.maildrops[user] = {f"{uidl}x": body for uidl, body in maildrop.items()}


class UsesAUniqueIdAgain(Honest):
    says = "and is"

    def crash(self) -> None:
        for maildrop in self.maildrops.values():
            bodies = list(maildrop.values())
            for uidl, body in zip(maildrop, reversed(bodies), strict=True):
                maildrop[uidl] = body


class SharesUniqueIds(Honest):
    says = "'s and "

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        self.serials = dict.fromkeys(USERS, 0)

    def enter(self, user: str, body: bytes) -> None:
        self.serials[user] += 1
        self.next = self.serials[user] - 1
        super().enter(user, body)


LIARS = Honest.__subclasses__()


class World:
    """What happens to an office, and is told to a history."""

    def __init__(self, office: Honest, dice: random.Random) -> None:
        self.office = office
        self.dice = dice
        self.history = History(VIEWS)
        self.serial = 0

    def live(self, turns: int) -> None:
        kinds = [self.send, self.collect, self.send, self.collect, self.crash]
        for _ in range(turns):
            self.dice.choice(kinds)()
        self.audit()

    def send(self) -> None:
        self.serial += 1
        name = f"letter-{self.serial}"
        body = body_of(name, 200)
        users = self.dice.choice([["alice"], ["bob"], ["alice", "bob"]])
        for _ in range(self.dice.choice([1, 1, 2])):  # the same letter, sent again
            attempt = self.history.sending(name, users, body)
            fate = self.dice.randrange(6)
            if fate == 0:
                self.office.forget(users, body)
                self.history.withdrawn(attempt)
            elif fate == 1:
                self.history.answered(attempt, self.office.refuse(users, body))
            elif fate == 2:  # no answer; done or not
                if self.dice.random() < 0.5:
                    Honest.keep(self.office, users, body)
                self.history.answered(attempt, b"")
            else:
                self.history.answered(attempt, self.office.keep(users, body))

    def collect(self) -> None:
        view = self.dice.choice(VIEWS)
        session, shown = self.read(view)
        marked = [uidl for uidl in shown if self.dice.random() < 0.4]
        fate = self.dice.randrange(6)
        if fate == 0:
            self.office.hang_up(view, marked)
        else:
            self.history.quitting(session, [uidl.encode() for uidl in marked])
            if fate == 1:
                answer = self.office.fail(view, marked)
            elif fate == 2:
                if self.dice.random() < 0.5:
                    Honest.let_go(self.office, view, marked)
                answer = b""
            else:
                answer = self.office.let_go(view, marked)
            self.history.quit(session, answer)
        self.history.closed(session)

    def read(self, view: str) -> tuple[str, dict[str, bytes]]:
        session = self.history.opening(view)
        shown = self.office.show(view)
        self.history.listed(session, [uidl.encode() for uidl in shown])
        for uidl, body in shown.items():
            self.history.read(session, uidl.encode(), body)
        return session, shown

    def crash(self) -> None:
        self.office.crash()
        self.history.crashed()

    def audit(self) -> None:
        for view in VIEWS:
            session, _ = self.read(view)
            self.history.closed(session)
        self.history.audited()


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_an_honest_office(dice: random.Random, turns: int) -> None:
    """Whatever happens to it, nothing is found."""
    world = World(Honest(dice), dice)
    world.live(turns)
    assert world.history.lies == []


@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: liar.__name__)
def test_a_liar(liar: type[Honest]) -> None:
    """Found out, and for what it does; and quickly: in nearly every life."""
    found = 0
    for seed in range(20):
        dice = random.Random(seed)
        world = World(liar(dice), dice)
        world.live(150)
        found += any(liar.says in lie for lie in world.history.lies)
    assert found >= 18


# What takes several to tell ---------------------------------------------------------------------


class Story:
    """A history told by hand."""

    def __init__(self) -> None:
        self.history = History(["alice"])
        self.body = body_of("one", 200)

    def send(self, reply: bytes) -> None:
        attempt = self.history.sending("one", ["alice"], self.body)
        self.history.answered(attempt, reply)

    def look(self, *uidls: bytes, answer: bytes | None = None) -> None:
        session = self.history.opening("alice")
        self.history.listed(session, uidls)
        for uidl in uidls:
            self.history.read(session, uidl, self.body)
        if answer is not None:
            self.history.quitting(session, uidls)
            self.history.quit(session, answer)
        self.history.closed(session)


@pytest.fixture
def story() -> Story:
    return Story()


def test_an_attempt_in_doubt_comes_too_late(story: Story) -> None:
    """After a crash and an audit it is there or it is not, once and for all."""
    story.send(b"")
    story.history.crashed()
    story.look()
    story.history.audited()
    assert story.history.lies == []
    story.look(b"u1")
    assert "attempts: nowhere" in story.history.lies[0]


def test_a_commit_in_doubt_is_found_after_a_crash(story: Story) -> None:
    """A 451 may be found done after a crash, as long as nothing was committed in its place."""
    story.send(b"451 4.3.0 try again")
    story.look()
    story.history.audited()
    story.history.crashed()
    story.look(b"u1")
    assert story.history.lies == []


def test_a_commit_in_doubt_whose_place_is_taken(story: Story) -> None:
    """A later letter was acknowledged: what was in doubt before does not come any more."""
    story.send(b"451 4.3.0 try again")
    story.send(b"250 2.0.0 kept")
    story.look(b"u1")
    story.history.audited()
    story.history.crashed()
    story.look(b"u1", b"u2")
    assert "attempts: nowhere, kept" in story.history.lies[0]


def test_a_letter_comes_back_after_a_failed_quit(story: Story) -> None:
    """Once it is seen that a QUIT without +OK was done, that stays."""
    story.send(b"250 2.0.0 kept")
    story.look(b"u1", answer=b"-ERR [SYS/TEMP] try again")
    story.look()
    assert story.history.lies == []
    story.look(b"u1")
    assert "which has let go of it" in story.history.lies[0]


def test_a_failed_quit_is_done_much_later(story: Story) -> None:
    """Once it is seen that it was not done, and another write was acknowledged, it is not done any more."""
    story.send(b"250 2.0.0 kept")
    story.look(b"u1", answer=b"-ERR [SYS/TEMP] try again")
    story.look(b"u1")
    story.send(b"250 2.0.0 kept")
    story.look(b"u1", b"u2")
    assert story.history.lies == []
    story.look(b"u2")
    assert "nobody let go of it" in story.history.lies[0]


def test_two_quits_in_doubt(story: Story) -> None:
    """One after the other: the second may have been done where the first was not."""
    for _ in range(2):
        story.send(b"250 2.0.0 kept")
    story.look(b"u1", b"u2", answer=b"")
    session = story.history.opening("alice")
    story.history.listed(session, [b"u1", b"u2"])
    story.history.quitting(session, [b"u1"])
    story.history.quit(session, b"-ERR [SYS/TEMP] try again")
    story.history.closed(session)
    for _ in range(2):
        story.look(b"u2")
    assert story.history.lies == []


def test_a_listed_letter_cannot_be_read(story: Story) -> None:
    """A temporary failure is no loss; another answer is."""
    story.send(b"250 2.0.0 kept")
    session = story.history.opening("alice")
    story.history.listed(session, [b"u1"])
    story.history.unreadable(session, b"u1", b"-ERR [SYS/TEMP] later")
    assert story.history.lies == []
    story.history.unreadable(session, b"u1", b"-ERR it has left the maildrop")
    assert "is listed, but" in story.history.lies[0]


def test_a_unique_id_is_listed_twice(story: Story) -> None:
    story.send(b"250 2.0.0 kept")
    story.look(b"u1", b"u1")
    assert "twice" in story.history.lies[0]


def test_an_audit_that_has_not_looked(story: Story) -> None:
    """An office that lets nobody in is not taken for one that has lost nothing."""
    story.send(b"250 2.0.0 kept")
    story.history.audited()
    assert "could not be read to its end" in story.history.lies[0]


def test_an_office_that_does_not_recover(story: Story) -> None:
    """Seconds are counted from when the fault was over to the first 250."""
    for after, lies in ((4.9, 0), (5.1, 1)):
        checker = Checker(["alice"])
        sent = {"what": "sending", "id": 1, "name": "a", "users": ["alice"], "digest": ""}
        checker.take({"what": "mended", "at": 100.0, "within": 5.0})
        checker.take({"at": 100.0, **sent})
        kept = {"what": "answered", "id": 1, "reply": "250 2.0.0 kept"}
        checker.take({"at": 100.0 + after, **kept})
        assert len(checker.lies) == lies


def test_a_history_is_kept_in_a_file(tmp_path: Path) -> None:
    """Checking the file again says the same."""
    history = History(["alice"], tmp_path / "history")
    attempt = history.sending("one", ["alice"], b"Subject: one\r\n\r\n")
    history.answered(attempt, b"250 2.0.0 kept")
    session = history.opening("alice")
    history.listed(session, [])
    history.closed(session)
    history.close()
    again = Checker(["alice"])
    for line in (tmp_path / "history").read_text().splitlines():
        again.take(json.loads(line))
    assert again.lies == history.lies != []
