"""The names of accounts, and what a user may type to log in.

A name is a local part that needs no quoting, is the same in every case and looks like no other: so
it is ASCII alone. It names neither a file nor a folder anywhere, but is refused when it could.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from mailpost.config import domain_name

if TYPE_CHECKING:
    from collections.abc import Container

MAX_NAME = 64  # octets, as in a local part: RFC 5321 §4.5.3.1.1
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")


class BadName(ValueError):  # noqa: N818 - reads as what it tells
    """This cannot be the name of an account; the text says why."""


def account_name(text: str) -> str:
    """Bring the name of an account to its one form, lower case.

    :raises BadName: there can be no account of this name.
    """
    if not text:
        raise BadName("a name has at least one character")
    if "@" in text:
        raise BadName("a name stands without its domain: alice, not alice@example.org")
    for character in text:
        if not (character.isascii() and (character.isalnum() or character in "._-")):
            raise BadName(f"a name is made of a-z, 0-9, dot, _ and -, not of {_told(character)}")
    name = text.lower()
    if len(name) > MAX_NAME:
        raise BadName(f"a name has at most {MAX_NAME} characters, not {len(name)}")
    if ".." in name:
        raise BadName("a name has no two dots in a row")
    if not _NAME.fullmatch(name):
        raise BadName("a name begins and ends with a letter or a digit")
    return name


def login_name(login: bytes, domains: Container[str]) -> str | None:
    """Tell whose name was typed: ``alice``, or ``alice@example.org`` with a domain of the office.

    :param domains: the office's domains, in the form that :func:`~mailpost.config.domain_name`
    gives.
    :returns: the account's name; None if it can be nobody's.
    """
    try:
        local, at, domain = login.decode().partition("@")
        if at and domain_name(domain) not in domains:
            return None
    except ValueError:
        return None
    # A few letters outside of ASCII, such as the Kelvin sign, have a lower case within it.
    if not local.isascii():
        return None
    name = local.lower()
    return name if len(name) <= MAX_NAME and _NAME.fullmatch(name) else None


def _told(character: str) -> str:
    """Name a character, since what looks like an ``a`` may be none."""
    known = unicodedata.name(character, "a control character")
    shown = f'"{character}" ' if character.isprintable() else ""
    return f"{shown}(U+{ord(character):04X}, {known})"
