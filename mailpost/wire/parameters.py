"""ESMTP parameters of MAIL and RCPT: what is known here, and what each may say.

SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5), and of delivery status
notifications RET, ENVID, NOTIFY and ORCPT (RFC 3461 §4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.wire import reply
from mailpost.wire.path import Parameters, PathError

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 §4; no "+" and "=" but in hexchar
_XCHAR = re.compile(r"\+([0-9A-F]{2})")
_MAX_SIZE_DIGITS = 20  # RFC 1870 §4
_MAX_ENVID = 100  # RFC 3461 §4.4, octets before decoding
_MAX_ORCPT = 500  # RFC 3461 §4.2
_EVENTS = frozenset({"SUCCESS", "FAILURE", "DELAY"})


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What came with MAIL.

    :ivar size: octets declared, 0 where none were.
    :ivar utf8: the envelope and the header may be UTF-8.
    :ivar auth: whom the peer says the letter is from (``<>`` is nobody), None where it says nothing.
    :ivar ret: ``FULL`` or ``HDRS``: what a failure report shall hold.
    :ivar envid: the sender's own name for the letter, decoded.
    """

    size: int = 0
    utf8: bool = False
    auth: str | None = None
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class RcptParameters:
    """What came with RCPT.

    :ivar notify: of SUCCESS, FAILURE, DELAY those to be reported; empty is NEVER; None: not said.
    :ivar orcpt: the recipient as the sender wrote it, ``type;address``, decoded.
    """

    notify: frozenset[str] | None = None
    orcpt: str | None = None


NO_MAIL_PARAMETERS = MailParameters()
NO_RCPT_PARAMETERS = RcptParameters()


def mail_parameters(given: Parameters) -> MailParameters:
    """What MAIL's parameters say.

    :raises PathError: 555 for one not known here, 501 for a value that makes no sense.
    """
    size, utf8 = 0, False
    auth = ret = envid = None
    for keyword, value in given.items():
        if keyword == "SIZE":
            size = _size(value)
        elif keyword == "BODY":
            _one_of(value, "7BIT", "8BITMIME")
        elif keyword == "SMTPUTF8":
            if value is not None:
                raise PathError(reply.BAD_PARAMETER)
            utf8 = True
        elif keyword == "AUTH":
            auth = _decoded(value, _MAX_ORCPT)
        elif keyword == "RET":
            ret = _one_of(value, "FULL", "HDRS")
        elif keyword == "ENVID":
            envid = _decoded(value, _MAX_ENVID)
        else:
            raise PathError(reply.NO_SUCH_PARAMETER)
    return MailParameters(size, utf8, auth, ret, envid)


def rcpt_parameters(given: Parameters) -> RcptParameters:
    """What RCPT's parameters say.

    :raises PathError: 555 for one not known here, 501 for a value that makes no sense.
    """
    notify = orcpt = None
    for keyword, value in given.items():
        if keyword == "NOTIFY":
            notify = _notify(value)
        elif keyword == "ORCPT":
            orcpt = _decoded(value, _MAX_ORCPT)
            kind, semicolon, address = orcpt.partition(";")
            if not (kind and semicolon and address):
                raise PathError(reply.BAD_PARAMETER)
        else:
            raise PathError(reply.NO_SUCH_PARAMETER)
    return RcptParameters(notify, orcpt)


def _size(value: str | None) -> int:
    if value is None or not re.fullmatch("[0-9]+", value) or len(value) > _MAX_SIZE_DIGITS:
        raise PathError(reply.BAD_PARAMETER)
    return int(value)


def _one_of(value: str | None, *known: str) -> str:
    if value is None or value.upper() not in known:
        raise PathError(reply.BAD_PARAMETER)
    return value.upper()


def _decoded(value: str | None, longest: int) -> str:
    """An xtext, decoded (RFC 3461 §4)."""
    if not value or len(value) > longest or not _XTEXT.fullmatch(value):
        raise PathError(reply.BAD_PARAMETER)
    decoded = _XCHAR.sub(lambda match: chr(int(match[1], 16)), value)
    if not decoded.isascii() or not decoded.isprintable():
        raise PathError(reply.BAD_PARAMETER)
    return decoded


def _notify(value: str | None) -> frozenset[str]:
    """``NEVER``, or a list of events (RFC 3461 §4.1)."""
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return frozenset()
    events = frozenset(words)
    if not events <= _EVENTS or len(events) < len(words):
        raise PathError(reply.BAD_PARAMETER)
    return events
