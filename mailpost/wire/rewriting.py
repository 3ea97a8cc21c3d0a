"""One header field with UTF-8, said in US-ASCII (RFC 6857 §3.2): what is done to which field.

::

    From, To, Return-Path and so on         names as encoded words, domains as A-labels; an address that
                                            cannot be said becomes the name of an empty group
    Message-ID, References, In-Reply-To     a field Downgraded-, where an identifier is not US-ASCII
    Received                                domains as A-labels; FOR and ID go where that is not enough
    Content-Type, Content-Disposition       parameters as RFC 2231 has them
    Original-Recipient, Final-Recipient     utf-8-addr-xtext (RFC 6533); else a field Downgraded-
    Date, Content-ID and so on              encoded words in comments
    Keywords                                each phrase by itself
    everything else                         text: words with UTF-8 become encoded words

Comments are encoded wherever they are. The blank between two encoded words is not shown (RFC 2047 §6.2), so
where one is to be seen it is said within one of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mailpost.wire.addresses import say_addresses, say_comment
from mailpost.wire.encoding import Layout, ascii_domain, parameter, unitext, words
from mailpost.wire.lexical import (
    BLANKS,
    is_blank,
    is_comment,
    plain_text,
    split,
    stripped,
    symbols,
    unfolded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_WHITE_SPACE = re.compile(r"([ \t\r\n]+)")
_ENCODED_WORD = re.compile(r"=\?[!->@-~]+\?[BbQq]\?[!->@-~]*\?=")
# RFC 2231 §7; a star is left where it parts a section's number. Longer names would be said too often.
_ATTRIBUTE = re.compile(r"[!#$&*+\-.0-9A-Z^-~]{1,40}")
_SECTION = re.compile(r"(.+)\*([0-9]{1,4})", re.DOTALL)  # RFC 2231 §3


def rewritten(field: bytes) -> bytes:
    """The field in US-ASCII; as it came where it is no UTF-8, or has no name.

    :param field: a whole header field with its CRLF, folded or not.
    """
    return _rewritten(field, _HOW)


def rewritten_status(field: bytes) -> bytes:
    """The same for a field of a delivery report's machine-readable part (RFC 6857 §4.2)."""
    return _rewritten(field, _HOW_STATUS)


def _rewritten(field: bytes, how: dict[str, Callable[[str, str], bytes]]) -> bytes:
    name, colon, rest = field.partition(b":")
    try:
        value = rest.decode("utf-8")
    except UnicodeDecodeError:
        return field
    if not colon or not name.isascii():
        return field
    title = name.decode("ascii")
    say = how.get(title.strip().lower(), how[""])
    said = say(title, value.strip(BLANKS))
    end = field[len(field.rstrip(b"\r\n")) :]
    return said + end if said else field


def _as_it_came(title: str, text: str) -> bytes:  # noqa: ARG001 - the same for every field
    return b""


# Text ---------------------------------------------------------------------------------------------------


def _unstructured(title: str, text: str) -> bytes:
    """The words that need it, encoded; neighbours together, since a blank between two is not shown."""
    layout = Layout(title)
    parts = _WHITE_SPACE.split(text)  # words, and at odd places what is between them
    place = 0
    while place < len(parts):
        gap = parts[place - 1] if place else ""
        if parts[place].isascii():
            layout.say(parts[place], gap)
            place += 2
            continue
        first = place
        while place + 2 < len(parts) and not parts[place + 2].isascii():
            place += 2
        run = unfolded("".join(parts[first : place + 1]))
        if first and _ENCODED_WORD.fullmatch(parts[first - 2]):
            run = unfolded(gap) + run
        if place + 2 < len(parts) and _ENCODED_WORD.fullmatch(parts[place + 2]):
            run += unfolded(parts[place + 1])
        layout.say_all(words(run), gap)
        place += 2
    return layout.field()


def _comments(title: str, text: str) -> bytes:
    """RFC 6857 §3.2.2: what is not US-ASCII stands in comments."""
    layout = Layout(title)
    _say_symbols(layout, symbols(text))
    return layout.field()


def _say_symbols(
    layout: Layout, found: list[str], in_ascii: Callable[[str], str | None] | None = None
) -> None:
    """Symbol by symbol: comments as such; what ``in_ascii`` cannot say as encoded words."""
    gap = " "
    for symbol in found:
        if is_blank(symbol):
            gap = symbol
        elif is_comment(symbol):
            say_comment(layout, symbol, gap or " ")
            gap = "" if symbol.isascii() else " "
        elif (said := symbol if in_ascii is None else in_ascii(symbol)) and said.isascii():
            layout.say(said, gap)
            gap = ""
        else:  # RFC 2047 §5: encoded words have white space around them
            layout.say_all(words(unfolded(symbol)), gap or " ")
            gap = " "


def _keywords(title: str, text: str) -> bytes:
    """Phrases between commas (RFC 6857 §3.2.7)."""
    layout = Layout(title)
    for number, phrase in enumerate(split(symbols(text), ",")):
        if number:
            layout.glue(",")
        said = "".join(stripped(phrase))
        if said.isascii():
            layout.say(said)
        else:
            layout.say_all(words(plain_text(phrase)))
    return layout.field()


def _addresses(title: str, text: str) -> bytes:
    layout = Layout(title)
    say_addresses(layout, symbols(text))
    return layout.field()


# What programs read -------------------------------------------------------------------------------------


def _identifiers(title: str, text: str) -> bytes:
    """RFC 6857 §3.2.3."""
    if all(symbol.isascii() or is_comment(symbol) for symbol in symbols(text)):
        return _comments(title, text)
    return _encapsulated(title, text)


