"""A letter's header, as a person wants to read it: one field of it, its words decoded (RFC 5322, RFC 2047).

Whatever a letter has there, something comes out; it is for :mod:`mailpost.cli.table` to make it harmless.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header

_END = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_SPACES = re.compile(r"\s+")


def header_of(octets: bytes) -> bytes:
    """The header of what begins with one, unfolded."""
    end = _END.search(octets)
    return _FOLD.sub(b"", octets[: end.start()] if end else octets)


def field(header: bytes, name: str) -> bytes | None:
    """What a field says, as it stands there; None where there is none. The first of several counts."""
    found = re.search(
        rb"^" + name.encode() + rb"[ \t]*:([^\r\n]*)", header, re.MULTILINE | re.IGNORECASE
    )
    return found[1].strip() if found else None


def decoded(raw: bytes | None) -> str:
    """A field's text with its encoded words decoded; what cannot be decoded stays as it came."""
    text = (raw or b"").decode("utf-8", "replace")
    try:
        parts = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    words = [
        part if isinstance(part, str) else _in_charset(part, charset) for part, charset in parts
    ]
    return _SPACES.sub(" ", "".join(words)).strip()


def _in_charset(octets: bytes, charset: str | None) -> str:
    if (
        charset is None
    ):  # beside encoded words: decode_header made octets of it, escaping what was not ASCII
        return octets.decode("raw-unicode-escape", "replace")
    try:
        return octets.decode(charset, "replace")
    except (LookupError, ValueError):
        return octets.decode("latin-1")
