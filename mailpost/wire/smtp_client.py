"""The SMTP and LMTP client's side of a session, without a network (RFC 5321, RFC 2033).

What leads to the first letter is in :mod:`mailpost.wire.smtp_client_hello`, a letter's envelope in
:mod:`mailpost.wire.smtp_client_envelope`; here its octets are handed in: by DATA, or by BDAT where CHUNKING
is offered (RFC 3030). A shell drives it so::

    client = SMTPClient("me.example", policy=TLSPolicy.REQUIRED, credentials=Credentials("me", "x"))
    while True:
        while (event := client.next_event()) is not None:
            match event:
                case BeginTLS():     start_tls(); client.tls_begun({"tls-exporter": ...})
                case Ready():        client.send(Letter(sender, (Recipient(address),), octets=size))
                case BodyWanted():   client.give(piece, last=no_more)
                case LetterDone():   note(event.outcomes); client.quit()       # or send another
                case Ended():        send(client.take_output()); close(); return
            send(client.take_output())     # before the next piece is wanted, this must have been taken
        send(client.take_output())
        client.receive(octets off the wire)           # or client.lost(), after client.patience seconds

``Ready`` and ``LetterDone`` are when ``send`` and ``quit`` may be called. No piece is asked for while output
waits, so a shell that takes output when the transport has room never holds more than one piece.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from mailpost.wire.content import Inspector
from mailpost.wire.dots import Stuffer
from mailpost.wire.smtp_client_envelope import EnvelopeSession
from mailpost.wire.smtp_client_events import BodyWanted, Ended, Reason
from mailpost.wire.smtp_client_replies import ProtocolError
from mailpost.wire.smtp_client_session import DATA_PATIENCE, END_PATIENCE, done

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailpost.wire.reply import Reply
    from mailpost.wire.session import Event

MAX_CHUNKS = 8
"""Chunks of a letter that may be unanswered at once, where PIPELINING is offered."""


class SMTPClient(EnvelopeSession):
    """One session; :class:`~mailpost.wire.smtp_client_hello.HelloSession` has what it is made with."""

    _body_open = False
    _wanted = False
    _held: bytes
    _inspector: Inspector
    _stuffer: Stuffer | None
    _chunks: int
    _refusal: Reply | None

    def give(self, piece: bytes, *, last: bool = False) -> None:
        """Answer :class:`BodyWanted` with the next octets of the letter, dots not doubled.

        :raises ValueError: the letter has a bare CR or LF, or 8-bit octets that were not declared, or
            goes in circles. Nothing of the piece is sent, and the session is over: a letter that is half
            sent can only be taken back by hanging up.
        """
        if not self._wanted:
            raise RuntimeError("no piece is wanted")
        self._wanted = False
        if not self._body_open:  # refused meanwhile
            return
        octets = self._held + piece
        self._held = b""
        if not last and octets.endswith(b"\r"):
            octets, self._held = octets[:-1], b"\r"  # it may yet be a bare one
        self._inspect(octets, last=last)
        if self._stuffer is not None:
            if octets:  # nothing would be waiting to be sent, and the next piece would wait for it
                self._output.append(self._stuffer.feed(octets))
            if last:
                self._output.append(self._stuffer.end())
                self._await_end()
        elif last:
            self._await_end(octets)
        elif octets:
            self._chunk(octets)

    # The beginning --------------------------------------------------------------------------------

    def _begin_letter(self) -> None:
        self._body_open = self._wanted = False
        self._held = b""
        self._inspector = Inspector(sys.maxsize)
        self._stuffer = None
        self._chunks = 0
        self._refusal = None

    def _begin_chunks(self) -> None:
        self._body_open = True

    def _say_data(self) -> None:
        self._data_said = True
        self._command(b"DATA", self._data_answered, DATA_PATIENCE)

    def _data_answered(self, reply: Reply) -> None:
        if reply.code != 354:  # noqa: PLR2004 - RFC 5321 §4.1.1.4
            if done(reply):
                raise ProtocolError(f"DATA is not answered so: {reply}")
            self._settle(reply, self._accepted)
            self._finish()
        elif self._accepted:
            self._stuffer = Stuffer()
            self._body_open = True
        elif self._lmtp:
            raise ProtocolError("354, and no recipient was accepted")  # RFC 2033 §4.2
        else:  # RFC 2920 §3.1: the letter has to be ended, and is nobody's
            self._opened = False
            self._output.append(b".\r\n")
            self._awaited.append((lambda _: self._finish(), END_PATIENCE))

    # The letter -----------------------------------------------------------------------------------

    def _wish(self) -> Event | None:
        window = MAX_CHUNKS if "PIPELINING" in self.extensions and not self._lmtp else 1
        if (
            not self._body_open
            or self._wanted
            or self._output
            or self._chunks >= window
            or self.closed
        ):
            return None
        self._wanted = True
        return BodyWanted()

    def _inspect(self, octets: bytes, *, last: bool) -> None:
        assert self._letter is not None
        refusal = self._inspector.look(octets)
        if last and refusal is None:
            refusal = self._inspector.finish()
        text = refusal.lines[0] if refusal else ""
        if not text and self._inspector.eight_bit and not self._letter.eight_bit:
            text = "8-bit octets in a letter that was not declared eight_bit"
        if text:
            self._end(Ended(Reason.BAD_LETTER, detail=text))
            raise ValueError(text)

    def _chunk(self, octets: bytes) -> None:
        if not self._awaited and self._spoken_unasked():
            return
        self._chunks += 1
        self._say_chunk(octets)
        self._awaited.append((self._chunk_answered, END_PATIENCE))

    def _chunk_answered(self, reply: Reply) -> None:
        self._chunks -= 1
        if not done(reply) and self._refusal is None:
            self._refusal = reply
            self._body_open = False
        if self._refusal is not None and not self._awaited:
            self._settle(self._refusal, self._accepted)
            self._finish()

    def _say_chunk(self, octets: bytes, last: str = "") -> None:
        command = f"BDAT {len(octets)}{last}"
        self._note(command)
        self._output.append(command.encode() + b"\r\n" + octets)

    def _await_end(self, chunk: bytes | None = None) -> None:
        """Await what becomes of the whole letter: one reply, or by LMTP one for each recipient."""
        self._body_open = False
        if not self._awaited and self._spoken_unasked():
            return
        if chunk is not None:
            self._say_chunk(chunk, " LAST")
        answer: Callable[[Reply], None] = self._all_answered
        if not self._lmtp:
            self._awaited.append((answer, END_PATIENCE))
            return
        for number in self._accepted:
            self._awaited.append((partial(self._one_answered, number), END_PATIENCE))

    def _all_answered(self, reply: Reply) -> None:
        taken = done(reply) and self._refusal is None
        self._opened = not taken and self._stuffer is None  # RFC 3030 §2: a chunk failed
        self._settle(self._refusal or reply, self._accepted)
        self._finish()

    def _one_answered(self, number: int, reply: Reply) -> None:
        done(reply)
        self._settle(reply, [number])
        if not self._awaited:
            self._opened = False
            self._finish()

    def _end(self, ended: Ended) -> None:
        self._body_open = False
        super()._end(ended)
