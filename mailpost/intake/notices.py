"""Notices: letters by which the office tells its own users something, without being asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.envelope import Copy, Envelope, Report, Traits, new_trace
from mailpost.intake.postmarks import Postmarks
from mailpost.sizes import size

if TYPE_CHECKING:
    from mailpost.store.warnings import Filling

_FILLING = """\
Date: {date}\r
From: The post office <postmaster@{hostname}>\r
To: <{address}>\r
Subject: Your maildrop is {percent} per cent full\r
Message-ID: <{trace}@{hostname}>\r
Auto-Submitted: auto-generated\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=us-ascii\r
\r
This is the post office at {hostname}.\r
\r
Your maildrop holds {held}; it may hold {quota}. That is {percent} per cent.\r
When it is full, new letters for you are put off. Their senders try again for\r
some days; then they are told that you cannot be reached.\r
\r
To make room, delete letters that you need no more. Mail programs often leave\r
copies of what they have fetched at the post office: look for a setting such as\r
"leave messages on server", and let them be removed after some days. If you\r
collect with several devices, a letter leaves when all of them have let go of it.\r
\r
If you need more room, write to postmaster@{domain}.\r
"""


class Notices:
    """Writes the notices of this office.

    :param hostname: whose name stands below them.
    :param domain: in which its users have their addresses.
    """

    def __init__(self, hostname: str, domain: str) -> None:
        self._hostname = hostname
        self._domain = domain
        self._postmarks = Postmarks(hostname)

    def filling(self, maildrop: Filling, now: float) -> Report:
        """Tell an owner that the maildrop is nearly full; the letter comes in though it is.

        :param now: in seconds since the epoch.
        """
        trace = new_trace()
        address = f"{maildrop.name}@{self._domain}"
        body = _FILLING.format(
            date=self._postmarks.dated(now),
            hostname=self._hostname,
            domain=self._domain,
            address=address,
            trace=trace,
            percent=maildrop.percent,
            held=size(maildrop.held),
            quota=size(maildrop.quota),
        ).encode("ascii")
        return Report(
            envelope=Envelope(trace, None),
            copies=(Copy(maildrop.maildrop, self._postmarks.of_ours(address), always=True),),
            body=body,
            traits=Traits(),
        )
