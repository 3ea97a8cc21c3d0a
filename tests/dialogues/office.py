"""A post office in memory: it answers what the engines ask, and nothing else is in it.

The same few lines a shell needs to drive an engine, without a network. Recipients are sorted as in any
office, by an address book in memory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mailpost.config import Config, Listen
from mailpost.config import Office as OfficeConfig
from mailpost.outcome import Refused, TryLater
from mailpost.sorting.local import LocalSorter
from mailpost.wire import reply
from mailpost.wire.downgrade import downgraded
from mailpost.wire.lmtp import LMTPServer
from mailpost.wire.login import Access, DigestOffered
from mailpost.wire.pop3 import POP3Server
from mailpost.wire.pop3_events import LetterAsked, LoginOffered, TLSAsked, UpdateAsked
from mailpost.wire.reply import Reply
from mailpost.wire.session import OutputWaiting, ServerSession, SessionEnded
from mailpost.wire.smtp import Settings, SMTPServer
from mailpost.wire.smtp_events import (
    LetterReceived,
    PieceReceived,
    RecipientOffered,
    SenderOffered,
    TransactionAborted,
)
from mailpost.wire.smtp_events import TLSAsked as STARTTLSAsked
from tests.sorting.book import Book

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailpost.wire.path import Address
    from mailpost.wire.session import Event

HOSTNAME = "post.example.org"
DOMAIN = "example.org"
ACCOUNTS = ("alice", "bob", "postmaster")
ALIAS = "alias "
CONFIG = Config(
    office=OfficeConfig(hostname=HOSTNAME, domains=(DOMAIN,)),
    listen=(Listen(protocol="smtp", endpoint="tcp:25:interface=192.0.2.25"),),
)
PASSWORD = b"open sesame"
KEPT = Reply(250, "2.0.0", "kept")

LETTERS = (
    b"From: Bob <bob@example.org>\r\nSubject: tea?\r\n\r\nAt five?\r\n",
    b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\nnot. hidden.\r\n",
    b"Subject: five lines\r\n\r\nline 1\r\nline 2\r\nline 3\r\nline 4\r\nline 5\r\n",
)
GREETINGS = (
    "From: Jörg <jörg@example.net>\r\nTo: Erin <erin@example.org>\r\nSubject: Grüße\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    'Content-Type: text/plain; name="Größe.txt"\r\n\r\nTschüß\r\n--b--\r\n'.encode(),
)
UIDLS = (b"7c2.1", b"7c2.2", b"7c2.5")


class Office:
    """Drives one session, whatever its dialect.

    :ivar handshakes: how often TLS began.
    """

    session: ServerSession

    def __init__(self) -> None:
        self.heard = b""
        self.handshakes = 0
        self.ended: SessionEnded | None = None

    def receive(self, octets: bytes) -> None:
        """Take octets from the client, act on what they mean, gather what is answered."""
        self.session.receive(octets)
        while (event := self.session.next_event()) is not None:
            if isinstance(event, OutputWaiting):
                self.heard += self.session.take_output()
                continue
            ended = event if isinstance(event, SessionEnded) else self.act(event)
            if ended is not None:
                self.ended = ended
        self.heard += self.session.take_output()

    def act(self, event: Event) -> SessionEnded | None:
        """Answer a question."""
        raise NotImplementedError


def security(settings: Mapping[str, str]) -> Access:
    """What a dialogue says of TLS, as the engines take it."""
    return Access(
        can_tls=settings.get("tls") == "offered",
        tls=settings.get("tls") == "spoken",
        cleartext=settings.get("cleartext") != "refused",
    )


class SMTPOffice(Office):
    """Takes letters in.

    :ivar kept: sender, recipients and octets of each letter.
    """

    session: SMTPServer
    dialect = SMTPServer

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._disk_full = "disk" in settings
        self._broken = "store" in settings
        limits = {name: int(value) for name, value in settings.items() if name.startswith("max_")}
        self._full = settings.get("full maildrop")
        aliases = {
            name.removeprefix(ALIAS): targets.split(",")
            for name, targets in settings.items()
            if name.startswith(ALIAS)
        }
        maildrops = {name: number for number, name in enumerate(ACCOUNTS)}
        self._sorter = LocalSorter(Book(maildrops, aliases), CONFIG)
        office = Settings(HOSTNAME, needs_login="login" in settings, **limits)
        self.session = self.dialect(office, security(settings))
        self.kept: list[tuple[str, list[str], bytes]] = []
        self._sender = ""
        self._start_over()
        self.session.greet()
        self.receive(b"")

    def act(self, event: Event) -> SessionEnded | None:
        """One step of a letter."""
        answer: Reply | None = None
        if isinstance(event, SenderOffered):
            self._sender = str(event.reverse_path or "")
            self._announced = event.parameters.size
            answer = reply.DISK_FULL if self._disk_full else reply.SENDER_OK
        elif isinstance(event, RecipientOffered):
            answer = self._sort(event.recipient)
        elif isinstance(event, PieceReceived):
            self._letter += event.octets
        elif isinstance(event, LetterReceived):
            assert event.octets == len(self._letter)
            assert event.eight_bit is not self._letter.isascii()
            self._keep()
            self._start_over()
        elif isinstance(event, LoginOffered):
            return self._log_in(event)
        elif isinstance(event, STARTTLSAsked):
            self._start_over()
            self.session.begin_tls()
            self.handshakes += 1
        else:
            assert isinstance(event, TransactionAborted)
            self._start_over()
        if answer is not None:
            self.session.answer(answer)
        return None

    def _keep(self) -> None:
        answer = reply.STORE_FAILED if self._broken else KEPT
        if self._recipients and all(names == [self._full] for names in self._recipients):
            answer = reply.MAILDROP_FULL
        if answer.positive:
            names = [name for names in self._recipients for name in names]
            self.kept.append((self._sender, list(dict.fromkeys(names)), self._letter))
        self.session.answer(answer)

    def _log_in(self, login: LoginOffered) -> SessionEnded | None:
        if login.name == "dave":
            return self.session.answer(reply.LOGIN_LATER)
        if login.password != PASSWORD or login.name not in ACCOUNTS:
            return self.session.answer(reply.BAD_LOGIN)
        self.session.admit()
        return None

    def _sort(self, recipient: Address) -> Reply:
        sorted_to = self._sorter.sort(recipient)
        if isinstance(sorted_to, Refused | TryLater):
            return sorted_to.reply
        names = [ACCOUNTS[one.maildrop] for one in sorted_to.destinations]
        if self._announced and names == [self._full]:
            return reply.MAILDROP_FULL
        self._recipients.append(names)
        return reply.RECIPIENT_OK

    def _start_over(self) -> None:
        self._recipients: list[list[str]] = []  # of each RCPT, those to whom it leads
        self._letter = b""
        self._announced = 0


class LMTPOffice(SMTPOffice):
    """Takes letters in, each recipient's copy for itself."""

    session: LMTPServer
    dialect = LMTPServer

    def _keep(self) -> None:
        everybody = dict.fromkeys(name for names in self._recipients for name in names)
        full = {self._full} - {
            name for names in self._recipients if len(names) > 1 for name in names
        }
        kept = [name for name in everybody if name not in full and not self._broken]
        if kept:
            self.kept.append((self._sender, kept, self._letter))
        failed = reply.STORE_FAILED if self._broken else reply.MAILDROP_FULL
        self.session.answer_each(
            [KEPT if all(name in kept for name in names) else failed for names in self._recipients]
        )


