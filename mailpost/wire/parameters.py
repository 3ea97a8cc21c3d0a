"""ESMTP parameters of MAIL and RCPT: what is known here, and what each may say.

SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5). RET, ENVID, NOTIFY and ORCPT
(RFC 3461 §4) where delivery status notifications are offered; :mod:`mailpost.wire.dsn` reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.wire import dsn, reply
from mailpost.wire.path import Parameters, PathError

_MAX_SIZE_DIGITS = 20  # RFC 1870 §4
_MAX_XTEXT = 500  # RFC 4954 §5


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What came with MAIL.

    :ivar size: octets declared, 0 where none were.
    :ivar utf8: the envelope and the header may be UTF-8.
    :ivar returned: what a report of a failure shall return; None: it was not said.
    :ivar envelope_id: the sender's mark for the letter, ``""`` where there is none.
    """

    size: int = 0
    utf8: bool = False
    returned: dsn.Returned | None = None
    envelope_id: str = ""


@dataclass(frozen=True, slots=True)
class RecipientParameters:
    """What came with RCPT.

    :ivar notify: what shall be reported; None: it was not said, and so failures are.
    :ivar original: for whom the letter was in the first place; None: it was not said.
    """

    notify: dsn.Notify | None = None
    original: dsn.OriginalRecipient | None = None


NO_MAIL_PARAMETERS = MailParameters()
NO_RECIPIENT_PARAMETERS = RecipientParameters()


def mail_parameters(given: Parameters, *, reports: bool) -> MailParameters:
    """What MAIL's parameters say.

    :param reports: whether delivery status notifications are offered.
    :raises PathError: 555 for one not known here, 501 for a value that makes no sense.
    """
    size, utf8 = 0, False
    returned, envelope_id = None, ""
    for keyword, value in given.items():
        if keyword == "SIZE":
            size = _size(value)
        elif keyword == "BODY":
            _body(value)
        elif keyword == "SMTPUTF8":
            if value is not None:
                raise PathError(reply.BAD_PARAMETER)
            utf8 = True
        elif keyword == "AUTH":
            # Who the peer says has written the letter: checked, and believed of nobody.
            if not value or len(value) > _MAX_XTEXT or not dsn.XTEXT.fullmatch(value):
                raise PathError(reply.BAD_PARAMETER)
        elif reports and keyword == "RET":
            returned = dsn.returned(value)
        elif reports and keyword == "ENVID":
            envelope_id = dsn.envelope_id(value)
        else:
            raise PathError(reply.NO_SUCH_PARAMETER)
    return MailParameters(size, utf8, returned, envelope_id)


def recipient_parameters(given: Parameters, *, reports: bool, utf8: bool) -> RecipientParameters:
    """What RCPT's parameters say.

    :param reports: whether delivery status notifications are offered; nothing else is known here.
    :param utf8: MAIL said SMTPUTF8.
    :raises PathError: as :func:`mail_parameters`.
    """
    notify, original = None, None
    for keyword, value in given.items():
        if reports and keyword == "NOTIFY":
            notify = dsn.notify(value)
        elif reports and keyword == "ORCPT":
            original = dsn.original_recipient(value, utf8=utf8)
        else:
            raise PathError(reply.NO_SUCH_PARAMETER)
    return RecipientParameters(notify, original)


def _body(value: str | None) -> None:
    # Beyond US-ASCII some letters have an upper case within it.
    if not value or not value.isascii() or value.upper() not in {"7BIT", "8BITMIME"}:
        raise PathError(reply.BAD_PARAMETER)


def _size(value: str | None) -> int:
    if value is None or not re.fullmatch("[0-9]+", value) or len(value) > _MAX_SIZE_DIGITS:
        raise PathError(reply.BAD_PARAMETER)
    return int(value)
