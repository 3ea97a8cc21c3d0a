"""The configuration that ``mailpost init`` writes: every key with a comment and its default."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT = """\
# The configuration of a mailpost office.
# A key behind a "#" has the value it shows when it is left so.

[office]
# This machine's own name: what it says in its greeting and in Received lines.
hostname = {hostname}

# The domains it keeps mail for; an account alice gets the mail of alice at each of them.
domains = {domains}

# Accounts and letters: an SQLite file, beside this one where its path is not absolute.
# It needs a local disk.
store = {store}

# How many processes serve. This version knows one.
# workers = 1

# Who gets the mail to postmaster, which every office has to take (RFC 5321). Without this key the
# account postmaster does; to collect it, give that one a password: mailpost user passwd postmaster
# postmaster = "alice"

# The largest letter taken in: a number of octets, or a size in KiB, MiB or GiB.
# max_letter_size = "128 MiB"

# To how many recipients one letter may go.
# max_recipients = 1000

# Less free disk than this, and no more letters are taken in (452), so that collecting goes on.
# disk_reserve = "256 MiB"

[limits]
# Connections at one time, all protocols together.
# connections = 1000

# Connections at one time from one address.
# connections_per_address = 50

# Whether this machine itself may have more than that.
# exempt_loopback = true

# Seconds of silence after which a session ends. RFC 5321 asks for 300 or more, RFC 1939 for 600.
# smtp_idle = 300
# pop3_idle = 600

# Errors after which a session ends.
# errors_per_session = 20

# A door each: the protocol, and where it is, as a Twisted endpoint:
#   tcp:PORT  tcp:PORT:interface=ADDRESS  tcp6:PORT  unix:PATH  systemd:domain=INET:index=0
# Nothing is encrypted on its way in this version. Beyond this machine open POP3 only in a network
# that you trust: it carries passwords.
{listen}"""

_LISTEN = """
[[listen]]
protocol = "{protocol}"
endpoint = "{endpoint}"
# tls = "none"
"""

LOOPBACK = (
    ("smtp", "tcp:2525:interface=127.0.0.1"),
    ("pop3", "tcp:1110:interface=127.0.0.1"),
)


def render(
    hostname: str,
    domains: Sequence[str],
    *,
    store: str = "sqlite:mailpost.db",
    listen: Sequence[tuple[str, str]] = LOOPBACK,
) -> str:
    """Write a configuration with all its comments.

    :param listen: protocol and endpoint of each listener.
    """
    return _TEXT.format(
        hostname=json.dumps(hostname),
        domains=json.dumps(list(domains)),
        store=json.dumps(store),
        listen="".join(_LISTEN.format(protocol=one, endpoint=where) for one, where in listen),
    )
