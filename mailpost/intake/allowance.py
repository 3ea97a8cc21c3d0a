"""How much an account may hand in: whoever has stolen a password floods nobody with it.

Counted for the account, by whichever of its devices and from wherever it logs in. A letter counts with its
first recipient that is accepted, and one too many is answered 450 at RCPT: RFC 5321 §4.3.2 has that reply
there, and not at MAIL. Clients and relays try again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailpost.accounts.avatars import account_of
from mailpost.limits import is_loopback
from mailpost.rates import Rates
from mailpost.wire import reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from mailpost.wire.reply import Reply

HOUR = 3600.0

_log = Logger(namespace="mailpost.intake")


class Allowance:
    """Counts letters and recipients of each account that logs in to send.

    :param letters: within an hour; 0: as many as they like.
    :param recipients: likewise, of all letters together.
    :param loopback_exempt: whether nobody is counted who comes from this machine.
    """

    def __init__(
        self, clock: IReactorTime, letters: int, recipients: int, *, loopback_exempt: bool = True
    ) -> None:
        self._letters = Rates(clock, letters, HOUR, self._told("letters", letters))
        self._recipients = Rates(clock, recipients, HOUR, self._told("recipients", recipients))
        self._loopback_exempt = loopback_exempt

    def take(self, name: str, peer: str, *, first: bool) -> Reply | None:
        """One more recipient is to be accepted; the reply where that would be too many.

        :param name: as who they have logged in.
        :param first: whether it is the letter's first.
        """
        if self._loopback_exempt and is_loopback(peer):
            return None
        account = account_of(name)
        if not self._recipients.may(account):
            return reply.MANY_RECIPIENTS_LATELY
        if first and not self._letters.take(account):
            return reply.MANY_LETTERS_LATELY
        self._recipients.take(account)
        return None

    def _told(self, what: str, most: int) -> Callable[[str], None]:
        def tell(account: str) -> None:
            _log.warn(
                "{user} has handed in {count} {what} within an hour; more are put off",
                user=account,
                count=most,
                what=what,
            )

        return tell
