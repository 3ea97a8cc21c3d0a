"""Delivery status notifications: the letters by which the office tells what became of others.

A report has three parts (RFC 6522): a text for people, the same for programs (RFC 3464), and the header
of the letter it is about. Of a letter that was delivered more is never returned, whatever RET asks for:
that is for failures (RFC 3461 §4.3). Beyond US-ASCII the parts have other types (RFC 6533).
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from mailpost.envelope import Copy, Envelope, Report, Traits

if TYPE_CHECKING:
    from mailpost.envelope import Destination, Group
    from mailpost.intake.postmarks import Postmarks
    from mailpost.intake.report import RecipientStatus, ReportUnderWay

_MAX_LINE = (
    998  # RFC 5322 §2.1.1; what is longer, and NUL, is neither 7bit nor 8bit (RFC 2045 §2.7)
)

Part = tuple[str, str, bytes]
"""A part's type, its encoding, and its octets, which end with CRLF."""


class Reports:
    """Writes the reports of this office.

    :param hostname: of the MTA that reports.
    """

    def __init__(self, hostname: str, postmarks: Postmarks) -> None:
        self._hostname = hostname
        self._postmarks = postmarks

    def write(
        self,
        trace: str,
        envelope: Envelope,
        sender: Destination | Group,
        about: ReportUnderWay,
        added: bytes,
        now: float,
    ) -> Report:
        """The report that a letter was delivered.

        :param trace: of the report, which is a letter, too.
        :param envelope: of the letter.
        :param sender: where reports to the letter's sender go.
        :param added: header lines that the letter got here (RFC 6409 §8).
        :param now: when all this happens, in seconds since the epoch.
        """
        date = self._postmarks.dated(now)
        status = self._for_programs(envelope, about, date)
        header = _returned(added + about.header, utf8=envelope.protocol.startswith("UTF8"))
        kind = "delivery-status" if status.isascii() else "global-delivery-status"
        text = self._for_people(envelope, about.statuses, date).encode()
        charset = "us-ascii" if text.isascii() else "utf-8"
        parts: list[Part] = [
            (f"text/plain; charset={charset}", _as_it_is(text), text),
            (f"message/{kind}", _as_it_is(status), status),
            header,
        ]
        boundary = f"report-{trace}"
        top = (
            f"Date: {date}\r\n"
            f"From: The post office <postmaster@{self._hostname}>\r\n"
            f"To: <{envelope.reverse_path}>\r\n"
            "Subject: Your letter was delivered\r\n"
            f"Message-ID: <{trace}@{self._hostname}>\r\n"
            "Auto-Submitted: auto-replied\r\n"  # RFC 3834 §5: nobody shall answer by itself
            "MIME-Version: 1.0\r\n"
            f"Content-Type: multipart/report; report-type={kind};\r\n"
            f'\tboundary="{boundary}"\r\n'
        ).encode()
        body = b"".join([top, *_enclosed(boundary, parts)])
        return Report(
            envelope=Envelope(trace, None),
            copies=tuple(
                Copy(one.maildrop, self._postmarks.of_ours(one.delivered_to), always=True)
                for one in sender.destinations
            ),
            body=body,
            traits=Traits(
                eight_bit=not body.isascii(),
                utf8=not (top.isascii() and status.isascii()) or "global" in header[0],
            ),
        )

    def _for_people(self, envelope: Envelope, statuses: list[RecipientStatus], date: str) -> str:
        names = "".join(f"    <{status.recipient}>\r\n" for status in statuses)
        return (
            f"This is the post office at {self._hostname}.\r\n"
            "\r\n"
            f"The letter that you handed in on {date}\r\n"
            "was delivered to:\r\n"
            "\r\n"
            f"{names}"
            "\r\n"
            "It can be collected there. Whether it has been read is not known here.\r\n"
            f"The office keeps it as {envelope.trace}.\r\n"
        )

    def _for_programs(self, envelope: Envelope, about: ReportUnderWay, date: str) -> bytes:
        lines = f"Original-Envelope-Id: {about.envelope_id}\r\n" if about.envelope_id else ""
        lines += f"Reporting-MTA: dns; {self._hostname}\r\nArrival-Date: {date}\r\n"
        for status in about.statuses:
            lines += "\r\n"
            if status.original is not None:
                lines += f"Original-Recipient: {status.original}\r\n"
            kind = "rfc822" if status.recipient.isascii() else "utf-8"
            lines += (
                f"Final-Recipient: {kind};{status.recipient}\r\n"
                f"Action: {status.action}\r\n"
                f"Status: {status.status}\r\n"
                f"Final-Log-ID: {envelope.trace}\r\n"
            )
        return lines.encode()


def _returned(header: bytes, *, utf8: bool) -> Part:
    """The header of the letter.

    :param utf8: it came with SMTPUTF8.
    """
    if b"\0" not in header and max(map(len, header.split(b"\r\n"))) <= _MAX_LINE:
        if header.isascii():
            return "text/rfc822-headers", "7bit", header
        if utf8 and _is_utf8(header):
            return "message/global-headers", "8bit", header
    return "text/rfc822-headers", "quoted-printable", binascii.b2a_qp(header)  # RFC 6522 §4


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_it_is(octets: bytes) -> str:
    return "7bit" if octets.isascii() else "8bit"


def _enclosed(boundary: str, parts: list[Part]) -> list[bytes]:
    """A multipart's body; its boundary bears a number drawn by lot, so it occurs in no part."""
    enclosed = []
    for kind, encoding, octets in parts:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        )
        enclosed += [head.encode("ascii"), b"\r\n", octets]
    return [*enclosed, f"\r\n--{boundary}--\r\n".encode("ascii")]
