"""A checker in the manner of Jepsen: what clients were told is held against what they find afterwards.

What has to hold, whatever has been struck, cut or killed:

* a letter with a 250 is in the maildrop of each recipient, its octets unaltered, once for each 250; one
  whose attempt had no answer, or a 451, may be there once more, and then for all of its recipients;
* a letter that was refused for good, or whose end was never sent, is nowhere, nor is any that nobody sent;
* what a view has let go of with +OK to QUIT it never shows again; a QUIT without +OK was done for all of
  its letters or for none; nothing else is gone, from any view;
* a unique-id stays with its letter, in every view, and never comes to another;
* letters are kept again soon after a fault is over, within :data:`RECOVERY` seconds where no others are said.

An attempt without an answer stays in doubt until that can no longer change. A commit whose sync failed may be
found done after a crash, unless another was acknowledged that began later, since that has taken its place
in the write-ahead log; what a living process may still have under way is in doubt until it ends.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RECOVERY = 5.0
"""Seconds within which an office takes letters again after a fault, without a hand."""

PENDING, KEPT, DOUBTFUL, NOWHERE = "pending", "kept", "doubtful", "nowhere"


@attrs.define
class Attempt:
    """A letter that was sent.

    :ivar ended: the place of its answer in the history.
    :ivar put_off: it had an answer, so its process is done with it.
    """

    name: str
    begun: int
    state: str = PENDING
    ended: int = 0
    put_off: bool = False


@attrs.define
class Text:
    """What was sent under a name, as often as it was tried."""

    users: frozenset[str]
    digest: str
    attempts: list[Attempt] = attrs.Factory(list)

    def tried(self, *states: str) -> int:
        """How many attempts have one of these states."""
        return sum(attempt.state in states for attempt in self.attempts)


@attrs.define
class Session:
    """Somebody who has opened a view.

    :ivar expected: the unique-ids that have to be listed.
    :ivar owed: names of letters that have to be listed, and whose unique-ids nobody knows yet.
    :ivar known: how many unique-ids of each of these names were known.
    """

    view: str
    user: str
    begun: int
    expected: frozenset[str]
    owed: Mapping[str, int]
    known: Mapping[str, frozenset[str]]
    listed: frozenset[str] | None = None
    unread: set[str] = attrs.Factory(set)
    quitting: frozenset[str] = frozenset()
    quit_begun: int = 0
    quit_ended: bool = False


class Doubt(NamedTuple):
    """A QUIT that had no +OK; whoever opens the view again, its process is done with it.

    :ivar ended: the place of its answer, or of its end without one, in the history.
    """

    uidls: frozenset[str]
    ended: int


class Checker:
    """Takes the events of a history one after the other.

    :param views: as :class:`~tests.faults.history.History` has them.
    :ivar lies: what does not hold, each as a sentence.
    :ivar recoveries: seconds from the end of a fault to the next letter that was kept.
    """

    def __init__(self, views: Iterable[str]) -> None:
        self._views: dict[str, list[str]] = defaultdict(list)
        for view in views:
            self._views[_user(view)].append(view)
        self.lies: list[str] = []
        self.recoveries: list[float] = []
        self.counts: Counter[str] = Counter()
        self._place = 0
        self._attempts: dict[str, Attempt] = {}
        self._texts: dict[str, Text] = {}
        self._sessions: dict[str, Session] = {}
        self._owner: dict[str, str] = {}  # whose maildrop a unique-id is of
        self._name: dict[str, str] = {}  # and which letter, once it was read
        self._copies: dict[tuple[str, str], set[str]] = defaultdict(set)  # by user and name
        self._owed: dict[str, set[str]] = defaultdict(set)  # names, by user
        self._there: dict[str, set[str]] = defaultdict(set)  # unique-ids, by view
        self._gone: dict[str, set[str]] = defaultdict(set)
        self._doubts: dict[str, list[Doubt]] = defaultdict(list)
        self._looked: dict[str, int] = {}  # when a view was opened that was read to its end
        self._last_ack = 0  # the beginning of the latest write that was acknowledged
        self._last_crash = 0
        self._last_answer = 0
        self._mended: float | None = None
        self._within = RECOVERY

    @property
    def waiting(self) -> bool:
        """Whether the first letter after a fault is yet to come."""
        return self._mended is not None

    def take(self, event: Mapping[str, Any]) -> None:
        """Hold one more event against all that were before."""
        self._place += 1
        if self._mended is not None and event["at"] > self._mended + self._within:
            self._mended = None
            self._lie(f"no letter was kept within {self._within} s after the fault")
        getattr(self, f"_take_{event['what']}")(event)

    # Letters ----------------------------------------------------------------------------------------

    def _take_sending(self, event: Mapping[str, Any]) -> None:
        self.counts["sent"] += 1
        name, users = event["name"], frozenset(event["users"])
        text = self._texts.setdefault(name, Text(users, event["digest"]))
        assert (text.users, text.digest) == (users, event["digest"]), "one name, two letters"
        attempt = Attempt(name, self._place)
        text.attempts.append(attempt)
        self._attempts[event["id"]] = attempt

    def _take_answered(self, event: Mapping[str, Any]) -> None:
        attempt = self._attempts.pop(event["id"])
        attempt.ended = self._last_answer = self._place
        reply = event["reply"]
        if reply.startswith("250"):
            self.counts["kept"] += 1
            attempt.state = KEPT
            self._last_ack = max(self._last_ack, attempt.begun)
            self._recovered(event["at"])
            self._owe(attempt.name)
        elif reply.startswith(("452", "5")):  # undone: nothing of it is anywhere
            self.counts["refused"] += 1
            attempt.state = NOWHERE
        else:
            self.counts["put_off" if reply else "unanswered"] += 1
            attempt.state = DOUBTFUL
            attempt.put_off = bool(reply)
        self._count_copies(attempt.name)

    def _recovered(self, at: float) -> None:
        if self._mended is not None:
            self.recoveries.append(at - self._mended)
            self._mended = None

    def _take_withdrawn(self, event: Mapping[str, Any]) -> None:
        self.counts["withdrawn"] += 1
        attempt = self._attempts.pop(event["id"])
        attempt.state = NOWHERE
        self._last_answer = self._place
        self._count_copies(attempt.name)

    def _owe(self, name: str) -> None:
        """See in which maildrops a letter has to be that was not seen there often enough."""
        for user in self._texts[name].users:
            if self._owed_to(user, name) > 0:
                self._owed[user].add(name)
            else:
                self._owed[user].discard(name)

    def _owed_to(self, user: str, name: str) -> int:
        text = self._texts[name]
        arrived = max(len(self._copies[each, name]) for each in text.users)
        return max(text.tried(KEPT), arrived) - len(self._copies[user, name])

    def _count_copies(self, name: str) -> None:
        text = self._texts[name]
        most = text.tried(PENDING, KEPT, DOUBTFUL)
        for user in text.users:
            copies = len(self._copies[user, name])
            if copies > most:
                states = ", ".join(attempt.state for attempt in text.attempts)
                self._lie(f"{name} is in {user}'s maildrop {copies} times; attempts: {states}")

    # Sessions ---------------------------------------------------------------------------------------

    def _take_opening(self, event: Mapping[str, Any]) -> None:
        view = event["view"]
        user = _user(view)
        owed = {name: self._owed_to(user, name) for name in self._owed[user]}
        known = {name: frozenset(self._copies[user, name]) for name in owed}
        expected = frozenset(self._there[view])
        self._sessions[event["id"]] = Session(view, user, self._place, expected, owed, known)

    def _take_listed(self, event: Mapping[str, Any]) -> None:
        self.counts["sessions"] += 1
        session = self._sessions[event["id"]]
        view, user = session.view, session.user
        listed = session.listed = frozenset(event["uidls"])
        if len(listed) < len(event["uidls"]):
            self._lie(f"{view} lists a unique-id twice")
        self._resolve(view, listed)
        for uidl in sorted(session.expected & self._there[view] - listed):
            self._lie(f"{self._called(uidl)} is gone from {view}, and nobody let go of it")
        for uidl in sorted(listed & self._gone[view]):
            self._lie(f"{self._called(uidl)} is back in {view}, which has let go of it")
        for uidl in sorted(listed):
            if self._owner.setdefault(uidl, user) != user:
                self._lie(f"{uidl} is {user}'s and {self._owner[uidl]}'s")
        for other in self._views[user]:
            self._there[other] |= listed - self._gone[other]
        session.unread = {uidl for uidl in listed if uidl not in self._name}
        self._see_whether_read(session)

    def _resolve(self, view: str, listed: frozenset[str]) -> None:
        """A QUIT without +OK was done, or it was not; or that can still be found out only later."""
        doubts = self._doubts[view]
        before = self._gone[view]  # by one of two that were about the same letter
        gone = frozenset[str]().union(*(doubt.uidls for doubt in doubts)) - listed - before
        done = [doubt for doubt in doubts if doubt.uidls - before <= gone]
        if gone - frozenset().union(*(doubt.uidls for doubt in done)):
            self._lie(f"a QUIT of {view} was done by half: {sorted(gone)} are gone")
        self._gone[view] |= gone
        self._there[view] -= gone
        self._doubts[view] = [
            doubt
            for doubt in doubts
            if doubt not in done and not self._settled(doubt.ended, answered=True)
        ]

    def _take_read(self, event: Mapping[str, Any]) -> None:
        self.counts["read"] += 1
        session, uidl, name = self._sessions[event["id"]], event["uidl"], event["name"]
        text = self._texts.get(name)
        if text is None or session.user not in text.users:
            self._lie(f"{session.user} has a letter that nobody sent there: {name}")
            return
        if event["digest"] != text.digest:
            self._lie(f"{name} is damaged in {session.view}")
        if self._name.setdefault(uidl, name) != name:
            self._lie(f"{uidl} was {self._name[uidl]} and is {name}")
        if self._owner.get(uidl) != session.user:
            self._lie(f"{uidl} was not listed for {session.view}")
        copies = self._copies[session.user, name]
        if uidl not in copies:
            copies.add(uidl)
            self._count_copies(name)
            self._owe(name)
        if uidl in session.unread:
            session.unread.discard(uidl)
            self._see_whether_read(session)

    def _see_whether_read(self, session: Session) -> None:
        if session.unread or session.listed is None:
            return
        self._looked[session.view] = session.begun
        for name, owed in session.owed.items():
            new = self._copies[session.user, name] - session.known[name]
            if len(new & session.listed) < owed:
                self._lie(f"{name} was promised to {session.user}, and {session.view} has it not")

    def _take_unreadable(self, event: Mapping[str, Any]) -> None:
        if not event["answer"].startswith("-ERR [SYS/TEMP]"):
            self._lie(f"{self._called(event['uidl'])} is listed, but: {event['answer']}")

    def _take_quitting(self, event: Mapping[str, Any]) -> None:
        session = self._sessions[event["id"]]
        session.quitting = frozenset(event["uidls"])
        session.quit_begun = self._place

    def _take_quit(self, event: Mapping[str, Any]) -> None:
        session = self._sessions[event["id"]]
        session.quit_ended = True
        answer, uidls = event["answer"], session.quitting
        if not uidls:
            return
        if answer.startswith("+OK"):
            self.counts["let go"] += len(uidls)
            self._gone[session.view] |= uidls
            self._there[session.view] -= uidls
            self._doubts[session.view] = []  # they were not done, and now it is too late
            self._last_ack = max(self._last_ack, session.quit_begun)
        else:
            self.counts["QUITs in doubt"] += 1
            self._doubts[session.view].append(Doubt(uidls, self._place))

    def _take_closed(self, event: Mapping[str, Any]) -> None:
        del self._sessions[event["id"]]

    # The world --------------------------------------------------------------------------------------

    def _take_struck(self, event: Mapping[str, Any]) -> None:
        self.counts[f"struck: {event['how'].split(':')[0]}"] += 1
        self._mended = None

    def _take_crashed(self, _: Mapping[str, Any]) -> None:
        self._last_crash = self._place
        self._mended = None

    def _take_abandoned(self, _: Mapping[str, Any]) -> None:
        for number in list(self._attempts):
            self._take_answered({"id": number, "reply": ""})
        for number, session in list(self._sessions.items()):
            if session.quit_begun and not session.quit_ended:
                self._take_quit({"id": number, "answer": ""})
            self._take_closed({"id": number})

    def _take_mended(self, event: Mapping[str, Any]) -> None:
        self._mended = event["at"]
        self._within = event["within"]

    def _take_audited(self, _: Mapping[str, Any]) -> None:
        """What was not answered and is not there will not come any more."""
        assert not self._attempts, "somebody still sends"
        self.counts["audits"] += 1
        for views in self._views.values():
            for view in views:
                if self._looked.get(view, 0) < self._last_answer:
                    self._lie(f"{view} could not be read to its end")
        for name, text in self._texts.items():
            arrived = max(len(self._copies[user, name]) for user in text.users)
            came = arrived - text.tried(KEPT)
            for attempt in text.attempts:
                if attempt.state == DOUBTFUL and self._settled(
                    attempt.ended, answered=attempt.put_off
                ):
                    attempt.state = KEPT if came > 0 else NOWHERE
                    came -= 1

    def _settled(self, ended: int, *, answered: bool) -> bool:
        return self._last_crash > ended or (answered and self._last_ack > ended)

    def _called(self, uidl: str) -> str:
        return f"{self._name.get(uidl, 'a letter')} ({uidl})"

    def _lie(self, sentence: str) -> None:
        self.lies.append(f"{sentence} [line {self._place}]")


def _user(view: str) -> str:
    return view.partition("#")[0]