def _encapsulated(title: str, text: str) -> bytes:
    """RFC 6857 §3.1.10: under a name that no program acts on."""
    return _unstructured(f"Downgraded-{title}", text)


def _recipient(title: str, text: str) -> bytes:
    """RFC 6857 §3.1.9."""
    kind, semicolon, address = text.partition(";")
    if not semicolon or plain_text(symbols(kind)).lower() != "utf-8":
        return _encapsulated(title, text)
    layout = Layout(title)
    _say_symbols(layout, symbols(f"{kind}; {address.strip(BLANKS)}"), unitext)
    return layout.field()


def _received(title: str, text: str) -> bytes:
    """RFC 6857 §3.2.4."""
    kept: list[str] = []
    clause: list[str] = []
    for symbol in [*symbols(text), ";"]:
        keyword = symbol.lower() in _CLAUSES and (not clause or is_blank(clause[-1]))
        if keyword or symbol == ";":
            if not _must_go(clause):
                kept += clause
            elif symbol == ";" and kept and is_blank(kept[-1]):
                kept.pop()
            clause = []
        clause.append(symbol)
    layout = Layout(title)
    _say_symbols(layout, kept, ascii_domain)
    return layout.field()


def _must_go(clause: list[str]) -> bool:
    said = "".join(symbol for symbol in clause if not is_comment(symbol))
    if said.isascii():
        return False
    if clause[0].lower() == "id":
        return True
    _, at, domain = said.rpartition("@")
    local_is_plain = bool(at) and said[: -len(domain)].isascii()
    return clause[0].lower() == "for" and not (
        local_is_plain and ascii_domain(domain.strip(BLANKS + ">"))
    )


# Parameters ---------------------------------------------------------------------------------------------


class _Item(NamedTuple):
    """What stands between two semicolons.

    :ivar name: of a parameter that may be said anew; ``""`` where it is none.
    :ivar value: its value outside comments, unquoted.
    """

    found: list[str]
    name: str
    value: str


def _parameters(title: str, text: str) -> bytes:
    """RFC 6857 §3.2.5: ``filename="ä"`` becomes ``filename*=UTF-8''%C3%A4``."""
    layout = Layout(title)
    for number, item in enumerate(_items(text)):
        if number:
            layout.glue(";")
        name = item.name.rstrip("*")
        if _ATTRIBUTE.fullmatch(name) and not item.value.isascii():
            first, *others = parameter(name, item.value)
            layout.say(first)
            for section in others:
                layout.glue(";")
                layout.say(section)
        elif all(symbol.isascii() or is_comment(symbol) for symbol in item.found):
            _say_symbols(layout, item.found)
        else:  # no parameter: it loses its UTF-8
            layout.say("".join(item.found).encode("ascii", "replace").decode("ascii"))
    return layout.field()


def _items(text: str) -> list[_Item]:
    items: list[_Item] = []
    sections: dict[str, dict[int, int]] = {}
    for number, part in enumerate(split(symbols(text), ";")):
        raw = "".join(part)
        if raw.isascii() and "*" not in raw:
            items.append(_Item(stripped(part), "", ""))
            continue
        said = "".join(symbol for symbol in part if not is_comment(symbol))
        name, equals, value = said.partition("=")
        name = name.strip(BLANKS) if equals else ""
        items.append(_Item(stripped(part), name, plain_text(symbols(value.strip(BLANKS)))))
        if (section := _SECTION.fullmatch(name)) and _ATTRIBUTE.fullmatch(section[1]):
            sections.setdefault(section[1], {})[int(section[2])] = number
    gone: set[int] = set()
    for name, places in sections.items():  # RFC 2231 §3: its sections are said anew, as one value
        value = "".join(items[places[section]].value for section in sorted(places))
        if not value.isascii():
            first, *others = sorted(places.values())
            items[first] = _Item([], name, value)
            gone.update(others)
    return [item for number, item in enumerate(items) if number not in gone]


_CLAUSES = frozenset(("from", "by", "via", "with", "id", "for"))  # RFC 5321 §4.4
_ADDRESSES = [
    resent + name
    for resent in ("", "resent-")
    for name in ("from", "sender", "to", "cc", "bcc", "reply-to")
]
_HOW: dict[str, Callable[[str, str], bytes]] = {
    "": _unstructured,
    **dict.fromkeys(_ADDRESSES, _addresses),
    **dict.fromkeys(("return-path", "disposition-notification-to"), _addresses),
    # RFC 6857 §3.2.8: fields that it does not name, and whose structure is known here.
    **dict.fromkeys(("delivered-to", "x-original-to", "apparently-to"), _addresses),
    **dict.fromkeys(("return-receipt-to", "errors-to", "mail-followup-to"), _addresses),
    **dict.fromkeys(("message-id", "resent-message-id"), _identifiers),
    **dict.fromkeys(("in-reply-to", "references"), _identifiers),
    **dict.fromkeys(("original-recipient", "final-recipient"), _recipient),
    **dict.fromkeys(("date", "resent-date", "mime-version", "content-id"), _comments),
    **dict.fromkeys(("content-transfer-encoding", "content-language"), _comments),
    **dict.fromkeys(("accept-language", "auto-submitted"), _comments),
    **dict.fromkeys(("content-type", "content-disposition"), _parameters),
    "received": _received,
    "keywords": _keywords,
}
_HOW_STATUS: dict[str, Callable[[str, str], bytes]] = {
    "": _as_it_came,
    **dict.fromkeys(("original-recipient", "final-recipient"), _recipient),
}
