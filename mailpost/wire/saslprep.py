"""SASLprep: names and passwords that look the same become the same (RFC 4013, a profile of RFC 3454).

A name is prepared wherever it comes in. A password is prepared where its keys are made and where it is
checked against them; on its way there it stays as it was typed, for the office may also keep a digest of the
very octets. The tables are those of Unicode 3.2, as RFC 3454 wants them; what is newer counts as unassigned,
which a name or password to be kept must not contain and one that is only asked about may (RFC 3454 §7).
"""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

_PROHIBITED = (  # RFC 4013 §2.3
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class Prohibited(ValueError):  # noqa: N818 - reads as what it tells
    """SASLprep has no form for this text; the message says why, but not where: it may be a secret."""


def saslprep(text: str, *, kept: bool = False) -> str:
    """Bring a name or a password to its one form; it may be empty then.

    :param kept: it is to be stored, and so must not have characters that Unicode 3.2 did not assign.
    :raises Prohibited: it contains what no name or password may.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    for character in prepared:
        if any(within(character) for within in _PROHIBITED):
            raise Prohibited("it has a character that is not allowed in names and passwords")
        if kept and stringprep.in_table_a1(character):
            raise Prohibited("it has a character that Unicode 3.2 does not know")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """Text that reads from right to left does so from end to end (RFC 3454 §6)."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)):
        raise Prohibited("it mixes letters read from the left and from the right")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise Prohibited("it is read from the right, but does not begin and end so")


def prepared(name: str) -> str:
    """A name in the form that is its only one; ``""`` where there can be no such name (RFC 6856 §2.2)."""
    try:
        return name if name.isascii() else saslprep(name)
    except Prohibited:
        return ""
