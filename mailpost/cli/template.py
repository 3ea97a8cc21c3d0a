"""The configuration that ``mailpost init`` writes: every key with a comment and its default."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT = """\
# The configuration of a mailpost office.
# A key behind a "# " has the value it shows when it is left so. The tables at the end, behind a "#"
# without a space, are examples.

[office]
# This machine's own name: what it says in its greeting and in Received lines.
hostname = {hostname}

# The domains it keeps mail for; an account alice gets the mail of alice at each of them.
# More can be added in a running office: mailpost domain add.
domains = {domains}

# Accounts and letters: an SQLite file, beside this one where its path is not absolute.
# It needs a local disk.
store = {store}

# How many processes serve: a number, or "auto" for one on each core. Each counts for itself what stands below
# in [limits], and the guesses of [guard]. So with 4 of them there may be up to 4 times as many connections,
# letters within an hour, and guesses before a ban; a ban counts in all of them within a second.
# workers = 1

# Who gets the mail to postmaster, which every office has to take (RFC 5321). Without this key the
# account postmaster does; to collect it, give that one a password: mailpost user passwd postmaster
# postmaster = "alice"

# The largest letter taken in: a number of octets, or a size in KiB, MiB or GiB.
# max_letter_size = "128 MiB"

# To how many recipients one letter may go.
# max_recipients = 1000

# Days after which a device that has not collected holds no letters back any more (mailpost device).
# device_lapse = 90

# What stands between an account and its device where both are named at login: alice#phone
# device_separator = "#"

# Whether POP3 offers APOP, for old clients that know nothing else. It needs passwords that are kept
# readable, so each account has to choose it: mailpost user passwd NAME --readable
# apop = false

# Less free disk than this, and no more letters are taken in (452), so that collecting goes on.
# disk_reserve = "256 MiB"

[keeping]
# Days that deleted letters wait in the bin, from which mailpost undelete NAME brings them back. When the disk
# is short (disk_reserve) the bin is emptied earlier. 0: what is deleted is gone at once.
# bin = 7

# When letters go by themselves, into the bin: "never"; "30d", so many days after they came; or
# "30d after collected", after all of an account's devices have fetched them. POP3 announces it (EXPIRE).
# What would go: mailpost expire --retention 30d --dry-run
# For one account alone: mailpost user set NAME --retention 30d
# retention = "never"

# How much a maildrop may hold, such as "2G"; "0": as much as there is room for. An account may have a quota
# of its own: mailpost user set NAME --quota 500M. When it is full, letters are put off (452); at 80 and at
# 95 per cent its owner gets a letter about it.
# quota = "0"

[limits]
# Connections at one time, all protocols together. The last tenth is for addresses from which somebody has
# logged in of late, so that strangers who fill the office lock nobody out.
# connections = 1000

# Connections at one time from one address; in IPv6 a /64 counts as one.
# connections_per_address = 50

# Connections within a minute from one address; 0: as many as they like.
# connections_per_minute = 600

# Letters that an account may hand in within an hour once it has logged in, and recipients of all of them
# together; more are put off (450), so that a stolen password floods nobody. 0: as many as they like.
# letters_per_hour = 1000
# recipients_per_hour = 10000

# Whether this machine itself may have more than that.
# exempt_loopback = true

# Seconds of silence after which a session ends. RFC 5321 asks for 300 or more, RFC 1939 for 600.
# smtp_idle = 300
# pop3_idle = 600

# Errors after which a session ends.
# errors_per_session = 20

# Seconds between two logins to the same maildrop, for clients that look for mail too often; 0: none.
# login_delay = 0

# Whoever guesses passwords: from the third wrong one on the answer is held back for 1, 2, 4 seconds and so
# on, and after so many different ones within the window the address is banned. The same wrong password again
# and again is one guess, so a phone that does not know the new one does no harm. Who is banned:
# mailpost ban list
[guard]
# free = 2
# guesses = 30
# window = 3600
# Seconds that a ban lasts; 0: nobody is banned, and answers come late.
# ban = 3600
# Seconds that an answer is held back at most.
# longest_delay = 16
# Where more addresses than that guess at one name, a login to it has to wait before its password is looked
# at, for so many seconds at most; not from where somebody has logged in to it within a month.
# name_free = 5
# name_delay = 4
# Networks that are never slowed down or banned; this machine never is.
# allow = []

