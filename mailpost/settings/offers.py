"""Which of the office's listeners a mail program can be set to, the best one first."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from mailpost import endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.config import Config, Listen

SMTP_PORT = 25  # where other mail servers look, and nowhere else (RFC 5321 §4.5.4.2)
STANDARD = {"pop3": {995, 110}, "submission": {465, 587}}  # RFC 8314, RFC 6409, RFC 1939
_BETTER = ("implicit", "starttls", "none")  # RFC 8314 §3

_LACKING = {
    "pop3": 'no mail program on another machine can collect: add a [[listen]] with protocol = "pop3",'
    ' endpoint = "tcp:995", tls = "implicit"',
    "submission": "no mail program on another machine can send: add a [[listen]] with"
    ' protocol = "submission", endpoint = "tcp:465", tls = "implicit"',
    "smtp": "other mail servers look at port 25 alone: for their letters add a [[listen]] with"
    ' protocol = "smtp", endpoint = "tcp:25", tls = "starttls"',
}
_BEHIND = (
    "listeners behind a load balancer are left out: mail programs connect to that one, and which ports"
    " it has is not known here"
)


@frozen
class Server:
    """What a mail program connects to.

    :ivar tls: ``implicit`` (from the first octet), ``starttls`` (in POP3: STLS) or ``none``.
    :ivar here: whether it is for programs on this machine alone.
    """

    protocol: Literal["pop3", "submission"]
    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    here: bool


@frozen
class Offers:
    """What the office offers to mail programs.

    :ivar incoming: where letters are collected; the best comes first.
    :ivar outgoing: where letters are handed in.
    :ivar hostname: the office's own name.
    :ivar takes_mail: whether other mail servers find it at port 25.
    :ivar lacking: what is not there, each a sentence that says what to change.
    """

    incoming: tuple[Server, ...]
    outgoing: tuple[Server, ...]
    hostname: str
    takes_mail: bool
    lacking: tuple[str, ...]

    @property
    def here(self) -> bool:
        """Whether nothing of it is for another machine."""
        return all(server.here for server in (*self.incoming, *self.outgoing))


def offers(config: Config) -> Offers:
    """Find out what is offered.

    A listener on loopback counts only where no other of its protocol is there: it is of no use to a phone.
    """
    public = [
        one for one in config.listen if _port(one) and not one.proxy and not _on_loopback(one)
    ]
    incoming, outgoing = (_servers(config, public, which) for which in ("pop3", "submission"))
    takes_mail = any(
        one.protocol == "smtp" and one.tls != "implicit" and _port(one) == SMTP_PORT
        for one in public
    )
    there = {
        "pop3": any(not one.here for one in incoming),
        "submission": any(not one.here for one in outgoing),
        "smtp": takes_mail,
    }
    lacking = [_LACKING[which] for which, is_there in there.items() if not is_there]
    if any(one.proxy for one in config.listen):
        lacking.append(_BEHIND)
    return Offers(incoming, outgoing, config.office.hostname, takes_mail, tuple(lacking))


def _servers(
    config: Config, public: Sequence[Listen], which: Literal["pop3", "submission"]
) -> tuple[Server, ...]:
    found = [
        Server(which, config.office.hostname, _port(one), one.tls, here=False)
        for one in public
        if one.protocol == which and (one.tls != "none" or one.cleartext)
    ]
    if not found:
        found = [
            Server(which, one.interface, _port(one), one.tls, here=True)
            for one in config.listen
            if one.protocol == which and _port(one) and not one.proxy and _on_loopback(one)
        ]
    found = list(dict.fromkeys(found))
    found.sort(key=lambda one: (_BETTER.index(one.tls), one.port not in STANDARD[which]))
    return tuple(found)


def _port(listen: Listen) -> int:
    """The TCP port of a listener; 0 where it has none, or none that is known beforehand."""
    parts = endpoint.parse(listen.endpoint)
    return int(parts["port"]) if parts["type"] in {"tcp", "tcp6"} else 0


def _on_loopback(listen: Listen) -> bool:
    return bool(listen.interface) and ipaddress.ip_address(listen.interface).is_loopback
