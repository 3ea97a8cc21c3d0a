"""A mail transaction: a sender, recipients, a letter (RFC 5321 §3.3, RFC 3030, RFC 6531, RFC 3461).

A session is in one of these states::

    state      what came so far              leaves it
    START      the greeting was given        EHLO, HELO -> READY
    READY      nobody has named a sender     MAIL accepted -> MAIL
    MAIL       a sender, 0 or more           DATA with a recipient -> LETTER; RSET, EHLO -> READY
               recipients
    LETTER     354 was given, or BDAT came   the end of the letter -> READY; of a chunk -> CHUNKS
    CHUNKS     a chunk, not the last         BDAT -> LETTER; RSET, EHLO -> READY
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mailpost.wire import reply
from mailpost.wire.login import Access, Login
from mailpost.wire.parameters import (
    NO_MAIL_PARAMETERS,
    NO_RECIPIENT_PARAMETERS,
    mail_parameters,
    recipient_parameters,
)
from mailpost.wire.path import PathError, parse_mail, parse_rcpt
from mailpost.wire.receiving import ReceivingSession, State
from mailpost.wire.sasl_events import KeysAsked
from mailpost.wire.smtp_events import (
    LetterReceived,
    RecipientOffered,
    SenderOffered,
    TransactionAborted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailpost.wire.receiving import Settings
    from mailpost.wire.reply import Reply
    from mailpost.wire.session import Event, Question, SessionEnded

_MAX_CHUNK_DIGITS = 15  # more octets than any disk has

_ABORTED = TransactionAborted()
_UNDER_WAY = (State.MAIL, State.CHUNKS)


class TransactionSession(ReceivingSession):
    """The part of a session in which letters are handed in.

    :ivar user: who has logged in; ``""``: nobody.
    """

    __slots__ = ("user",)

    def __init__(self, settings: Settings, access: Access = Access()) -> None:  # noqa: B008 - frozen
        super().__init__(settings, access)
        self.user = ""

    # For the shell --------------------------------------------------------------------------------

    def answer(self, answer: Reply) -> SessionEnded | None:
        """Answer the question that :meth:`next_event` gave last; a login that is right: :meth:`admit`.

        A wrong password counts as an error; the end of the session if it was one too many.
        """
        asked, self._asked = self._asked, None
        if isinstance(asked, SenderOffered):
            if answer.positive:
                self.state = State.MAIL
                self._utf8 = asked.parameters.utf8
        elif isinstance(asked, RecipientOffered):
            if answer.positive:
                self.recipients += 1
            else:
                self._refused_recipients += 1
        elif isinstance(asked, LetterReceived):
            self._forget()
            self._errors = 0
        elif isinstance(asked, Login | KeysAsked):
            return self._answer_login(asked, answer)
        else:
            raise RuntimeError("there is no question to answer")  # noqa: TRY004 - our misuse
        self._reply(answer)
        return None

    def admit(self, name: str = "") -> None:
        """Answer a login: it is right.

        :param name: who it is, where the office calls them by another name than they did.
        """
        self.user = self._let_in(name)
        self._reply(reply.LOGGED_IN)

    def _answer_login(self, asked: Question, answer: Reply) -> SessionEnded | None:
        wrong = answer == reply.BAD_LOGIN
        if not self._turn_away(asked, wrong=wrong):
            return None
        if wrong:
            return self._wrong(answer)
        self._reply(answer)
        return None

    @property
    def reports(self) -> bool:
        """Whether delivery status notifications are offered (RFC 3461): to the office's own users.

        The one that the office owes is that a letter was delivered, for NOTIFY=SUCCESS: it must reach the
        sender, and nothing is sent on from here. Other hosts report that they have relayed the letter
        (RFC 3461 §5.2.2), as to everybody who does not offer this. NEVER, FAILURE and DELAY need nothing:
        what is refused is told in the session, and nothing fails or is delayed after the 250.
        """
        return self._settings.needs_login or bool(self.user)

    # Commands -------------------------------------------------------------------------------------

    def _mail(self, argument: str) -> Event | None:
        if self.state is State.START:
            return self._wrong(reply.SAY_HELLO)
        if self.state is not State.READY:
            return self._wrong(reply.NESTED_MAIL)
        if self._settings.needs_login and not self.user:
            return self._wrong(reply.NEEDS_LOGIN)
        try:
            reverse_path, given = parse_mail(argument)
            parameters = NO_MAIL_PARAMETERS
            if given:
                parameters = mail_parameters(given, reports=self.reports)
        except PathError as error:
            return self._wrong(error.reply)
        if parameters.size > self._settings.max_octets:
            return self._reply(reply.TOO_LARGE)  # RFC 1870 §6.1: known before it was sent
        if reverse_path is not None and not (parameters.utf8 or reverse_path.isascii()):
            return self._wrong(reply.NOT_ASCII)
        return SenderOffered(reverse_path, parameters)

    def _rcpt(self, argument: str) -> Event | None:
        if self.state is not State.MAIL:
            return self._wrong(reply.NEEDS_MAIL)
        try:
            recipient, given = parse_rcpt(argument)
            parameters = NO_RECIPIENT_PARAMETERS
            if given:
                parameters = recipient_parameters(given, reports=self.reports, utf8=self._utf8)
        except PathError as error:
            return self._wrong(error.reply)
        if not (self._utf8 or recipient.isascii()):
            return self._wrong(reply.NOT_ASCII)
        if self.recipients >= self._settings.max_recipients:
            return self._reply(reply.TOO_MANY_RECIPIENTS)  # RFC 5321 §4.5.3.1.10
        return RecipientOffered(recipient, parameters)

    def _data(self, argument: str) -> Event | None:
        if argument:
            return self._wrong(reply.NO_ARGUMENT)
        if self.state is State.CHUNKS:
            return self._wrong(reply.CHUNKS_ONLY)  # RFC 3030 §2
        if refusal := self._not_addressed():
            return self._wrong(refusal)
        self._begin_data()
        return self._reply(reply.SEND_LETTER)

    def _bdat(self, argument: str) -> Event | None:
        digits, _, last = argument.partition(" ")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_CHUNK_DIGITS:
            # A client sends the octets without waiting, and nobody can tell where they end: what
            # still comes would be taken for commands.
            return self.end(reply.BAD_CHUNK)
        octets = int(digits)
        if last.upper() not in {"", "LAST"}:
            event = self._abandon()  # without this chunk the letter would lack a piece
            self._skip_chunk(octets, reply.BAD_CHUNK)
            return event
        if self.state is not State.CHUNKS and (refusal := self._not_addressed()):
            self._skip_chunk(octets, refusal)
            return None
        self._begin_chunk(octets, last=bool(last))
        return None

    def _not_addressed(self) -> Reply | None:
        """Why no letter may follow yet."""
        if self.state is not State.MAIL:
            return reply.NEEDS_MAIL
        if self.recipients:
            return None
        # RFC 2920 §3.1: a client that pipelines DATA must never see a 354 it cannot use.
        return reply.NO_VALID_RECIPIENT if self._refused_recipients else reply.NEEDS_RECIPIENT

    def _rset(self, argument: str) -> Event | None:
        if argument:
            return self._wrong(reply.NO_ARGUMENT)
        event = self._abandon()
        self._reply(reply.OK)
        return event

    transaction_verbs: ClassVar[dict[str, Callable[[TransactionSession, str], Event | None]]] = {
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "BDAT": _bdat,
        "RSET": _rset,
    }

    def _abandon(self) -> Event | None:
        """Back to READY; what the shell is to be told, if a transaction was under way."""
        if self.state not in _UNDER_WAY:
            return None
        self._forget()
        return _ABORTED
