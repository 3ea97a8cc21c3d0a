"""A SASL exchange as the server sees it (RFC 4422): octets of a response in, the next step out.

::

    step(None)           begins without an initial response
    step(octets)         begins with one, or goes on after a Challenge
    admit, refuse, give  answer a question; they too return the next step
    Accepted, Rejected   are the end

What a peer sends never raises anything. A RuntimeError means that whoever drives the exchange went on after
its end, or answered what was not asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mailpost.wire.sasl_events import (
    Accepted,
    Challenge,
    KeysAsked,
    PasswordOffered,
    Reason,
    Rejected,
    TokenOffered,
)
from mailpost.wire.saslprep import Prohibited, saslprep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.wire.sasl_events import Step
    from mailpost.wire.scram_keys import ScramKeys

MAX_NAME = 255  # octets: RFC 4616 §2
MAX_PASSWORD = 1024  # octets: RFC 4616 §2 asks for 255 at least
_Asked = PasswordOffered | TokenOffered | KeysAsked


class Refusal(Exception):  # noqa: N818 - it names the outcome
    """A response leads to nothing; caught where the response came in."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Exchange:
    """One exchange; a mechanism adds what it makes of a response.

    :ivar name: who they say they are; ``""`` before it is known.
    """

    __slots__ = ("_asked", "_begun", "_over", "name")

    mechanism: ClassVar[str]
    max_response: ClassVar[int] = 2048
    """Octets that a response may have."""
    prompt: ClassVar[bytes] = b""
    """What is said to a client that began without an initial response."""
    forbidden: ClassVar[re.Pattern[bytes]] = re.compile(rb"[\0\r\n]")
    """What a response must not contain."""
    proven: ClassVar[bool] = False
    """Whether the exchange itself finds out that a password is wrong, and nobody is asked."""

    def __init__(self) -> None:
        self._asked: _Asked | None = None
        self._begun = False
        self._over = False
        self.name = ""

    # For whoever drives it ------------------------------------------------------------------------

    def step(self, response: bytes | None) -> Step:
        """Take the client's response, or None where it has given no initial one."""
        if self._over or self._asked is not None or (self._begun and response is None):
            raise RuntimeError("the exchange does not wait for a response")
        self._begun = True
        if response is None:
            return Challenge(self.prompt)
        if len(response) > self.max_response or self.forbidden.search(response):
            return self._end(Rejected(Reason.MALFORMED))
        try:
            return self._settle(self._take(response))
        except Refusal as refusal:
            return self._end(Rejected(refusal.reason))

    def admit(self, name: str = "") -> Step:
        """Answer an offered password or token: it is right.

        :param name: who it is, where the office calls them by another name than they did.
        """
        asked = self._answered(PasswordOffered, TokenOffered)
        known = name or asked.name
        if not known:
            raise RuntimeError("nobody has said whose token this is")
        return self._end(Accepted(known))

    def refuse(self) -> Step:
        """Answer any question: they are not let in."""
        self._answered(PasswordOffered, TokenOffered, KeysAsked)
        return self._settle(self._refused())

    def give(self, keys: Sequence[ScramKeys]) -> Step:
        """Answer what the keys are: one for each password that the user has, of one salt and count."""
        self._answered(KeysAsked)
        return self._given(keys)

    # For the mechanisms ---------------------------------------------------------------------------

    def _take(self, response: bytes) -> Step:
        """Make the next step of a response.

        :raises Refusal: there is none.
        """
        raise NotImplementedError

    def _refused(self) -> Step:
        """What follows when a question was answered with no."""
        return Rejected(Reason.WRONG)

    def _given(self, keys: Sequence[ScramKeys]) -> Step:
        """What follows when keys were given."""
        raise NotImplementedError

    def _settle(self, step: Step) -> Step:
        """Note what the exchange waits for from now on."""
        if isinstance(step, _Asked):
            self._asked = step
            self.name = step.name
        elif not isinstance(step, Challenge):
            self._over = True
        return step

    def _end(self, step: Accepted | Rejected) -> Step:
        self._over = True
        return step

    def _answered(self, *kinds: type[_Asked]) -> _Asked:
        asked, self._asked = self._asked, None
        if not isinstance(asked, kinds):
            raise RuntimeError(f"that does not answer {asked!r}")  # noqa: TRY004 - our misuse
        return asked


def offered_password(name: bytes, password: bytes) -> PasswordOffered:
    """Make the question of a name and a password, once they are checked (RFC 4616 §2).

    :raises Refusal: there can be no such name or password.
    """
    prepared = prepared_name(name)
    if not 0 < len(password) <= MAX_PASSWORD or decoded(password) is None:
        raise Refusal(Reason.MALFORMED)
    return PasswordOffered(prepared, password)


def prepared_name(octets: bytes) -> str:
    """Read a user's name.

    :raises Refusal: there can be no such name.
    """
    if not 0 < len(octets) <= MAX_NAME or (text := decoded(octets)) is None:
        raise Refusal(Reason.MALFORMED)
    try:
        name = saslprep(text)
    except Prohibited:
        raise Refusal(Reason.WRONG) from None
    if not name:  # RFC 4616 §2: what is prepared to nothing fails
        raise Refusal(Reason.WRONG)
    return name


def decoded(octets: bytes) -> str | None:
    """Decode UTF-8; None where it is not."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None
