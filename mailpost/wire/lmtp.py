"""LMTP, for a relay that stands in front and keeps the queue (RFC 2033).

The same session with three differences: LHLO in place of EHLO and HELO, a reply for each recipient at
the letter's end, and so no need that all of them can be served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mailpost.wire.smtp import SMTPServer
from mailpost.wire.smtp_events import LetterReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailpost.wire.reply import Reply
    from mailpost.wire.session import Event


class LMTPServer(SMTPServer):
    """One session."""

    __slots__ = ()

    greeting = "LMTP"
    hellos = "LHLO"
    document = "RFC 2033"

    @property
    def protocol(self) -> str:
        """The ``with`` word of a Received line (RFC 3848, RFC 6531 §4.3)."""
        return ("UTF8LMTP" if self._utf8 else "LMTP") + self._secured

    @property
    def reports(self) -> bool:
        """No: whoever stands in front reports, and has a reply for each recipient to go by."""
        return False

    def answer_each(self, answers: Sequence[Reply]) -> None:
        """Answer :class:`LetterReceived`: one reply for each accepted RCPT, in their order (§4.2)."""
        assert isinstance(self._asked, LetterReceived)
        assert len(answers) == self.recipients
        self._asked = None
        self._forget()
        self._errors = 0
        for answer in answers:
            self._reply(answer)

    def _conclude(self, answer: Reply) -> None:
        last = self._letter is not None and self._letter.last
        for _ in range(self.recipients if last else 1):
            self._reply(answer)

    verbs: ClassVar[dict[str, Callable[[SMTPServer, str], Event | None]]] = {
        "LHLO" if verb == "EHLO" else verb: command
        for verb, command in SMTPServer.verbs.items()
        if verb != "HELO"
    }
