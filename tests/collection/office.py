"""The rooms around collection, in memory: they do what the test tells them to."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import alsoProvides, implementer

from mailpost.accounts.realm import nothing_to_do
from mailpost.collection import POP3Factory
from mailpost.interfaces import IMaildrop, IPieces, IRemembering, ISnapshot
from mailpost.outcome import MaildropInUse
from tests.memory import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailpost.limits import ConnectionLimits

LOGIN = b"USER alice\r\nPASS secret\r\n"
LETTERS = [
    b"A: 1\r\n\r\none\r\n",
    b"B: 2\r\n\r\n.two\r\n",
    b"C: 3\r\n\r\nthree\r\nlines\r\nlong\r\n",
]


@implementer(IPieces)
class Pieces:
    """A letter that is read piece by piece.

    :ivar answers: what ``read`` gives, one after the other: octets, a Deferred, or what to raise.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers, b""]
        self.reads = 0
        self.closed = False

    def read(self) -> Deferred[bytes]:
        assert not self.closed
        answer = self.answers[min(self.reads, len(self.answers) - 1)]
        self.reads += 1
        if isinstance(answer, Exception):
            return fail(answer)
        return answer if isinstance(answer, Deferred) else succeed(answer)

    def close(self) -> None:
        self.closed = True


class PiecesAtOnce(Pieces):
    """The same, where no piece has to be waited for."""

    def read(self) -> bytes:  # type: ignore[override]  # narrower than a Deferred may be
        answer = self.answers[min(self.reads, len(self.answers) - 1)]
        self.reads += 1
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, bytes)
        return answer


@implementer(ISnapshot)
class Snapshot:
    """An open maildrop.

    :ivar answers: what ``fetch`` gives in place of a letter, or raises.
    :ivar letting_go: what ``let_go`` was asked; fired by the test, unless ``at_once``.
    """

    def __init__(self, maildrop: Maildrop) -> None:
        self.maildrop = maildrop
        self.letters = list(maildrop.letters)
        self.sizes: Sequence[int] = [len(letter) for letter in self.letters]
        self.answers: dict[int, Any] = {}
        self.closed = 0
        self.days = 0
        self.marks: bytearray | None = None
        if maildrop.days is not None:
            self.days = maildrop.days
            alsoProvides(self, IRemembering)

    def uidl(self, index: int) -> bytes:
        if self.maildrop.uidl_fails is not None:
            raise self.maildrop.uidl_fails
        return b"e.%d" % (index + 1)

    def fetch(self, index: int) -> Any:
        answer = self.answers.get(index, self.letters[index])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def at_hand(self, indexes: Sequence[int]) -> Sequence[bytes]:
        answers = [self.answers.get(index, self.letters[index]) for index in indexes]
        return list(takewhile(lambda answer: isinstance(answer, bytes), answers))

    def let_go(self, indexes: Sequence[int]) -> Deferred[None]:
        assert not self.closed
        answer = self.maildrop.let_go_answer
        if isinstance(answer, Exception):
            raise answer
        self.maildrop.asked = list(indexes)
        going: Deferred[None] = succeed(None) if answer is None else answer
        return going.addCallback(lambda _: self._gone(indexes))

    def _gone(self, indexes: Sequence[int]) -> None:
        gone = [self.letters[index] for index in indexes]
        self.maildrop.letters = [one for one in self.maildrop.letters if one not in gone]

    def given(self, marks: bytearray) -> None:
        self.marks = marks

    def close(self) -> None:
        self.closed += 1
        self.maildrop.locked = False


@implementer(IMaildrop)
class Maildrop:
    """A maildrop with a lock.

    :ivar days: for how long it keeps letters; None: it does not know.
    :ivar opening: what to do at ``open``: a Deferred to wait for, what to raise, or None.
    """

    def __init__(self, letters: Sequence[bytes]) -> None:
        self.letters = list(letters)
        self.locked = False
        self.opening: Any = None
        self.let_go_answer: Any = None
        self.uidl_fails: Exception | None = None
        self.asked: list[int] | None = None
        self.days: int | None = None
        self.snapshot: Snapshot

    def open(self) -> Any:
        if isinstance(self.opening, Exception):
            raise self.opening
        if self.locked:
            raise MaildropInUse
        self.locked = True
        self.snapshot = Snapshot(self)
        if self.opening is not None:
            return self.opening.addCallback(lambda _: self.snapshot)
        return self.snapshot


@implementer(ICredentialsChecker)
class Checker:
    """Knows alice, whose password is ``secret``, unless it was told otherwise."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.answer: Any = None
        self.asked: list[tuple[bytes, bytes, str]] = []

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append((credentials.username, credentials.password, credentials.peer))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if credentials.checkPassword(b"secret") and credentials.username == b"alice":
            return b"alice"
        raise UnauthorizedLogin


@implementer(IRealm)
class Realm:
    """Gives the one maildrop there is."""

    def __init__(self, maildrop: Maildrop) -> None:
        self.maildrop = maildrop
        self.logout: Callable[[], object] = nothing_to_do

    def requestAvatar(self, avatarId: object, mind: object, *interfaces: object) -> Any:
        assert IMaildrop in interfaces
        return IMaildrop, self.maildrop, self.logout


class Office:
    """A collection, and what is around it."""

    def __init__(
        self,
        letters: Sequence[bytes] = LETTERS,
        limits: ConnectionLimits | None = None,
        max_errors: int = 30,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.maildrop = Maildrop(letters)
        self.checker = Checker()
        self.realm = Realm(self.maildrop)
        self.portal = Portal(self.realm, [self.checker])
        self.factory = POP3Factory(
            "post.example.org", self.portal, self.clock, limits, max_errors=max_errors
        )

    def peer(self, host: str = "192.0.2.1", *, inside: bool = True) -> Peer:
        """Somebody who has connected, and logged in."""
        peer = Peer(self.factory, self.clock, host)
        if inside:
            assert peer.heard().startswith(b"+OK post.example.org ")
            answers = peer.ask(LOGIN).split(b"\r\n")
            assert answers[1].startswith(b"+OK %d letters, " % len(self.maildrop.letters))
        return peer

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that was opened last."""
        return self.maildrop.snapshot
