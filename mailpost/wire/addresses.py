"""A list of addresses, said in US-ASCII (RFC 6857 §3.1.5 to §3.1.8, RFC 5322 §3.4).

::

    Jörg <joerg@exämple.net>      =?UTF-8?B?...?= <joerg@xn--exmple-cua.net>
    Jörg <jörg@example.net>       =?UTF-8?B?...?= =?UTF-8?B?...?= :;
    friends: jörg@example.net;    friends =?UTF-8?B?...?= :;

An address that cannot be said becomes the name of an empty group: it can be read, and not be answered by
mistake. So does whatever makes no sense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.wire.encoding import ascii_domain, words
from mailpost.wire.lexical import (
    BLANKS,
    is_comment,
    is_open,
    plain_text,
    stripped,
    unfolded,
    unquoted,
)

if TYPE_CHECKING:
    from mailpost.wire.encoding import Layout

_NOBODY = ":;"


def say_addresses(layout: Layout, found: list[str]) -> None:
    """Say the mailboxes and groups that a field has."""
    said = False
    for element in _elements(found):
        if said:
            layout.glue(",")
        said = True
        raw = "".join(element)
        if raw.isascii():
            layout.say(raw)
        elif _is_broken(element):
            _say_nobody(layout, [], raw)
        elif ":" in (outside := _outside_angles(element)):
            _say_group(layout, element, outside)
        else:
            _say_mailbox(layout, element)


def say_comment(layout: Layout, comment: str, gap: str = " ") -> None:
    """Say a comment (RFC 6857 §3.1.3), within which an encoded word may stand (RFC 2047 §5)."""
    if comment.isascii():
        layout.say(comment, gap)
        return
    first, *others = words(unquoted(comment))
    layout.say(f"({first}", gap)
    layout.say_all(others)
    layout.glue(")")


def _elements(found: list[str]) -> list[list[str]]:
    """Each mailbox or group for itself."""
    elements: list[list[str]] = [[]]
    in_group = in_angle = False
    for symbol in found:
        if symbol == "," and not (in_group or in_angle):
            elements.append([])
            continue
        if in_angle:
            in_angle = symbol != ">"
        elif symbol == "<":
            in_angle = True
        elif symbol in {":", ";"}:
            in_group = symbol == ":"
        elements[-1].append(symbol)
    return [element for each in elements if (element := stripped(each))]


def _outside_angles(element: list[str]) -> list[str]:
    """The symbols, those within angle brackets blotted out."""
    outside: list[str] = []
    in_angle = False
    for symbol in element:
        in_angle = symbol == "<" or (in_angle and symbol != ">")
        outside.append("" if in_angle else symbol)
    return outside


def _is_broken(element: list[str]) -> bool:
    """Whether a quoted string, a comment or an angle bracket has no end, or no beginning."""
    in_angle = False
    for symbol in element:
        if symbol in {"<", ">"}:
            if in_angle is (symbol == "<"):
                return True
            in_angle = not in_angle
    return in_angle or any(map(is_open, element))


def _say_group(layout: Layout, element: list[str], outside: list[str]) -> None:
    """RFC 6857 §3.1.7."""
    colon = outside.index(":")
    end = outside.index(";", colon) if ";" in outside[colon:] else len(element)
    name, listed = element[:colon], element[colon + 1 : end]
    members = _elements(listed)
    if any(_sayable(member) is None for member in members):
        _say_nobody(layout, _name(name, followed=True), "".join(stripped(listed)))
    else:
        layout.say_all(_name(name))
        layout.glue(":")
        for number, member in enumerate(members):
            if number:
                layout.glue(",")
            _say_mailbox(layout, member)
        layout.glue(";")
    for symbol in element[end:]:
        if is_comment(symbol):
            say_comment(layout, symbol)


def _say_mailbox(layout: Layout, element: list[str]) -> None:
    """RFC 6857 §3.1.8, §3.1.5."""
    raw = "".join(element)
    if raw.isascii():
        layout.say(raw)
        return
    address = _sayable(element)
    angle = element.index("<") if "<" in element else None
    if address is None:
        name = [] if angle is None else _name(element[:angle], followed=True)
        _say_nobody(layout, name, _address(element))
    elif angle is None:
        layout.say(address)
    else:
        layout.say_all([*_name(element[:angle]), f"<{address}>"])
    for symbol in element:
        if is_comment(symbol):
            say_comment(layout, symbol)


def _address(element: list[str]) -> str:
    """The addr-spec, as it came."""
    inner = element
    if "<" in element and ">" in (inner := element[element.index("<") + 1 :]):
        inner = inner[: inner.index(">")]
    said = (symbol for symbol in inner if not is_comment(symbol))
    return unfolded("".join(said)).strip(BLANKS)


def _sayable(element: list[str]) -> str | None:
    """The addr-spec in US-ASCII; None if it cannot be (RFC 6857 §3.1.8)."""
    address = _address(element)
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    plain = ascii_domain(domain) if at and local.isascii() else None
    return None if plain is None else f"{local}@{plain}"


def _name(found: list[str], *, followed: bool = False) -> list[str]:
    """A display name, as what is to be said of it (RFC 6857 §3.1.5).

    :param followed: an encoded word comes behind it: the blank between is not shown unless it is said in one
        of them (RFC 2047 §6.2).
    """
    raw = unfolded("".join(symbol for symbol in found if not is_comment(symbol)).strip(BLANKS))
    if raw.isascii():
        return [raw] if raw else []
    return words(plain_text(found) + " " * followed)


def _say_nobody(layout: Layout, name: list[str], text: str) -> None:
    """An empty group, named after what cannot be said."""
    layout.say_all([*name, *words(unfolded(text)), _NOBODY])
