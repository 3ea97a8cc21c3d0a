"""What the server's side of every line-based mail protocol has in common.

An engine is fed octets and gives events; at a :class:`Question` it consumes nothing more until that is
answered. So replies keep the order of the commands, and a slow answer holds its own peer back and
nobody else. Whoever drives an engine does three things, over and over::

    session.receive(octets)                      what came off the wire
    while event := session.next_event(): ...     act on it, answer it
    transport.write(session.take_output())       what is to be sent
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailpost.wire.framing import Defect, InputBuffer

_PRINTABLE = re.compile(rb"[ -~]*")

MAX_UNSENT = 64 * 1024
"""Octets of output gathered before they are sent, per session; a larger piece counts as one."""

COMMANDS_AT_ONCE = 16
"""Commands that are answered here at a stretch, before whoever feeds the session may look at others."""

_AT_ONCE = range(COMMANDS_AT_ONCE)

MASKED = "********"
"""What a transcript has in place of a secret."""

Transcript = Callable[[str, str], None]
"""Called with ``"C"`` or ``"S"`` and a line without its CRLF, secrets masked."""


class Event:
    """Something the peer did."""

    __slots__ = ()


class Question(Event):
    """Something the peer asks, and the session waits for the answer."""

    __slots__ = ()


class SessionEnded(Event):
    """Send what is there, then close the connection.

    :ivar orderly: the peer said QUIT; if not, it may still be sending what nobody will read.
    """

    __slots__ = ("orderly",)

    def __init__(self, *, orderly: bool) -> None:
        self.orderly = orderly


class OutputWaiting(Event):
    """There is more to say than should be said at a stretch: send what is there, then go on.

    In between others may be served.
    """

    __slots__ = ()


NEED_OCTETS = Event()  # nothing can be consumed before more has come
ENDED = SessionEnded(orderly=True)
CUT_OFF = SessionEnded(orderly=False)
OUTPUT_WAITING = OutputWaiting()


class ServerSession:
    """One session of one peer; a dialect adds its commands.

    :ivar closed: nothing is listened to any more.
    :ivar unsent: octets of output that nobody has taken yet.
    :ivar transcript: called with each line, where somebody listens.
    """

    __slots__ = (
        "_asked",
        "_errors",
        "_input",
        "_max_errors",
        "_output",
        "closed",
        "transcript",
        "unsent",
    )

    max_line: int
    """Octets that a command may have, its CRLF counted."""

    def __init__(self, max_errors: int) -> None:
        self._input = InputBuffer()
        self._output: list[bytes] | None = None  # None costs an idle session nothing
        self._asked: Question | None = None
        self._errors = 0
        self._max_errors = max_errors
        self.closed = False
        self.unsent = 0
        self.transcript: Transcript | None = None

    def receive(self, octets: bytes) -> None:
        """Take what came off the wire; nothing happens before :meth:`next_event`."""
        if not self.closed:
            self._input.feed(octets)

    @property
    def buffered(self) -> int:
        """Octets received and not consumed: whoever feeds stops reading when they are many."""
        return len(self._input)

    @property
    def asked(self) -> Question | None:
        """The question that waits for an answer."""
        return self._asked

    def take_output(self) -> bytes:
        """What is to be sent now, perhaps ``b""``."""
        output = self._output
        if output is None:
            return b""
        octets = output[0] if len(output) == 1 else b"".join(output)
        self._output = None
        self.unsent = 0
        return octets

    def next_event(self) -> Event | None:
        """What the peer did next; None: more octets, or an answer, are needed first."""
        for _ in _AT_ONCE:
            if self._asked is not None:
                return None
            if self.unsent >= MAX_UNSENT:
                break
            event = self._step()
            if event is NEED_OCTETS:
                return None
            if event is not None:
                if isinstance(event, Question):
                    self._asked = event
                return event
        return OUTPUT_WAITING

    # For the dialects -----------------------------------------------------------------------------

    def _step(self) -> Event | None:
        """Consume the next thing: what it leads to, or None when it was answered at once."""
        if self._input.spent():
            return NEED_OCTETS
        line = self._input.take_line(self.max_line)
        if line is Defect.TOO_LONG:
            line = self._long_line()
        if line is None:
            return NEED_OCTETS
        return self._obey(line) if isinstance(line, bytes) else self._complain(line)

    def _long_line(self) -> bytes | Defect | None:
        """The next line, which is longer than most may be."""
        return Defect.TOO_LONG

    def _obey(self, line: bytes) -> Event | None:
        """Do what a line says; an event, or None when the answer was given at once."""
        raise NotImplementedError

    def _complain(self, defect: Defect) -> Event | None:
        """Answer what is no line."""
        raise NotImplementedError

    def _say(self, octets: bytes) -> None:
        """Say lines, each with its CRLF."""
        self._emit(octets)
        if self.transcript is not None:
            for line in octets.decode().splitlines():
                self.transcript("S", line)

    def _emit(self, octets: bytes) -> None:
        if self._output is None:
            self._output = [octets]
        else:
            self._output.append(octets)
        self.unsent += len(octets)

    def _note(self, line: str) -> None:
        """Note what the peer said, secrets masked."""
        if self.transcript is not None:
            self.transcript("C", line)

    def _too_many_errors(self) -> bool:
        """Count a command without sense; whether it was one too many."""
        self._errors += 1
        return self._errors > self._max_errors

    def _close(self, *, orderly: bool) -> SessionEnded:
        self.closed = True
        self._asked = None
        self._input.clear()
        return ENDED if orderly else CUT_OFF


def printable(line: bytes) -> bool:
    """Whether a line is US-ASCII without control characters."""
    return _PRINTABLE.fullmatch(line) is not None


def printable_utf8(line: bytes) -> bool:
    """Whether a line is UTF-8 without control characters."""
    try:
        return line.decode().isprintable()
    except UnicodeDecodeError:
        return False


def escaped(line: bytes) -> str:
    """A line as it can be shown and logged, whatever is in it."""
    return ascii(line)[2:-1]
