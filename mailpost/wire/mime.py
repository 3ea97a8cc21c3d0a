"""What follows a header, as the header says (RFC 2045, RFC 2046): which parts there are, and where they end.

Read for :mod:`mailpost.wire.downgrade` alone, and so with caution: what is taken for the header of a part may
be rewritten. A boundary is a line by itself, as every mail program writes it (RFC 2046 §5.1.1 lets more
follow). What is not understood is text, and goes by as it is: an encoded multipart, a boundary of more than
70 characters or one that is used already, nesting deeper than :data:`MAX_DEPTH`, what follows
:data:`MAX_HEADERS` headers.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from mailpost.wire.lexical import is_blank, is_comment, plain_text, split, symbols

MAX_DEPTH = 100
"""Multiparts within each other that are followed; a boundary is held for each."""
MAX_HEADERS = 10_000
"""Headers of a letter, its own and those of parts and messages in it, that are looked at."""
MAX_DELIMITER = 256
"""Octets of a line that may be a boundary, white space behind it included."""

_MAX_BOUNDARY = 70  # RFC 2046 §5.1.1
_IDENTITY = frozenset(
    ("", "7bit", "8bit", "binary")
)  # RFC 2045 §6.4: else there are no parts to be seen


_SIGNATURE = b"\r\n-- \r\n"  # no boundary: they have no blank at their end
_GLANCES = (
    100  # parts with more than US-ASCII in them; a letter with more of them is no quick look's
)
_BLOCK = 4096  # whether it is US-ASCII is told at once; where it is not, only octet by octet
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class Kind(Enum):
    """What follows a header."""

    TEXT = auto()  # or anything else that is not looked into
    MULTIPART = auto()
    MESSAGE = auto()
    STATUS = auto()


class Content(NamedTuple):
    """What a header says of what follows it.

    :ivar boundary: of a multipart.
    :ivar digest: whether parts of it that do not say what they are, are messages (RFC 2046 §5.1.5).
    """

    kind: Kind
    boundary: bytes = b""
    digest: bool = False


_TEXT = Content(Kind.TEXT)
_MESSAGES = frozenset(("message/rfc822", "message/global"))  # RFC 6532 §3.7
_STATUSES = frozenset(("message/delivery-status", "message/global-delivery-status"))  # RFC 6533 §4
# What is signed has to come as it was signed (RFC 1847 §2.1: opaque).
_OPAQUE = "multipart/signed"


def content(type_field: bytes, encoding_field: bytes, *, digest: bool) -> Content:
    """What follows a header with these fields.

    :param type_field: Content-Type; ``b""``: there is none.
    :param encoding_field: Content-Transfer-Encoding, the same.
    :param digest: whether a message is meant where nothing is said.
    """
    if encoding_field and _value(encoding_field)[0] not in _IDENTITY:
        return _TEXT
    kind, parameters = _value(type_field) if type_field else ("", {})
    if kind in _MESSAGES or (digest and not kind):
        return Content(Kind.MESSAGE)
    if kind in _STATUSES:
        return Content(Kind.STATUS)
    if not kind.startswith("multipart/") or kind == _OPAQUE:
        return _TEXT
    boundary = parameters.get("boundary", "").rstrip(" ").encode("latin-1")
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        return _TEXT
    return Content(Kind.MULTIPART, boundary, digest=kind == "multipart/digest")


def _value(field: bytes) -> tuple[str, dict[str, str]]:
    """The value of a field in lower case, and its parameters (RFC 2045 §5.1)."""
    first, *others = split(symbols(field.partition(b":")[2].decode("latin-1")), ";")
    value = "".join(each for each in first if not is_comment(each) and not is_blank(each))
    parameters: dict[str, str] = {}
    for item in others:
        name, _, said = "".join(each for each in item if not is_comment(each)).partition("=")
        parameters.setdefault(name.strip().lower(), plain_text(symbols(said.strip())))
    return value.lower(), parameters


class Nesting:
    """The multiparts that are open, from the outermost to the innermost."""

    __slots__ = ("_depths", "_digests")

    def __init__(self) -> None:
        self._depths: dict[bytes, int] = {}  # in the order in which they were opened
        self._digests: list[bool] = []

    def __bool__(self) -> bool:
        return bool(self._digests)

    @property
    def in_digest(self) -> bool:
        """Whether the part at hand stands in a digest."""
        return bool(self._digests) and self._digests[-1]

    def enter(self, multipart: Content) -> bool:
        """Open a multipart; whether that was done."""
        if multipart.boundary in self._depths or len(self._digests) >= MAX_DEPTH:
            return False
        self._depths[multipart.boundary] = len(self._digests)
        self._digests.append(multipart.digest)
        return True

    def delimits(self, line: bytes) -> bool | None:
        """Take a line that begins with ``--``: whether a part begins behind it; None: it is no boundary.

        A boundary ends whatever is open within its multipart, whether it was closed or not (RFC 2046 §5.1.2).
        """
        said = line[2:].rstrip(b" \t\r\n")
        depth = self._depths.get(said)
        if depth is not None:
            self._leave(depth + 1)
            return True
        if said.endswith(b"--") and (depth := self._depths.get(said[:-2])) is not None:
            self._leave(depth)
            return False
        return None

    def _leave(self, depth: int) -> None:
        while len(self._digests) > depth:
            self._digests.pop()
            self._depths.popitem()


def may_have_more(header: bytes, body: bytes) -> bool:
    """Whether there may be more than US-ASCII in the headers of parts; a look that costs next to nothing.

    :param header: the letter's own header, in US-ASCII.
    :param body: the letter.
    """
    lower = header.lower()
    if b"multipart/" not in lower:
        return b"message/" in lower
    seen = len(header)
    for _ in range(_GLANCES):
        place = _beyond_ascii(body, seen)
        if place < 0:
            return False
        part = body.rfind(b"\r\n--", seen, place)
        if part >= 0 and not body.startswith(_SIGNATURE, part):
            end = body.find(b"\r\n\r\n", part, place)
            above = body[part:end].lower()
            if end < 0 or b"message/" in above or b"content-type" not in above:
                return True
        seen = body.find(b"\r\n--", place)
        if seen < 0:
            return False
    return True


def _beyond_ascii(octets: bytes, start: int) -> int:
    """Where the first octet beyond US-ASCII is; -1: there is none."""
    for place in range(start, len(octets), _BLOCK):
        block = octets[place : place + _BLOCK]
        if not block.isascii():
            found = _NOT_ASCII.search(block)
            assert found is not None
            return place + found.start()
    return -1
