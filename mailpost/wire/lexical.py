"""The symbols of a structured header field (RFC 5322 §3.2, RFC 2045 §5.1).

A symbol is a quoted string, a comment with the comments in it, a domain literal, one of the specials
``< > , : ; @``, white space, or whatever stands between those. Put together again they are the text. The
time is linear, whatever is not closed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each matches at any place, and none is tried twice.
_SYMBOL = re.compile(
    r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|\[(?:[^\]\\]|\\.)*+(?:\]|\\?\Z)|[<>,:;@(]|[ \t\r\n]+'
    r'|[^"(\[<>,:;@ \t\r\n]+',
    re.DOTALL,
)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CLOSING = {'"': '"', "(": ")"}
BLANKS = " \t\r\n"


def symbols(text: str) -> list[str]:
    """Take a field's value apart."""
    found: list[str] = []
    place = 0
    while place < len(text):
        match = _SYMBOL.match(text, place)
        assert match is not None
        end = match.end() if match[0] != "(" else _end_of_comment(text, place)
        found.append(text[place:end])
        place = end
    return found


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for mark in _PARENTHESIS.finditer(text, start):
        if mark[0] == "(":
            depth += 1
        elif mark[0] == ")":
            depth -= 1
            if not depth:
                return mark.end()
    return len(text)


def is_blank(symbol: str) -> bool:
    """Whether it is white space."""
    return symbol[0] in BLANKS


def is_comment(symbol: str) -> bool:
    """Whether it is a comment."""
    return symbol[0] == "("


def is_open(symbol: str) -> bool:
    """Whether it is a quoted string or a comment without its end: the rest of the field is in it."""
    closing = _CLOSING.get(symbol[0])
    if closing is None:
        return False
    if closing == '"':
        inside = _QUOTED_PAIR.sub("", symbol)
        return len(inside) < 2 or inside[-1] != '"'  # noqa: PLR2004 - both quotation marks
    return _end_of_comment(symbol + "\0", 0) > len(symbol)


def unquoted(symbol: str) -> str:
    """What a quoted string or a comment says; any other symbol as it is."""
    if symbol[0] not in _CLOSING:
        return unfolded(symbol)
    inside = symbol[1:] if is_open(symbol) else symbol[1:-1]
    return _QUOTED_PAIR.sub(r"\1", unfolded(inside))


def unfolded(text: str) -> str:
    """Without the line ends of its folds (RFC 5322 §2.2.3)."""
    return text.replace("\r\n", "")


def split(found: Iterable[str], at: str) -> list[list[str]]:
    """The symbols between these specials, the specials left out."""
    parts: list[list[str]] = [[]]
    for symbol in found:
        if symbol == at:
            parts.append([])
        else:
            parts[-1].append(symbol)
    return parts


def stripped(found: list[str]) -> list[str]:
    """Without white space at both ends."""
    start = 1 if found and is_blank(found[0]) else 0
    end = len(found) - (1 if len(found) > start and is_blank(found[-1]) else 0)
    return found[start:end]


def plain_text(found: Iterable[str]) -> str:
    """What is said outside comments, quoted strings unquoted."""
    return "".join(unquoted(symbol) for symbol in found if not is_comment(symbol)).strip(BLANKS)