class Maildrop:
    """What the POP3 engine looks at."""

    def __init__(self, letters: tuple[bytes, ...]) -> None:
        self.letters = letters
        self.sizes = [len(letter) for letter in letters]

    def uidl(self, index: int) -> bytes:
        """Its unique-id."""
        return UIDLS[index]


class POP3Office(Office):
    """Hands letters out.

    :param piece: letters are given in pieces of so many octets; 0: whole.
    :ivar let_go: the numbers of the letters that are gone.
    """

    session: POP3Server

    def __init__(self, settings: Mapping[str, str], piece: int = 0) -> None:
        super().__init__()
        self._broken = "store" in settings
        self._piece = piece
        self._maildrop = Maildrop(())
        max_errors = int(settings.get("max_errors", "30"))
        timestamp = settings.get("apop", "")
        self._days = int(settings.get("kept for", "0"))
        expire = f"{settings['expire']} USER" if "expire" in settings else "NEVER"
        self.session = POP3Server(
            HOSTNAME, max_errors, security(settings), timestamp=timestamp, expire=expire
        )
        self.let_go: list[int] = []
        self.session.greet()
        self.receive(b"")

    def act(self, event: Event) -> SessionEnded | None:
        """Answer a question."""
        if isinstance(event, LoginOffered | DigestOffered):
            return self._log_in(event)
        if isinstance(event, LetterAsked):
            self._give(self._maildrop.letters[event.index])
        elif isinstance(event, UpdateAsked):
            if not self._broken:
                self.let_go = [index + 1 for index in event.indexes]
            return self.session.updated(committed=not self._broken)
        elif isinstance(event, TLSAsked):
            self.session.begin_tls()
            self.handshakes += 1
        return None

    def _log_in(self, login: LoginOffered | DigestOffered) -> SessionEnded | None:
        name = login.name.lower()
        if isinstance(login, DigestOffered):
            right = hashlib.md5(login.challenge.encode() + b"tanstaaf").hexdigest() == login.digest
        else:
            right = login.password == PASSWORD
        if not right or name not in (*ACCOUNTS, "carol", "dave", "erin"):
            return self.session.refuse(reply.POP_BAD_LOGIN)
        if name == "carol":
            return self.session.refuse(reply.POP_IN_USE)
        if name == "dave":
            return self.session.refuse(reply.POP_TRY_LATER)
        greetings = GREETINGS if self.session.utf8 else tuple(map(downgraded, GREETINGS))
        self._maildrop = Maildrop({"alice": LETTERS, "erin": greetings}.get(name, ()))
        self.session.admit(self._maildrop, days=self._days)
        return None

    def _give(self, letter: bytes) -> None:
        if not self._piece:
            self.session.give(letter)
            return
        self.session.begin_pieces(len(letter))
        for start in range(0, len(letter), self._piece):
            if not self.session.give_piece(letter[start : start + self._piece]):
                break
        self.session.end_pieces()
