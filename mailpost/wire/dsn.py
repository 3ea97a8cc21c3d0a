"""What the parameters of delivery status notifications may say (RFC 3461 §4, RFC 6533 §3).

On MAIL: RET, what a report of a failure shall return, and ENVID, a mark by which the sender knows the
letter again. On RCPT: NOTIFY, what shall be reported, and ORCPT, for whom the letter was in the first place.
"""

from __future__ import annotations

import re
from enum import Enum, Flag, auto
from typing import NamedTuple

from mailpost.wire import reply
from mailpost.wire.path import PathError, is_mailbox

XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # §4; no "+" and "=" but in hexchar
_NOT_XCHAR = re.compile("[^!-*,-<>-~]")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_PRINTABLE = re.compile("[ -~]+")
MAX_ENVID = 100
"""Octets of an ENVID as it stands on the line (RFC 3461 §4.4)."""
MAX_ORCPT = 500
"""Octets of an ORCPT, its type included (RFC 3461 §4.2)."""

_TYPED = re.compile(r"([A-Za-z0-9!#$%&'*+\-/?^_`{|}~]+);(.+)")

_UTF8_TYPE = "utf-8"
_UNITEXT = re.compile(r"[^\0- \\+=\x7f]|\\x\{([0-9A-F]{2,6})\}")
# RFC 6533 §3, HEXPOINT: what US-ASCII has otherwise needs no escape, and may not have one. The control
# characters that the grammar has too stand in no mailbox.
_ESCAPED_ASCII = frozenset({"20", "2B", "3D", "5C"})


class Notify(Flag):
    """When a recipient's fate is to be reported (RFC 3461 §4.1)."""

    NEVER = 0
    SUCCESS = auto()
    FAILURE = auto()
    DELAY = auto()


class Returned(Enum):
    """What a report of a failure returns of the letter (RFC 3461 §4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


class OriginalRecipient(NamedTuple):
    """For whom a letter was, as its sender named them (RFC 3461 §4.2).

    :ivar kind: the type of the address, ``rfc822`` mostly.
    :ivar address: what a report shows of it: decoded, or of the type ``utf-8`` in the form it came in,
        which a report may have as well (RFC 6533 §3).
    """

    kind: str
    address: str

    def __str__(self) -> str:
        return f"{self.kind};{self.address}"


def notify(value: str | None) -> Notify:
    """NOTIFY's value.

    :raises PathError: 501, as all of these do.
    """
    words = _ascii(value).upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    wanted = Notify.NEVER
    for word in words:
        event = Notify.__members__.get(word)
        if not event:  # NEVER beside something else, too
            raise PathError(reply.BAD_PARAMETER)
        wanted |= event
    return wanted


def returned(value: str | None) -> Returned:
    """RET's value."""
    try:
        return Returned(_ascii(value).upper())
    except ValueError:
        raise PathError(reply.BAD_PARAMETER) from None


def envelope_id(value: str | None) -> str:
    """ENVID's value, decoded: printable US-ASCII, as a report can show it."""
    if len(_ascii(value)) > MAX_ENVID:
        raise PathError(reply.BAD_PARAMETER)
    return _decoded(_ascii(value))


def original_recipient(value: str | None, *, utf8: bool) -> OriginalRecipient:
    """ORCPT's value.

    :param utf8: MAIL said SMTPUTF8, so an address may be written in UTF-8.
    :raises PathError: 501, or the 553 that an address beyond US-ASCII has without SMTPUTF8.
    """
    match = _TYPED.fullmatch(value or "")
    if match is None or len(match[0].encode()) > MAX_ORCPT:
        raise PathError(reply.BAD_PARAMETER)
    kind, address = match.groups()
    if kind.lower() != _UTF8_TYPE:
        return OriginalRecipient(kind, _decoded(_ascii(address)))
    if not (utf8 or address.isascii()):
        raise PathError(reply.NOT_ASCII)
    mailbox = decode_unitext(address)
    if mailbox is None or not is_mailbox(mailbox):
        raise PathError(reply.BAD_PARAMETER)
    return OriginalRecipient(kind, address)


def encode_xtext(text: str) -> str:
    """Text of US-ASCII as an xtext: what is not itself is ``+`` and two digits (RFC 3461 §4)."""
    return _NOT_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def encode_unitext(text: str) -> str:
    """An address as utf-8-addr-xtext has it, which every server takes (RFC 6533 §3)."""
    return _NOT_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", text)


def decode_xtext(text: str) -> str | None:
    """What an xtext stands for, each character an octet; None if it is none (RFC 3461 §4)."""
    if not XTEXT.fullmatch(text):
        return None
    return _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)


def decode_unitext(text: str) -> str | None:
    """What a utf-8-addr-xtext or utf-8-addr-unitext stands for; None if it is neither (RFC 6533 §3)."""
    decoded = []
    place = 0
    while place < len(text):
        match = _UNITEXT.match(text, place)
        if match is None:
            return None
        character = _escaped(match[1]) if match[1] else match[0]
        if not character:
            return None
        decoded.append(character)
        place = match.end()
    return "".join(decoded)


def _escaped(digits: str) -> str | None:
    point = int(digits, 16)
    if f"{point:02X}" != digits or (point < 0x80 and digits not in _ESCAPED_ASCII):  # noqa: PLR2004
        return None  # one character has one form
    return chr(point) if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF else None  # noqa: PLR2004


def _decoded(text: str) -> str:
    decoded = decode_xtext(text)
    if decoded is None or not _PRINTABLE.fullmatch(decoded):
        raise PathError(reply.BAD_PARAMETER)
    return decoded


def _ascii(value: str | None) -> str:
    """A value that is there; beyond US-ASCII some letters have an upper case within it."""
    if not value or not value.isascii():
        raise PathError(reply.BAD_PARAMETER)
    return value
