"""The arguments of MAIL and RCPT: paths, addresses and ESMTP parameters.

RFC 5321 §4.1.2, with the lengths of §4.5.3.1. Every expression here is linear in its input.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

from mailpost.wire import reply

if TYPE_CHECKING:
    from mailpost.wire.reply import Reply

MAX_LOCAL_PART = 64  # octets, RFC 5321 §4.5.3.1.1
MAX_DOMAIN = 255  # §4.5.3.1.2
MAX_PATH = 256  # §4.5.3.1.3, with its angle brackets
MAX_LABEL = 63  # RFC 1035 §2.3.4

_UTF8 = "\\u00a0-\\U0010ffff"  # RFC 6531 §3.3; whether it was asked for is the engine's to say
_ATOM = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_UTF8}]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED_STRING = rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"'
# The underscore is not in RFC 5321's grammar, but it is in the names of hosts that send honest mail.
_LETTER = f"A-Za-z0-9_{_UTF8}"
_LABEL = rf"[{_LETTER}](?:[{_LETTER}\-]*[{_LETTER}])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
# No IPv6 zone: it means something on its own host alone, and may be any text.
_LITERAL = r"\[[A-Za-z0-9.:]+\]"
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*:"  # RFC 5321 §4.1.2 A-d-l: parsed, not followed

_PATH = re.compile(
    rf"<(?:{_ROUTE})?(?:({_DOT_STRING})|({_QUOTED_STRING}))@(?:({_DOMAIN})|({_LITERAL}))>"
)
_PLAIN_LOCAL = re.compile(_DOT_STRING)
_PARAMETER = re.compile(rf"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~{_UTF8}]+))?")  # RFC 6533 §3
_ESCAPED = re.compile(r"\\(.)")

Parameters = dict[str, str | None]
"""ESMTP parameters by their keyword in upper case; None where no value was given."""


class Address(NamedTuple):
    """A mailbox in canonical form: ``"bob"@Example.org`` and ``bob@example.org`` are equal.

    :ivar local: the local part, its quoting undone, in the case it came in.
    :ivar domain: lower case; ``[192.0.2.1]`` or ``[ipv6:...]`` for an address literal; ``""`` for the
        bare ``postmaster`` that RFC 5321 §4.1.1.3 asks for.
    """

    local: str
    domain: str

    def isascii(self) -> bool:
        """Whether it can be written in US-ASCII; if not, it is for SMTPUTF8 alone (RFC 6531)."""
        return self.local.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        """As it is written in a path, quoted where it must be."""
        local = self.local
        if not _PLAIN_LOCAL.fullmatch(local):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.domain else local


class PathError(Exception):
    """The argument does not fit the grammar; :attr:`reply` says so to the peer."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer))
        self.reply = answer


def parse_mail(argument: str) -> tuple[Address | None, Parameters]:
    """``FROM:<reverse-path> [parameters]``; None is the null reverse-path.

    :raises PathError: with a 501, or the 555 of a malformed parameter.
    """
    if argument[:5].upper() != "FROM:":
        raise PathError(reply.BAD_SENDER)
    rest = argument[5:]
    if rest.startswith("<>"):
        return None, _parameters(rest[2:]) if len(rest) > 2 else {}  # noqa: PLR2004 - "<>"
    return _path(rest, reply.BAD_SENDER)


def parse_rcpt(argument: str) -> tuple[Address, Parameters]:
    """``TO:<forward-path> [parameters]``; ``<postmaster>`` needs no domain.

    :raises PathError: with a 501, or the 555 of a malformed parameter.
    """
    if argument[:3].upper() != "TO:":
        raise PathError(reply.BAD_RECIPIENT)
    rest = argument[3:]
    if rest[:12].lower() == "<postmaster>":
        return Address(rest[1:11], ""), _parameters(rest[12:])
    return _path(rest, reply.BAD_RECIPIENT)


def is_mailbox(text: str) -> bool:
    """Whether this is an address and nothing else (RFC 5321 §4.1.2, RFC 6531 §3.3)."""
    path = f"<{text}>"
    match = _PATH.fullmatch(path)
    if match is None or text.startswith("@") or not text.isprintable():
        return False
    try:
        _path(path, reply.SYNTAX)
    except PathError:
        return False
    return True


def _path(text: str, wrong: Reply) -> tuple[Address, Parameters]:
    match = _PATH.match(text)
    octets = len if text.isascii() else _octets
    if match is None or octets(match[0]) > MAX_PATH:
        raise PathError(wrong)
    local, quoted, domain, literal = match.groups()
    if octets(local or quoted) > MAX_LOCAL_PART:
        raise PathError(wrong)
    if quoted:
        local = _ESCAPED.sub(r"\1", quoted[1:-1])
        if not local:
            raise PathError(wrong)
    if literal:
        domain = _literal(literal, wrong)
    elif octets(domain) > MAX_DOMAIN or max(map(len, domain.split("."))) > MAX_LABEL:
        raise PathError(wrong)
    end = match.end()
    address = Address(local, domain.lower())
    if octets is not len and not address.isascii():
        # One name has one form here, whichever way it was typed (RFC 6531 §3.7.1 advises NFC).
        address = Address(*(normalize("NFC", part) for part in address))
    return address, _parameters(text[end:]) if end < len(text) else {}


def _octets(text: str) -> int:
    return len(text.encode())


def _literal(literal: str, wrong: Reply) -> str:
    """An address literal (RFC 5321 §4.1.3) with its address in the usual spelling."""
    content = literal[1:-1]
    try:
        if content[:5].upper() == "IPV6:":
            return f"[ipv6:{IPv6Address(content[5:])}]"
        return f"[{IPv4Address(content)}]"
    except ValueError:
        raise PathError(wrong) from None


def _parameters(text: str) -> Parameters:
    """``SP keyword[=value]`` repeated (RFC 5321 §4.1.2); the same keyword twice is an error."""
    parameters: Parameters = {}
    if not text:
        return parameters
    if not text.startswith(" "):
        raise PathError(reply.SYNTAX)
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise PathError(reply.BAD_PARAMETER)
        keyword = match[1].upper()
        if keyword in parameters:
            raise PathError(reply.BAD_PARAMETER)
        parameters[keyword] = match[2]
    return parameters
