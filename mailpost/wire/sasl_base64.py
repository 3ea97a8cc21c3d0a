"""Base64 as SASL needs it: one way to write a value, and no other (RFC 4648 §3.3, §3.5, §4)."""

from __future__ import annotations

import binascii


def decode_base64(line: bytes) -> bytes | None:
    """Decode a whole line; None where a stray character, padding or bit is in it."""
    try:
        octets = binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        return None
    # What strict mode lets pass: bits behind the last octet that are not zero.
    return octets if encode_base64(octets) == line else None


def encode_base64(octets: bytes) -> bytes:
    """Encode, without any line end."""
    return binascii.b2a_base64(octets, newline=False)
