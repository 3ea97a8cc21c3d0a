"""The header that SCRAM and OAUTHBEARER begin with, taken from GS2 (RFC 5801 §4).

::

    gs2-header    = gs2-cb-flag "," [ "a=" saslname ] ","
    gs2-cb-flag   = ("p=" cb-name) / "n" / "y"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.wire.sasl_events import Reason
from mailpost.wire.sasl_exchange import Refusal, prepared_name

_HEADER = re.compile(
    rb"(?:(?P<flag>[ny])|p=(?P<binding>[A-Za-z0-9.-]{1,64})),(?:a=(?P<name>[^,]+))?,"
)
_SASL_NAME = re.compile(rb"(?:[^=,]|=2C|=3D)+")


@dataclass(frozen=True, slots=True)
class Header:
    """What the client says of channel binding, and for whom it acts.

    :ivar octets: the header as it came.
    :ivar flag: ``n``: it knows no channel binding; ``y``: it does, and thinks that we do not; ``p``: it
        uses one.
    :ivar binding: which one, ``""`` for none.
    :ivar authorization: prepared by SASLprep, ``""`` for nobody.
    """

    octets: bytes
    flag: str
    binding: str
    authorization: str


def parse_header(message: bytes) -> tuple[Header, bytes]:
    """Part a message into its header and what follows it.

    :raises Refusal: it does not begin with one.
    """
    match = _HEADER.match(message)
    if match is None:
        raise Refusal(Reason.MALFORMED)
    flag, binding, name = match.group("flag", "binding", "name")
    header = Header(
        match.group(),
        flag.decode() if flag else "p",
        binding.decode() if binding else "",
        sasl_name(name) if name else "",
    )
    return header, message[match.end() :]


def sasl_name(octets: bytes) -> str:
    """Read a name in which ``,`` is written ``=2C`` and ``=`` is written ``=3D`` (RFC 5802 §5.1).

    :raises Refusal: there can be no such name.
    """
    if not _SASL_NAME.fullmatch(octets):
        raise Refusal(Reason.MALFORMED)
    return prepared_name(octets.replace(b"=2C", b",").replace(b"=3D", b"="))
