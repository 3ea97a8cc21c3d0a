"""Text beyond US-ASCII, said in US-ASCII: the forms that a header field may have it in, laid out on lines.

Encoded words (RFC 2047), A-labels of domains (RFC 5891), extended parameters (RFC 2231), and the addresses of
delivery reports (RFC 6533). Which form stands where is for :mod:`mailpost.wire.rewriting` to say.
"""

from __future__ import annotations

import re
from base64 import b64encode
from encodings import idna
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE = 76
"""Characters that a line with an encoded word may have (RFC 2047 §2)."""

_CHUNK = 39  # octets in an encoded word: 64 characters then, of the 75 of RFC 2047 §2
_MAX_LABEL = 63  # RFC 1035 §2.3.4
# IDNA2003, which Python has, takes these for others or for nothing; since RFC 5891 they are letters of
# their own, and another spelling would be somebody else's domain.
_DEVIANT = re.compile("([\u00df\u03c2\u200c\u200d])")
_NO_FOLD = {ord(end): None for end in "\r\n"}
_NO_LABEL = re.compile(
    r"[\0-,./:-@\[-`{-\x7f]"
)  # what US-ASCII has beside letters, digits, hyphens
_HOST = re.compile(rb"[A-Za-z0-9.-]+")
_CHARSET = "UTF-8''"  # RFC 2231 §4, and no language (RFC 6857 §3.1.4)


class Layout:
    """A header field that is said piece by piece and folded where its lines would become too long."""

    __slots__ = ("_column", "_gap", "_said", "_word")

    def __init__(self, name: str) -> None:
        self._said = [name, ":"]
        self._column = len(name) + 1
        self._gap = " "
        self._word: list[str] = []  # what cannot be folded, so far

    def glue(self, text: str) -> None:
        """Say this right behind what was said last."""
        self._word.append(text)

    def say(self, text: str, gap: str = " ") -> None:
        """Say this behind white space.

        :param gap: the white space, perhaps with a fold in it; ``""``: there is none.
        """
        if gap and self._word:
            self._end_word()
            self._gap = gap
        self._word.append(text)

    def say_all(self, texts: Iterable[str], gap: str = " ") -> None:
        """Say these; ``gap`` is before the first of them."""
        for text in texts:
            self.say(text, gap)
            gap = " "

    def _end_word(self) -> None:
        word = "".join(self._word)
        self._word.clear()
        gap = self._gap.translate(_NO_FOLD) or " "
        if "\n" in self._gap or self._column + len(gap) + len(word) > LINE:
            self._column = 0
            self._said.append("\r\n")
        self._said.append(gap)
        self._said.append(word)
        self._column += len(gap) + len(word)

    def field(self) -> bytes:
        """The whole field, without its last CRLF."""
        self._end_word()
        return "".join(self._said).encode("ascii")


def words(text: str) -> list[str]:
    """Encoded words that say this together, whole characters in each (RFC 2047 §5)."""
    chunks: list[str] = []
    chunk: list[str] = []
    octets = 0
    for character in text:
        size = len(character.encode())
        if octets + size > _CHUNK:
            chunks.append("".join(chunk))
            chunk, octets = [], 0
        chunk.append(character)
        octets += size
    chunks.append("".join(chunk))
    return [f"=?UTF-8?B?{b64encode(each.encode()).decode()}?=" for each in chunks]


def ascii_domain(domain: str) -> str | None:
    """The domain with A-labels for its U-labels (RFC 5891); None if it cannot be one."""
    try:
        return ".".join(
            label if label.isascii() else _a_label(label) for label in domain.split(".")
        )
    except UnicodeError:
        return None


@lru_cache(maxsize=256)  # a hundred addresses of one field mostly share their domain
def _a_label(label: str) -> str:
    """An A-label.

    :raises UnicodeError: there is none.
    """
    if len(label) > _MAX_LABEL or _NO_LABEL.search(label):  # Punycode's work is quadratic
        raise UnicodeError("no label")
    if _DEVIANT.search(label):
        parts = _DEVIANT.split(label)
        parts[::2] = [idna.nameprep(part) if part else "" for part in parts[::2]]
        said = b"xn--" + normalize("NFC", "".join(parts)).encode("punycode")
    else:
        said = idna.ToASCII(label)
    if len(said) > _MAX_LABEL or not _HOST.fullmatch(said):
        raise UnicodeError("no label")
    return said.decode("ascii")


def parameter(name: str, value: str) -> list[str]:
    """A parameter that is not US-ASCII, in sections where one line cannot hold it (RFC 2231 §3, §4)."""
    encoded = [quote(character, safe="") for character in value]
    whole = f"{name}*={_CHARSET}{''.join(encoded)}"
    if len(whole) + len(" ;") <= LINE:
        return [whole]
    sections: list[str] = []
    begin, section = f"{name}*0*={_CHARSET}", ""
    for character in encoded:
        if section and len(begin) + len(section) + len(character) + len(" ;") > LINE:
            sections.append(begin + section)
            begin, section = f"{name}*{len(sections)}*=", ""
        section += character
    return [*sections, begin + section]


def unitext(address: str) -> str:
    """An address as ``utf-8-addr-xtext`` has it (RFC 6533 §3); what is escaped already stays so."""
    return "".join(
        character if character.isascii() else f"\\x{{{ord(character):02X}}}"
        for character in address
    )
