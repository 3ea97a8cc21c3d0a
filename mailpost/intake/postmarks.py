"""What the office adds to a letter: a prefix for each copy, kept beside the body and never in it.

Return-Path (RFC 5321 §4.4), Delivered-To (RFC 9228), Received (RFC 5321 §4.4, its ``with`` words:
RFC 3848).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailpost.envelope import Envelope

_NOT_IN_AN_ATOM = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_MAX_HELO = 255


class Postmarks:
    """Writes the postmarks of this office.

    :param hostname: the ``by`` of the Received line.
    """

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._date = (-1, "")  # the second it was written for, and the date; one of each a second

    def write(self, envelope: Envelope, delivered_to: str, recipient: str, now: float) -> bytes:
        """The postmark of one copy: whole header lines.

        :param delivered_to: the address as the office knows it.
        :param recipient: the address as the peer named it.
        :param now: seconds since the epoch.
        """
        reverse_path = "" if envelope.reverse_path is None else str(envelope.reverse_path)
        # Each recipient has a postmark of their own, so "for" tells nobody of another's.
        return (
            f"Return-Path: <{reverse_path}>\r\n"
            f"Delivered-To: {delivered_to}\r\n"
            f"Received: from {_from(envelope)}\r\n"
            f"\tby {self._hostname} with {envelope.protocol} id {envelope.trace}\r\n"
            f"\tfor <{recipient}>; {self.dated(now)}\r\n"
        ).encode()  # beyond US-ASCII only where SMTPUTF8 brought it

    def complete(self, envelope: Envelope, now: float, *, dated: bool, identified: bool) -> bytes:
        """What a letter handed in by its author may lack (RFC 6409 §8.1, §8.3): whole header lines.

        :param dated: it has a Date.
        :param identified: it has a Message-ID.
        """
        lines = "" if dated else f"Date: {self.dated(now)}\r\n"
        if not identified:
            lines += f"Message-ID: <{envelope.trace}@{self._hostname}>\r\n"
        return lines.encode("ascii")

    def of_ours(self, delivered_to: str) -> bytes:
        """The postmark of a letter that the office has written itself: it was received from nobody."""
        return f"Return-Path: <>\r\nDelivered-To: {delivered_to}\r\n".encode()

    def dated(self, now: float) -> str:
        """A date as it stands in a header (RFC 5322 §3.3)."""
        second = int(now)
        if self._date[0] != second:
            self._date = (second, formatdate(second, localtime=True))
        return self._date[1]


def _from(envelope: Envelope) -> str:
    """``helo ([address])``; whatever the peer called itself, it stays one word."""
    helo = _NOT_IN_AN_ATOM.sub("?", envelope.helo)[:_MAX_HELO]
    if not envelope.peer:
        return helo
    tag = "IPv6:" if ":" in envelope.peer else ""
    return f"{helo} ([{tag}{envelope.peer}])"
