"""PROXY headers of both versions, as the specification has them and as nobody should send them."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailpost.wire.proxy import MAX_BLOCK, MAX_HEADER, Header, Malformed, ProxiedTLS, parse

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
TAIL = b"EHLO client.example\r\n"


def v2(block=b"", *, command=0x21, family=0x11):
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block)) + block


def tlv(kind, value):
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def ipv4(*extensions):
    return (
        socket.inet_aton("192.0.2.1")
        + socket.inet_aton("198.51.100.7")
        + struct.pack("!HH", 56324, 25)
        + b"".join(extensions)
    )


def ipv6(*extensions):
    return (
        socket.inet_pton(socket.AF_INET6, "2001:db8::1")
        + socket.inet_pton(socket.AF_INET6, "2001:db8::25")
        + struct.pack("!HH", 1, 65535)
        + b"".join(extensions)
    )


def said_of_tls(flags=0x01, verify=1, *extensions):
    return tlv(0x20, bytes([flags]) + struct.pack("!I", verify) + b"".join(extensions))


FROM_4 = ("192.0.2.1", 56324, "198.51.100.7", 25)
FROM_6 = ("2001:db8::1", 1, "2001:db8::25", 65535)

GOOD = {
    # §2.1, its own example and its longest lines
    "example": (
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        ("192.168.0.1", 56324, "192.168.0.11", 443),
        {},
    ),
    "longest 4": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ("255.255.255.255", 65535, "255.255.255.255", 65535),
        {},
    ),
    "longest 6": (
        b"PROXY TCP6 " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n",
        (":".join(["ffff"] * 8), 65535, ":".join(["ffff"] * 8), 65535),
        {},
    ),
    "short 6": (b"PROXY TCP6 2001:DB8::1 ::1 0 1\r\n", ("2001:db8::1", 0, "::1", 1), {}),
    "unknown": (b"PROXY UNKNOWN\r\n", (), {}),
    "longest unknown": (
        b"PROXY UNKNOWN " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n",
        (),
        {},
    ),
    "unknown and rubbish": (b"PROXY UNKNOWN TCP4 \0\xff x\r\n", (), {}),
    # §2.2
    "TCP over IPv4": (v2(ipv4()), FROM_4, {}),
    "TCP over IPv6": (v2(ipv6(), family=0x21), FROM_6, {}),
    "UDP over IPv4": (v2(ipv4(), family=0x12), (), {}),
    "unspecified over IPv6": (v2(ipv6(), family=0x20), (), {}),
    "UNIX": (v2(bytes(216), family=0x31), (), {}),
    "UNIX, extended": (v2(bytes(216) + tlv(2, b"a"), family=0x31), (), {"authority": "a"}),
    "UNSPEC": (v2(family=0x00), (), {}),
    "UNSPEC and rubbish": (v2(b"\xff" * 99, family=0x00), (), {}),
    "LOCAL": (v2(command=0x20, family=0x00), (), {"local": True}),
    "LOCAL and rubbish": (v2(b"\xff" * 99, command=0x20, family=0xFF), (), {"local": True}),
    # §2.2.1 and on
    "authority": (
        v2(ipv4(tlv(2, "bücher.example".encode()))),
        FROM_4,
        {"authority": "bücher.example"},
    ),
    "passed over": (
        v2(
            ipv4(tlv(1, b"h2"), tlv(3, bytes(4)), tlv(4, b""), tlv(5, b"x" * 128), tlv(0xE0, b"\n"))
        ),
        FROM_4,
        {},
    ),
    "as much as may be": (v2(ipv4(tlv(4, bytes(MAX_BLOCK - 15)))), FROM_4, {}),
    "TLS": (
        v2(ipv6(said_of_tls(1, 1, tlv(0x21, b"TLSv1.3"), tlv(0x23, b"AES"))), family=0x21),
        FROM_6,
        {"tls": ProxiedTLS("TLSv1.3", "AES", "", verified=False)},
    ),
    "a client's certificate": (
        v2(ipv4(said_of_tls(3, 0, tlv(0x21, b"TLSv1.2"), tlv(0x22, b"alice"), tlv(0x25, b"RSA")))),
        FROM_4,
        {"tls": ProxiedTLS("TLSv1.2", "", "alice", verified=True)},
    ),
    "a certificate not verified": (
        v2(ipv4(said_of_tls(5, 20, tlv(0x22, b"mallory")))),
        FROM_4,
        {"tls": ProxiedTLS("", "", "mallory", verified=False)},
    ),
    "no certificate to verify": (
        v2(ipv4(said_of_tls(1, 0))),
        FROM_4,
        {"tls": ProxiedTLS("", "", "", verified=False)},
    ),
    "no TLS": (v2(ipv4(said_of_tls(0, 1))), FROM_4, {}),
}

BAD = {
    "no header": b"EHLO client.example\r\n",
    "a hello of TLS": b"\x16\x03\x01",
    "lower case": b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "nothing told": b"PROXY \r\n",
    "no such family": b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
    "UDP": b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "two spaces": b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
    "a tab": b"PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n",
    "a space at the end": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
    "something left out": b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
    "a zero in front": b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
    "a sign": b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
    "port 65536": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
    "source port 65536": b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 1\r\n",
    "no octet": b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
    "octal": b"PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n",
    "the other family": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "and the other way": b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "two double colons": b"PROXY TCP6 1::2::3 ::1 1 2\r\n",
    "LF alone": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
    "CR within": b"PROXY UNKNOWN \r \r\n",
    "a word too long": b"PROXY UNKNOWNS\r\n",
    "108 octets": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "a line without end": b"PROXY UNKNOWN " + b"x" * 93,
    "version 1 in version 2": v2(ipv4(), command=0x11),
    "version 3": v2(ipv4(), command=0x31),
    "no such command": v2(ipv4(), command=0x22),
    "family 4": v2(ipv4(), family=0x41),
    "protocol 3": v2(ipv4(), family=0x13),
    "longer than needed": SIGNATURE + b"\x21\x11" + struct.pack("!H", MAX_BLOCK + 1),
    "longer, and local": SIGNATURE + b"\x20\x00\xff\xff",
    "too short for IPv4": v2(bytes(11)),
    "too short for IPv6": v2(bytes(35), family=0x21),
    "too short for UNIX": v2(bytes(215), family=0x31),
    "a TLV's beginning": v2(ipv4(b"\x02")),
    "a TLV's length": v2(ipv4(b"\x02\x00")),
    "beyond the end": v2(ipv4(b"\x04\x00\x02x")),
    "a name of 256": v2(ipv4(tlv(2, b"x" * 256))),
    "a name not UTF-8": v2(ipv4(tlv(2, b"\xff"))),
    "a name with a line end": v2(ipv4(tlv(2, b"a\nb"))),
    "a name with C1": v2(ipv4(tlv(2, b"a\xc2\x9bb"))),
    "TLS, too short": v2(ipv4(tlv(0x20, b"\1\0\0\0"))),
    "TLS, beyond its end": v2(ipv4(said_of_tls(1, 1, b"\x21\x00\x09TLSv1.3"))),
    "TLS, a cipher with ESC": v2(ipv4(said_of_tls(1, 1, tlv(0x23, b"\x1b[2J")))),
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    """What the header says, and where the octets of the protocol behind it begin."""
    octets, ends, more = GOOD[name]
    assert parse(octets) == parse(octets + TAIL) == Header(len(octets), *ends, **more)
    assert len(octets) <= MAX_HEADER


@pytest.mark.parametrize("name", GOOD)
def test_split_anywhere(name):
    """PROTOCOL 82: before the last octet nothing is known, and nothing is wrong."""
    octets = GOOD[name][0]
    for end in range(len(octets)):
        assert parse(octets[:end]) is None


@pytest.mark.parametrize("name", BAD)
def test_malformed(name):
    """Told as such, without a word of the peer's, and never taken for a header on the way."""
    octets = BAD[name]
    answer = parse(octets)
    assert isinstance(answer, Malformed)
    assert answer.reason.isprintable()
    for end in range(len(octets)):
        assert not isinstance(parse(octets[:end]), Header)


@given(
    st.binary(max_size=300)
    | st.binary(max_size=120).map(b"PROXY ".__add__)
    | st.binary(max_size=300).map(SIGNATURE.__add__)
    | st.binary(max_size=300).map(lambda block: v2(ipv4(block)))
    | st.binary(max_size=300).map(lambda block: v2(ipv4(said_of_tls(1, 0, block))))
)
@example(b"")
def test_any_octets(octets):
    """Nothing is raised; a header lies within the octets; more octets never change an answer."""
    answer = parse(octets)
    if answer is None:
        assert len(octets) < MAX_HEADER
        return
    if isinstance(answer, Header):
        assert 8 <= answer.size <= len(octets)
        assert (answer.source is None) == (answer.destination is None)
    assert parse(octets + TAIL) == answer
