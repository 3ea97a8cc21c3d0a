"""What a server says, read by its client: replies out of lines, with limits (RFC 5321 §4.2).

A reply is one line or several of the same code. Text that is not printable US-ASCII is escaped, so that it
can be logged and passed on. An enhanced code (RFC 3463) is parted from the text where the classes of both
agree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailpost.wire.framing import Defect
from mailpost.wire.reply import Reply
from mailpost.wire.session import escaped, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailpost.wire.framing import InputBuffer

MAX_REPLY_LINE = 12_288
"""Octets of a line with its CRLF: 512 by RFC 5321 §4.5.3.1.5, more with a challenge in it (RFC 4954 §4)."""
MAX_REPLY_LINES = 256
MAX_REPLY_OCTETS = 32 * 1024

# Codes beyond RFC 5321's grammar, 571 and its like, are said by servers that mean well.
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")  # RFC 2034 §4


class ProtocolError(ValueError):
    """What the server said is no reply, or none that was asked for; the session cannot go on."""


class ReplyReader:
    """Makes replies of the lines in a buffer.

    :param note: told each line, as it can be shown.
    """

    __slots__ = ("_code", "_note", "_octets", "_texts")

    def __init__(self, note: Callable[[str], None] | None = None) -> None:
        self._note = note
        self._code = b""
        self._octets = 0
        self._texts: list[str] = []

    def take(self, source: InputBuffer) -> Reply | None:
        """The next reply, or None: it is not whole yet.

        :raises ProtocolError: there is none.
        """
        while True:
            line = source.take_line(MAX_REPLY_LINE)
            if line is None:
                return None
            if isinstance(line, Defect):
                raise ProtocolError(f"the server's reply: {line.value}")
            if self._note is not None:
                self._note(line.decode() if printable(line) else escaped(line))
            if self._add(line):
                reply = _reply(int(self._code), self._texts)
                self.clear()
                return reply

    @property
    def begun(self) -> bool:
        """Whether some lines of a reply have come, and not the last."""
        return bool(self._texts)

    def clear(self) -> None:
        """Forget the reply at hand."""
        self._code = b""
        self._octets = 0
        self._texts = []

    def _add(self, line: bytes) -> bool:
        """Take one line; whether it was the last."""
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProtocolError(f"that is no reply: {escaped(line[:80])}")
        code, mark, text = match.groups(b"")
        if self._texts and code != self._code:
            raise ProtocolError("the lines of one reply have different codes")
        self._code = code
        self._octets += len(line)
        self._texts.append(text.decode() if printable(text) else escaped(text))
        if len(self._texts) > MAX_REPLY_LINES or self._octets > MAX_REPLY_OCTETS:
            raise ProtocolError("the server's reply has no end")
        return mark != b"-"


def _reply(code: int, texts: list[str]) -> Reply:
    match = _ENHANCED.match(texts[0])
    if match is None or match[1][0] != str(code)[0]:
        return Reply(code, "", *texts)
    enhanced = match[1]
    return Reply(code, enhanced, *(_without(enhanced, text) for text in texts))


def _without(enhanced: str, text: str) -> str:
    if text == enhanced:
        return ""
    return text.removeprefix(f"{enhanced} ")
