"""The PROXY protocol, versions 1 and 2: who the client is when a load balancer stands in front.

The first octets of a connection, before a greeting and before TLS, tell where it really came from.
Whether the sender may be believed is not known here: see :mod:`mailpost.proxied`. The authority is
HAProxy's ``doc/proxy-protocol.txt``, whose sections the comments name.

A caller gathers octets and tries again until there is an answer::

    match parse(octets):
        case None: ...                 # read more; never more than MAX_HEADER octets are needed
        case Malformed(reason): ...    # abort the connection
        case Header() as header: ...   # octets[header.size:] belong to the protocol behind it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 107  # §2.1, the CRLF counted
MAX_BLOCK = 4096
"""What may follow the 16 fixed octets of version 2. HAProxy's longest, with every TLV it knows, has
about 1,000; the length field could claim 65,535."""
MAX_HEADER = 16 + MAX_BLOCK

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # §2.2
_FIXED = 16  # the signature, version and command, family and protocol, length
_LINE = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39}) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})"
)
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_LOCAL, _PROXY = 0, 1  # commands
_INET, _INET6 = 1, 2  # families
_STREAM = 1
_ADDRESS_OCTETS = {0: 0, _INET: 12, _INET6: 36, 3: 216}  # by family; 0 is AF_UNSPEC, 3 AF_UNIX
_MAX_PROTOCOL = 2  # 0 UNSPEC, 1 STREAM, 2 DGRAM

_AUTHORITY, _SSL = 0x02, 0x20  # §2.2.2, §2.2.6
_SSL_VERSION, _SSL_NAME, _SSL_CIPHER = 0x21, 0x22, 0x23
_OVER_TLS, _CERTIFICATE = 0x01, 0x02 | 0x04  # PP2_CLIENT_*
_MAX_TEXT = 255  # octets of a name; no DNS name and no cipher's is longer
_PORTS = 65535


@dataclass(frozen=True, slots=True)
class Malformed:
    """These octets begin no header that we take; the connection is to be aborted.

    :ivar reason: why, in words of ours: nothing of the peer's is in it.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class ProxiedTLS:
    """The client spoke TLS with the proxy (§2.2.6).

    :ivar version: such as ``TLSv1.3``; ``""`` where it was not told, as with the others.
    :ivar client_name: the common name in the client's certificate.
    :ivar verified: whether the client had a certificate and the proxy verified it.
    """

    version: str
    cipher: str
    client_name: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    :ivar size: how many octets it took.
    :ivar source: the client's IP address, in canonical form; None where the connection's own ends count:
        a check by the proxy itself (:attr:`local`), an unknown or another protocol, a UNIX socket.
    :ivar destination: the address the client connected to; None together with :attr:`source`.
    :ivar authority: the host name the client asked for (SNI), ``""`` if none.
    :ivar tls: None if the client spoke no TLS with the proxy, or nothing was said of it.
    """

    size: int
    source: str | None = None
    source_port: int = 0
    destination: str | None = None
    destination_port: int = 0
    local: bool = False
    authority: str = ""
    tls: ProxiedTLS | None = None


class _MalformedError(Exception):
    """Ends the parsing; becomes a :class:`Malformed`."""


def parse(octets: bytes) -> Header | Malformed | None:
    """Read the header at the beginning of a connection.

    :returns: None when more octets are needed to tell.
    """
    try:
        if octets[: len(_SIGNATURE)] == _SIGNATURE[: len(octets)]:
            return _parse_binary(octets)
        if octets[:6] == b"PROXY "[: len(octets)]:
            return _parse_line(octets)
    except _MalformedError as error:
        return Malformed(str(error))
    return Malformed("not a PROXY header")


# Version 1, §2.1 ----------------------------------------------------------------------------------


def _parse_line(octets: bytes) -> Header | None:
    end = octets.find(b"\n", 0, MAX_LINE)
    if end < 0:
        if len(octets) >= MAX_LINE:
            raise _MalformedError("no CRLF within 107 octets")
        return None
    line, size = octets[: end - 1], end + 1
    if octets[end - 1 : end] != b"\r":
        raise _MalformedError("LF without CR")
    if _UNKNOWN.fullmatch(line):
        return Header(size)  # §2.1: whatever stands behind the word is ignored
    match = _LINE.fullmatch(line)
    if not match:
        raise _MalformedError("not a line of version 1")
    family = IPv4Address if match[1] == b"4" else IPv6Address
    try:
        source, destination = str(family(match[2].decode())), str(family(match[3].decode()))
    except ValueError:
        raise _MalformedError("not an IP address of the family named") from None
    source_port, destination_port = int(match[4]), int(match[5])
    if source_port > _PORTS or destination_port > _PORTS:
        raise _MalformedError("a port above 65535")
    return Header(size, source, source_port, destination, destination_port)


# Version 2, §2.2 ----------------------------------------------------------------------------------


def _parse_binary(octets: bytes) -> Header | None:
    if len(octets) < _FIXED:
        return None
    version, command = octets[12] >> 4, octets[12] & 15
    if version != 2 or command > _PROXY:  # noqa: PLR2004 - version 2
        raise _MalformedError("an unknown version or command")
    length = int.from_bytes(octets[14:16], "big")
    if length > MAX_BLOCK:
        raise _MalformedError("longer than any header needs to be")
    size = _FIXED + length
    if len(octets) < size:
        return None
    if command == _LOCAL:
        return Header(size, local=True)  # the family and the block are not looked at
    return _parse_block(octets[13], octets[_FIXED:size])


def _parse_block(kind: int, block: bytes) -> Header:
    family, protocol = kind >> 4, kind & 15
    if family not in _ADDRESS_OCTETS or protocol > _MAX_PROTOCOL:
        raise _MalformedError("an unknown address family or protocol")
    size = _FIXED + len(block)
    if not family:
        return Header(
            size
        )  # how long its addresses are is not defined, so nothing behind is either
    octets = _ADDRESS_OCTETS[family]
    if len(block) < octets:
        raise _MalformedError("too short for its addresses")
    authority, tls = _parse_extensions(block[octets:])
    if protocol != _STREAM or family not in (_INET, _INET6):
        return Header(size, authority=authority, tls=tls)
    address, width = (IPv4Address, 4) if family == _INET else (IPv6Address, 16)
    ports = 2 * width
    return Header(
        size,
        str(address(block[:width])),
        int.from_bytes(block[ports : ports + 2], "big"),
        str(address(block[width:ports])),
        int.from_bytes(block[ports + 2 : ports + 4], "big"),
        authority=authority,
        tls=tls,
    )


def _parse_extensions(octets: bytes) -> tuple[str, ProxiedTLS | None]:
    """The authority and what is said of TLS; every other TLV is passed over, CRC32C too (§2.2.3)."""
    authority, tls = "", None
    for kind, value in _vectors(octets):
        if kind == _AUTHORITY:
            authority = _text(value)
        elif kind == _SSL:
            tls = _parse_tls(value)
    return authority, tls


def _parse_tls(value: bytes) -> ProxiedTLS | None:
    if len(value) < 5:  # noqa: PLR2004 - an octet of flags, and whether the certificate was verified
        raise _MalformedError("a TLV too short for what it says of TLS")
    flags, verify = value[0], int.from_bytes(value[1:5], "big")
    said = {_SSL_VERSION: "", _SSL_NAME: "", _SSL_CIPHER: ""}
    for kind, text in _vectors(value[5:]):
        if kind in said:
            said[kind] = _text(text)
    if not flags & _OVER_TLS:
        return None
    return ProxiedTLS(
        said[_SSL_VERSION],
        said[_SSL_CIPHER],
        said[_SSL_NAME],
        verified=verify == 0 and bool(flags & _CERTIFICATE),
    )


def _vectors(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value, one after the other, exactly to the end."""
    start = 0
    while start < len(octets):
        value = start + 3
        end = value + int.from_bytes(octets[start + 1 : value], "big")
        if end > len(octets):
            raise _MalformedError("a TLV goes beyond the end")
        yield octets[start], octets[value:end]
        start = end


def _text(value: bytes) -> str:
    """A name that may go into a log."""
    if len(value) > _MAX_TEXT:
        raise _MalformedError("a name of more than 255 octets")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _MalformedError("a name that is not UTF-8") from None
    if _CONTROL.search(text):
        raise _MalformedError("a name with control characters")
    return text
