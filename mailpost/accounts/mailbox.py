"""An adapter: a :class:`twisted.mail.pop3.IMailbox` is opened as a maildrop like any other.

A realm that was written for Twisted's own POP3 server works unchanged. Its letters often lie in
files with the line ends of UNIX, and then the sizes it tells are not those of what goes over the
wire (RFC 1939 §11 asks for those): so each letter is read once when the mailbox is opened, as it
will be sent, and counted. The mailbox is called in the reactor's thread alone, as Twisted does it;
any of its methods may answer by a Deferred.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO, TYPE_CHECKING, Any

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.interfaces import IMaildrop, IPieces, ISnapshot
from mailpost.outcome import MaildropInUse, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_log = Logger()
_PIECE = 1 << 16  # octets read at a time; a letter that is smaller is given whole
_BREATH = 1 << 22  # octets counted before others in the reactor get their turn
_UIDL = re.compile(rb"[!-~]{1,70}")  # RFC 1939 §7

# The mailboxes that are open, by identity: RFC 1939 §4 asks for a lock, IMailbox knows of none. A
# realm that gives each login a mailbox object of its own has to lock for itself.
_in_use: set[int] = set()


def breathe() -> Deferred[None]:
    """Let the reactor do what else there is to do."""
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs it

    return deferLater(reactor, 0)


@frozen
class _Letter:
    """A letter as the mailbox counts it, and as it will be sent."""

    index: int
    octets: int
    uidl: bytes


@implementer(IMaildrop)
class MailboxMaildrop:
    """A mailbox of Twisted's kind, to be opened.

    :param mailbox: provides :class:`twisted.mail.interfaces.IMailboxPOP3`.
    :param pause: called now and then while letters are counted.
    """

    def __init__(self, mailbox: Any, pause: Callable[[], Deferred[None]] = breathe) -> None:
        self._mailbox = mailbox
        self._pause = pause

    def open(self) -> Deferred[ISnapshot]:
        """Count what is in it."""
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> ISnapshot:
        if id(self._mailbox) in _in_use:
            raise MaildropInUse("another session has this mailbox open")
        _in_use.add(id(self._mailbox))
        try:
            return MailboxSnapshot(self._mailbox, await self._letters())
        except BaseException as error:
            _in_use.discard(id(self._mailbox))
            if not isinstance(error, Exception):
                raise
            _log.failure("a mailbox cannot be opened")
            raise TemporaryFailure("a mailbox cannot be opened") from error

    async def _letters(self) -> list[_Letter]:
        sizes: Sequence[int] = await maybeDeferred(self._mailbox.listMessages)
        letters = []
        counted = 0
        for index, size in enumerate(sizes):
            if not size:  # how an IMailbox says that it is deleted
                continue
            octets = await self._count(index, size)
            uidl = await maybeDeferred(self._mailbox.getUidl, index)
            letters.append(_Letter(index, octets, _unique_id(uidl)))
            counted += octets
            if counted > _BREATH:
                counted = 0
                await self._pause()
        return letters

    async def _count(self, index: int, size: int) -> int:
        """Count a letter's octets as they will be sent; one that cannot be read spoils no other."""
        try:
            with await maybeDeferred(self._mailbox.getMessage, index) as file:
                return sum(map(len, as_sent(file)))
        except Exception:  # noqa: BLE001 - a mailbox of somebody else's
            _log.failure("letter {index} of a mailbox cannot be read", index=index)
            return size


@implementer(ISnapshot)
class MailboxSnapshot:
    """A mailbox of Twisted's kind, opened."""

    def __init__(self, mailbox: Any, letters: Sequence[_Letter]) -> None:
        self._mailbox = mailbox
        self._letters = letters
        self.sizes: Sequence[int] = [letter.octets for letter in letters]

    def uidl(self, index: int) -> bytes:
        """Give the mailbox's own unique-id, or one made from it where RFC 1939 forbids that."""
        return self._letters[index].uidl

    def fetch(self, index: int) -> Deferred[bytes | IPieces]:
        """Read a letter, its line ends made CRLF."""
        return Deferred.fromCoroutine(self._fetch(self._letters[index]))

    def at_hand(self, indexes: Sequence[int]) -> Sequence[bytes]:  # noqa: ARG002
        """Give nothing: no letter is held in memory."""
        return ()

    async def _fetch(self, letter: _Letter) -> bytes | IPieces:
        try:
            pieces = Pieces(
                await maybeDeferred(self._mailbox.getMessage, letter.index), letter.octets
            )
            return pieces if letter.octets > _PIECE else pieces.whole()
        except TemporaryFailure:
            raise
        except Exception as error:
            _log.failure("letter {index} of a mailbox cannot be read", index=letter.index)
            raise TemporaryFailure("a letter of a mailbox cannot be read") from error

    def let_go(self, indexes: Sequence[int]) -> Deferred[None]:
        """Have the mailbox delete these letters; how durably, is its own promise."""
        return Deferred.fromCoroutine(self._let_go(indexes))

    async def _let_go(self, indexes: Sequence[int]) -> None:
        try:
            for index in indexes:
                await maybeDeferred(self._mailbox.deleteMessage, self._letters[index].index)
            await maybeDeferred(self._mailbox.sync)
        except Exception as error:
            _log.failure("a mailbox could not let letters go")
            undone: Deferred[object] = maybeDeferred(self._mailbox.undeleteMessages)
            undone.addErrback(lambda failure: _log.failure("and did not undelete them", failure))
            await undone
            raise TemporaryFailure("a mailbox could not let letters go") from error

    def close(self) -> None:
        """Let the next session have the mailbox."""
        _in_use.discard(id(self._mailbox))


@implementer(IPieces)
class Pieces:
    """A letter of a mailbox, read as it is sent.

    :param octets: how many there were when it was counted; it must come to the same again.
    """

    def __init__(self, file: IO[bytes], octets: int) -> None:
        self._file = file
        self._sent = as_sent(file)
        self._left = octets

    def read(self) -> Deferred[bytes]:
        """Give the next octets."""
        return maybeDeferred(self._read)

    def _read(self) -> bytes:
        try:
            piece = next(self._sent, b"")
        except Exception as error:
            _log.failure("a letter of a mailbox cannot be read to its end")
            raise TemporaryFailure("a letter of a mailbox cannot be read") from error
        self._left -= len(piece)
        if self._left < 0 or (self._left and not piece):
            raise TemporaryFailure("a letter of a mailbox has changed since it was counted")
        return piece

    def whole(self) -> bytes:
        """Give all of it at once."""
        try:
            return b"".join(iter(self._read, b""))
        finally:
            self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def as_sent(file: IO[bytes]) -> Iterator[bytes]:
    """Read a letter with every line end made CRLF, the last one too."""
    # Twisted's own Maildir opens its files as text, which would lose octets that are not UTF-8.
    octets: IO[bytes] = getattr(file, "buffer", file)
    held = b""  # a CR at the end of a piece: the LF may come with the next one
    last = b""
    while piece := octets.read(_PIECE):
        text = held + piece
        held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        last = text[-1:]
        if text:
            yield text
    if held or last != b"\n":
        yield held + b"\r\n"


def _unique_id(given: bytes | str) -> bytes:
    uidl = given.encode() if isinstance(given, str) else given
    return uidl if _UIDL.fullmatch(uidl) else hashlib.sha256(uidl).hexdigest().encode()
