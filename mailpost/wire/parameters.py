"""ESMTP parameters of MAIL: what is known here, and what each may say.

SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5). RCPT has none here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.wire import reply
from mailpost.wire.path import Parameters, PathError

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461 §4; no "+" and "=" but in hexchar
_MAX_SIZE_DIGITS = 20  # RFC 1870 §4
_MAX_XTEXT = 500  # RFC 4954 §5


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What came with MAIL.

    :ivar size: octets declared, 0 where none were.
    :ivar utf8: the envelope and the header may be UTF-8.
    """

    size: int = 0
    utf8: bool = False


NO_MAIL_PARAMETERS = MailParameters()


def mail_parameters(given: Parameters) -> MailParameters:
    """What MAIL's parameters say.

    :raises PathError: 555 for one not known here, 501 for a value that makes no sense.
    """
    size, utf8 = 0, False
    for keyword, value in given.items():
        if keyword == "SIZE":
            size = _size(value)
        elif keyword == "BODY":
            if value is None or value.upper() not in {"7BIT", "8BITMIME"}:
                raise PathError(reply.BAD_PARAMETER)
        elif keyword == "SMTPUTF8":
            if value is not None:
                raise PathError(reply.BAD_PARAMETER)
            utf8 = True
        elif keyword == "AUTH":
            # Who the peer says has written the letter: checked, and believed of nobody.
            if not value or len(value) > _MAX_XTEXT or not _XTEXT.fullmatch(value):
                raise PathError(reply.BAD_PARAMETER)
        else:
            raise PathError(reply.NO_SUCH_PARAMETER)
    return MailParameters(size, utf8)


def _size(value: str | None) -> int:
    if value is None or not re.fullmatch("[0-9]+", value) or len(value) > _MAX_SIZE_DIGITS:
        raise PathError(reply.BAD_PARAMETER)
    return int(value)