# A door each: the protocol, and where it is, as a Twisted endpoint:
#   tcp:PORT  tcp:PORT:interface=ADDRESS  tcp6:PORT  unix:PATH  systemd:domain=INET6:name=25
# The protocol is one of smtp (from other hosts), submission (from your users, who log in), lmtp (from a
# mail server that stands in front) and pop3.
# tls: "starttls" begins it on request (in POP3: STLS), "implicit" with the first octet, "none" never.
# cleartext: whether a password may be sent unencrypted from beyond this machine; from here it may.
# proxy: the networks of load balancers whose PROXY header is believed; where there are any, nobody else
# is let in.
{listen}{certificate}{examples}"""

_LISTEN = """
[[listen]]
protocol = "{protocol}"
endpoint = "{endpoint}"
tls = "{tls}"
# cleartext = false
# proxy = []
"""

_CERTIFICATE = """
# For TLS. This one is self-signed: mail programs ask whether to trust it. Put one that an authority has
# signed in its place when you have it; a new one is taken up without a restart. The key may be left out
# where the chain's file holds it, too. There may be several tables: for other names, or an RSA one beside
# an ECDSA one.
[[certificate]]
chain = "certificate.pem"
key = "key.pem"
"""

_EXAMPLES = """
# More doors. To open one, take the "#" from its lines.
{encrypted}
# For a mail server on this machine that hands letters over; who may connect is the file's mode; without
# one, its owner alone.
#[[listen]]
#protocol = "lmtp"
#endpoint = "unix:/run/mailpost/lmtp:mode=660"

# Behind a load balancer at 10.0.0.5, which tells with a PROXY header who comes.
#[[listen]]
#protocol = "smtp"
#endpoint = "tcp:2526"
#tls = "starttls"
#proxy = ["10.0.0.5"]

# Bearer tokens in place of passwords (OAUTHBEARER, XOAUTH2): who issued them is asked about each (RFC 7662).
# It needs treq: pip install 'mailpost[oauth]'. client_secret is a file. claim is the word in the answer that
# names the user. An answer is believed for so many seconds.
#[oauth]
#endpoint = "https://id.example.org/introspect"
#client_id = "mailpost"
#client_secret = "oauth.secret"
#scope = "mail"
#claim = "username"
#discovery = ""
#believed = 300
"""

_ENCRYPTED = """
# Encrypted from the first octet, for every machine: what mail programs look for (RFC 8314).
#[[listen]]
#protocol = "submission"
#endpoint = "tcp:465"
#tls = "implicit"

#[[listen]]
#protocol = "pop3"
#endpoint = "tcp:995"
#tls = "implicit"
"""

Door = tuple[str, str, str]  # protocol, endpoint, tls

LOOPBACK: tuple[Door, ...] = (
    ("smtp", "tcp:2525:interface=127.0.0.1", "starttls"),
    ("submission", "tcp:1587:interface=127.0.0.1", "starttls"),
    ("pop3", "tcp:1110:interface=127.0.0.1", "starttls"),
)
"""For this machine alone, and without being root."""

NETWORK: tuple[Door, ...] = (
    ("smtp", "tcp:25", "starttls"),
    ("submission", "tcp:465", "implicit"),
    ("submission", "tcp:587", "starttls"),
    ("pop3", "tcp:995", "implicit"),
    ("pop3", "tcp:110", "starttls"),
)
"""For every machine, at the ports where mail programs and other mail servers look."""


def render(
    hostname: str,
    domains: Sequence[str],
    *,
    store: str = "sqlite:mailpost.db",
    listen: Sequence[Door] = LOOPBACK,
) -> str:
    """Write a configuration with all its comments, for an office with a certificate beside it.

    :param listen: each listener; where none has TLS from the first octet, examples show how.
    """
    encrypted = any(tls == "implicit" for _, _, tls in listen)
    return _TEXT.format(
        hostname=json.dumps(hostname),
        domains=json.dumps(list(domains)),
        store=json.dumps(store),
        listen="".join(
            _LISTEN.format(protocol=one, endpoint=where, tls=tls) for one, where, tls in listen
        ),
        certificate=_CERTIFICATE,
        examples=_EXAMPLES.format(encrypted="" if encrypted else _ENCRYPTED),
    )
