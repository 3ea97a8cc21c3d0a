"""The rooms around intake, in memory: they do what the test tells them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from mailpost.envelope import Address, Copy, Destination, Envelope, Report, Traits
from mailpost.intake import SMTPFactory
from mailpost.interfaces import IDelivery, ILetterDraft, ISorter
from mailpost.outcome import Delivered, Outcome, Refused
from mailpost.wire import reply
from mailpost.wire.smtp import Settings
from tests.memory import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.envelope import Group
    from mailpost.limits import ConnectionLimits

HELLO = b"EHLO client.example.net\r\n"
ENVELOPE = b"MAIL FROM:<carol@example.net>\r\nRCPT TO:<alice@example.org>\r\n"


@implementer(ISorter)
class Sorter:
    """Knows alice (maildrop 1) and bob (2).

    :ivar answers: what to answer for other local parts, or to raise.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "alice": Destination(1, "alice@example.org"),
            "bob": Destination(2, "bob@example.org"),
        }

    def sort(self, recipient: Address) -> Any:
        answer = self.answers.get(recipient.local, Refused(reply.NO_SUCH_USER, "no such account"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@implementer(ILetterDraft)
class Draft:
    """A letter on its way in.

    :ivar chunks: what was written.
    :ivar aborted: whether it was forgotten before it was committed.
    :ivar committed: fires when the letter is durable; there from commit on.
    """

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.chunks: list[bytes] = []
        self.aborted = False
        self.committed: Deferred[Sequence[Outcome]] | None = None

    def write(self, chunk: bytes) -> Deferred[None] | None:
        if self.delivery.write_fails is not None:
            raise self.delivery.write_fails
        self.chunks.append(chunk)
        return self.delivery.behind

    def commit(
        self,
        envelope: Envelope,
        copies: Sequence[Copy],
        traits: Traits,
        *,
        atomic: bool,
        report: Report | None = None,
    ) -> Deferred[Sequence[Outcome]]:
        if self.delivery.commit_fails is not None:
            raise self.delivery.commit_fails
        assert self.committed is None
        assert not self.aborted
        self.envelope, self.copies, self.traits, self.atomic = envelope, copies, traits, atomic
        self.report = report
        if self.delivery.at_once:
            self.committed = succeed(
                [Delivered()] * (len(copies) + len(report.copies if report else ()))
            )
        else:
            self.committed = Deferred()
        return self.committed

    def abort(self) -> None:
        if self.committed is None:
            self.aborted = True
        if self.delivery.abort_fails is not None:
            raise self.delivery.abort_fails

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


@implementer(IDelivery)
class Delivery:
    """Keeps drafts.

    :ivar at_once: commits are answered at once; if not, the test fires ``drafts[n].committed``.
    :ivar behind: what a draft's ``write`` returns.
    """

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.room: Any = True
        self.full: set[int] = set()
        self.asked_for: list[int] = []
        self.at_once = True
        self.behind: Deferred[None] | None = None
        self.begin_fails: Exception | None = None
        self.write_fails: Exception | None = None
        self.commit_fails: Exception | None = None
        self.abort_fails: Exception | None = None

    def has_room(self) -> bool:
        if isinstance(self.room, Exception):
            raise self.room
        return bool(self.room)

    def room_for(self, sorted_to: Destination | Group, octets: int) -> bool:
        self.asked_for.append(octets)
        return not any(one.maildrop in self.full for one in sorted_to.destinations)

    def begin(self) -> Draft:
        if self.begin_fails is not None:
            raise self.begin_fails
        self.drafts.append(Draft(self))
        return self.drafts[-1]

    @property
    def kept(self) -> list[Draft]:
        """The letters that were given to be committed."""
        return [draft for draft in self.drafts if draft.committed is not None]


class Office:
    """An intake, and what is around it."""

    def __init__(self, limits: ConnectionLimits | None = None, **settings: int) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.sorter = Sorter()
        self.delivery = Delivery()
        self.factory = SMTPFactory(
            Settings("post.example.org", **settings),
            self.sorter,
            self.delivery,
            self.clock,
            limits,
        )

    def peer(self, host: str = "192.0.2.1", *, greeted: bool = True) -> Peer:
        """Somebody who has connected, and said hello."""
        peer = Peer(self.factory, self.clock, host)
        if greeted:
            assert peer.heard().startswith(b"220 post.example.org ")
            assert peer.ask(HELLO).endswith(b"250 HELP\r\n")
        return peer


def codes(replies: bytes) -> list[str]:
    """The codes of replies: ``250 2.0.0``; plain ones alone."""
    found = []
    for line in replies.decode("ascii").split("\r\n")[:-1]:
        assert len(line) > 3
        if line[3] == " ":
            word = line.split(" ")[1]
            found.append(
                f"{line[:3]} {word}" if word.count(".") == 2 and word[0].isdigit() else line[:3]
            )
    return found
