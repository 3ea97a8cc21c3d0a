"""What will be reported of a letter, gathered while it is handed in (RFC 3461 §5.2.3, RFC 3464 §2.3).

One of these goes along with a letter whose sender asked for a report by NOTIFY=SUCCESS, and with no
other: who asks for nothing pays for nothing. :mod:`mailpost.intake.reports` writes it down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from mailpost.wire.dsn import OriginalRecipient

MAX_HEADER = 32 * 1024
"""Octets of a letter's header that a report returns; with them most reports fit into a row of the store."""


@frozen
class RecipientStatus:
    """What became of one recipient's copy.

    :ivar recipient: the address as the peer named it, so that the sender knows it again.
    :ivar original: the address that the letter was for in the first place, if that was said.
    :ivar action: ``delivered``, or ``expanded`` of one that stands for several (RFC 3464 §2.3.3).
    :ivar status: the enhanced code (RFC 3463).
    """

    recipient: str
    original: OriginalRecipient | None
    action: str
    status: str


class ReportUnderWay:
    """A report in the making.

    :ivar envelope_id: the sender's mark for the letter, ``""`` where there is none.
    :ivar statuses: of each recipient that it was asked for, in their order.
    """

    __slots__ = ("_begun", "_whole", "envelope_id", "statuses")

    def __init__(self, envelope_id: str) -> None:
        self.envelope_id = envelope_id
        self.statuses: list[RecipientStatus] = []
        self._begun = bytearray(b"\r\n")  # the first line begins a line
        self._whole = False

    def delivered(
        self, recipient: str, original: OriginalRecipient | None, *, expanded: bool = False
    ) -> None:
        """Report that this recipient has it, once all do (RFC 3463 §3.2: 2.1.5).

        :param expanded: it stands for several (RFC 3461 §5.2.7.3); the sender is not told for whom.
        """
        action = "expanded" if expanded else "delivered"
        self.statuses.append(RecipientStatus(recipient, original, action, "2.1.5"))

    def take(self, octets: bytes) -> None:
        """Look at the letter's next octets; of its header they are remembered."""
        if self._whole:
            return
        begun = self._begun
        seen = max(0, len(begun) - 3)  # what may be the beginning of the blank line
        begun += octets[: MAX_HEADER + 4 - len(begun)]
        end = begun.find(b"\r\n\r\n", seen)
        if end >= 0:
            del begun[end + 2 :]
        self._whole = end >= 0 or len(begun) > MAX_HEADER + 3

    @property
    def header(self) -> bytes:
        """The letter's header, whole fields of it: the first of them, where it is too long."""
        header = bytes(self._begun)
        if len(header) > MAX_HEADER + 2:
            end = header.rfind(b"\r\n", 0, MAX_HEADER + 2)
            while header[end + 2 : end + 3] in (b" ", b"\t"):  # within a field
                end = header.rfind(b"\r\n", 0, end)
            header = header[: end + 2]
        elif not header.endswith(b"\r\n"):
            header += b"\r\n"
        return header[2:]
