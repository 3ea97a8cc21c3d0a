"""The envelope of a letter as an SMTP client hands it in, and what becomes of each recipient.

MAIL and RCPT, pipelined where that is offered (RFC 2920). The letter's octets are handed in by
:mod:`mailpost.wire.smtp_client`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mailpost.wire.smtp_client_events import Ended, LetterDone, Outcome, Ready, Reason
from mailpost.wire.smtp_client_hello import HelloSession
from mailpost.wire.smtp_client_letter import mail_command, rcpt_command, refusals
from mailpost.wire.smtp_client_replies import ProtocolError
from mailpost.wire.smtp_client_session import MAIL_PATIENCE, RCPT_PATIENCE, done

if TYPE_CHECKING:
    from mailpost.wire.reply import Reply
    from mailpost.wire.session import Event
    from mailpost.wire.smtp_client_letter import Letter


class EnvelopeSession(HelloSession):
    """The part of a session in which letters are announced, and their outcomes told."""

    _idle = False
    _letter: Letter | None = None
    _outcomes: list[Reply | None]
    _local: list[bool]
    _accepted: list[int]
    _to_name: list[int]  # recipients whose RCPT was not sent yet
    _unnamed: int  # RCPTs that are not answered yet
    _opened: bool  # MAIL was accepted, and the end of the letter has not been said
    _data_said: bool

    # For the shell --------------------------------------------------------------------------------

    def next_event(self) -> Event | None:
        """What comes next; None: more octets, or an answer, are needed first."""
        event = super().next_event()
        if isinstance(event, Ready | LetterDone) and not self.closed:
            self._idle = True
        return event

    def send(self, letter: Letter) -> None:
        """Begin a letter: its pieces will be wanted, or :class:`LetterDone` tells why not."""
        self._be_idle()
        self._outcomes = refusals(letter, self.extensions)
        self._local = [answer is not None for answer in self._outcomes]
        self._letter = letter
        self._to_name = [n for n, answer in enumerate(self._outcomes) if answer is None]
        self._unnamed = len(self._to_name)
        self._accepted = []
        self._opened = self._data_said = False
        self._begin_letter()
        if not self._to_name:
            self._conclude()
            return
        self._command(mail_command(letter, self.extensions), self._mail_answered, MAIL_PATIENCE)
        if "PIPELINING" in self.extensions:
            while self._to_name:
                self._name_next(letter)
            if "CHUNKING" not in self.extensions:
                self._say_data()

    def quit(self) -> None:
        """Say QUIT; :class:`Ended` follows."""
        self._be_idle()
        self._leave(Ended(Reason.QUIT))

    # For the letter -------------------------------------------------------------------------------

    def _begin_letter(self) -> None:
        """A letter begins; nothing of it was said yet."""
        raise NotImplementedError

    def _say_data(self) -> None:
        """Say that the letter follows."""
        raise NotImplementedError

    def _begin_chunks(self) -> None:
        """The letter follows, and needs no announcement."""
        raise NotImplementedError

    # The envelope ---------------------------------------------------------------------------------

    def _be_idle(self) -> None:
        if not self._idle:
            raise RuntimeError("wait for Ready or LetterDone")
        self._idle = False

    def _name_next(self, letter: Letter) -> None:
        number = self._to_name.pop(0)
        line = rcpt_command(letter.recipients[number], self.extensions)
        self._command(line, partial(self._rcpt_answered, number), RCPT_PATIENCE)

    def _mail_answered(self, reply: Reply) -> None:
        self._opened = done(reply)
        if not self._opened:
            self._settle(reply, [n for n, known in enumerate(self._outcomes) if known is None])
            self._unnamed -= len(self._to_name)
            self._to_name = []
        self._after_envelope()

    def _rcpt_answered(self, number: int, reply: Reply) -> None:
        self._unnamed -= 1
        if not done(reply):
            self._settle(reply, [number])
        elif self._opened:
            self._accepted.append(number)
        self._after_envelope()

    def _after_envelope(self) -> None:
        assert self._letter is not None
        if self._to_name:
            self._name_next(self._letter)
        elif self._unnamed or self._data_said:
            return
        elif not self._accepted:
            self._finish()
        elif "CHUNKING" in self.extensions:
            self._begin_chunks()
        else:
            self._say_data()

    # The end --------------------------------------------------------------------------------------

    def _settle(self, reply: Reply, numbers: list[int]) -> None:
        for number in numbers:
            if self._outcomes[number] is None:
                self._outcomes[number] = reply

    def _finish(self) -> None:
        """Tell the outcomes, once nothing of the letter is left at the server."""
        if self._opened:
            self._command(b"RSET", self._reset)
        else:
            self._conclude()

    def _reset(self, reply: Reply) -> None:
        if not done(reply):
            raise ProtocolError(f"RSET is not answered so: {reply}")
        self._conclude()

    def _conclude(self) -> None:
        assert self._letter is not None
        told = zip(self._letter.recipients, self._outcomes, self._local, strict=True)
        outcomes = tuple(Outcome(one.address, reply, local) for one, reply, local in told)
        self._letter = None
        self._events.append(LetterDone(outcomes))

    def _end(self, ended: Ended) -> None:
        if not self.closed and self._letter is not None:
            self._conclude()
        self._idle = False
        super()._end(ended)
