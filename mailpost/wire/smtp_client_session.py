"""What an SMTP client's session is made of: commands, and the replies that they await (RFC 5321 §4.2).

Each command that was sent awaits its reply, in their order. A reply that nothing awaits ends the session, and
so does one that came before its command was sent. As the server's side does, it tells its lines to whoever
listens, secrets masked.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mailpost.wire.framing import InputBuffer
from mailpost.wire.smtp_client_events import Ended, Reason
from mailpost.wire.smtp_client_replies import ProtocolError, ReplyReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailpost.wire.reply import Reply
    from mailpost.wire.session import Event, Transcript

    Heard = Callable[[Reply], None]

# Seconds to wait for what comes next; RFC 5321 §4.5.3.2.
GREETING_PATIENCE = 300  # §4.5.3.2.1, and for what no other number is given
MAIL_PATIENCE = 300  # §4.5.3.2.2
RCPT_PATIENCE = 300  # §4.5.3.2.3
DATA_PATIENCE = 120  # §4.5.3.2.4, until 354
BLOCK_PATIENCE = 180  # §4.5.3.2.5, until a piece of the letter was taken
END_PATIENCE = 600  # §4.5.3.2.6, until the letter is answered: given up sooner, it comes twice


class ClientSession:
    """One session with a server.

    :ivar closed: the session is over.
    :ivar transcript: called with each line, where somebody listens: ``"C"`` is what we say.
    """

    def __init__(self) -> None:
        self._input = InputBuffer()
        self._reader = ReplyReader(self._note_reply)
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._awaited: deque[tuple[Heard, int]] = deque([(self._greeted, GREETING_PATIENCE)])
        self._leaving: Ended | None = None
        self.closed = False
        self.transcript: Transcript | None = None

    # For the shell --------------------------------------------------------------------------------

    def receive(self, octets: bytes) -> None:
        """Take what came off the wire; nothing happens before :meth:`next_event`."""
        if not self.closed:
            self._input.feed(octets)

    def next_event(self) -> Event | None:
        """What comes next; None: more octets, or an answer, are needed first."""
        while not self._events and not self.closed:
            try:
                reply = self._reader.take(self._input)
                if reply is None:
                    break
                self._hear(reply)
            except ProtocolError as error:
                self._end(Ended(Reason.PROTOCOL, detail=str(error)))
        return self._events.popleft() if self._events else self._wish()

    def take_output(self) -> bytes:
        """What is to be sent now, perhaps ``b""``."""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    def lost(self) -> None:
        """Say that the connection is gone, or that patience is at its end."""
        self._end(Ended(Reason.LOST))

    @property
    def patience(self) -> int:
        """Seconds to wait for the reply that is due next; 0: none is."""
        return self._awaited[0][1] if self._awaited else 0

    # For what is built on it ----------------------------------------------------------------------

    def _greeted(self, reply: Reply) -> None:
        """The server's first word has come."""
        raise NotImplementedError

    def _wish(self) -> Event | None:
        """What is wanted when nothing is to be told."""
        return None

    def _command(
        self, line: bytes, heard: Heard, patience: int = GREETING_PATIENCE, *, shown: str = ""
    ) -> None:
        """Say a command.

        :param shown: what the transcript has in its place.
        """
        if self.closed or (not self._awaited and self._spoken_unasked()):
            return  # what waits there is no answer to this; next_event will say so
        self._output.append(line + b"\r\n")
        self._note(shown or line.decode())
        self._awaited.append((heard, patience))

    def _note(self, line: str) -> None:
        """Note what we say, secrets masked."""
        if self.transcript is not None:
            self.transcript("C", line)

    def _note_reply(self, line: str) -> None:
        if self.transcript is not None:
            self.transcript("S", line)

    def _spoken_unasked(self) -> bool:
        return len(self._input) > 0 or self._reader.begun

    def _leave(self, ended: Ended) -> None:
        """Say QUIT, and then end so."""
        self._leaving = ended
        self._command(b"QUIT", lambda _: self._end(ended))

    def _end(self, ended: Ended) -> None:
        if self.closed:
            return
        self.closed = True
        self._input.clear()
        self._awaited.clear()
        self._events.append(self._leaving or ended)

    def _hear(self, reply: Reply) -> None:
        if reply.code == 421:  # noqa: PLR2004 - RFC 5321 §3.8: at any time
            self._end(Ended(Reason.CLOSED, reply))
        elif not self._awaited:
            raise ProtocolError(f"a reply that was not asked for: {reply}")
        else:
            heard, _ = self._awaited.popleft()
            heard(reply)


def done(reply: Reply) -> bool:
    """Whether what was asked is done.

    :raises ProtocolError: the reply is an intermediate one, which has no place here.
    """
    if reply.code // 100 == 3:  # noqa: PLR2004 - the SMTP class digit
        raise ProtocolError(f"an intermediate reply where none belongs: {reply}")
    return reply.positive
