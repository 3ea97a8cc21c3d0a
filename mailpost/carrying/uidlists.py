"""The unique-ids that Dovecot and Courier keep beside a Maildir.

Dovecot's ``dovecot-uidlist`` maps each file to an IMAP UID; the POP3 server makes a unique-id of it by
``pop3_uidl_format``, unless the letter's own one is saved there (``P``). Courier's ``courierpop3dsizelist``
has two numbers for each file. Both name a file by its *base*: what stands before the colon and the flags.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.carrying.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DOVECOT = "dovecot-uidlist"
COURIER = "courierpop3dsizelist"
DEFAULT_FORMAT = "%08Xu%08Xv"  # Dovecot's own, since 1.1

_VARIABLE = re.compile(r"%(?P<zero>0?)(?P<width>\d*)(?P<how>[XMUL]*)(?P<what>.?)")
_KNOWN = {"u": "IMAP UID", "v": "UIDVALIDITY", "f": "file name", "g": "GUID"}
_COURIER_HEAD = re.compile(r"/([123]) (\d+)(?: (\d+))?")
_COURIER_LINE = re.compile(r"(.+) (\d+) (\d+)(?::(\d+))?(?::[01])?")
_COURIER_OLD = re.compile(r"(.+) (\d+)")
_COURIER_ESCAPED = re.compile(r"[^!-~]|['\"+]")


@frozen
class Listed:
    """What Dovecot's list has of a letter.

    :ivar uid: its IMAP UID.
    :ivar saved: the unique-id that was saved for it.
    :ivar guid: its GUID, where that is not its file's name.
    """

    uid: int
    base: str
    saved: str | None = None
    guid: str | None = None


@frozen
class DovecotList:
    """A ``dovecot-uidlist``.

    :ivar validity: the folder's UIDVALIDITY.
    :ivar next: the UID that the next letter gets.
    :ivar head: its first line, as it is.
    :ivar letters: by base.
    """

    validity: int
    next: int
    head: str
    letters: Mapping[str, Listed]


def base_of(name: str) -> str:
    """A file's name without its flags."""
    return name.partition(":")[0]


def read_dovecot(maildir: Path) -> DovecotList | None:
    """Read Dovecot's list; None where there is none.

    :raises SourceError: it is there and cannot be understood: without it clients would fetch all again.
    """
    lines = _lines(maildir / DOVECOT)
    if lines is None:
        return None
    head = lines[0] if lines else ""
    version, *fields = head.split(" ")
    if version == "3":
        header = {field[:1]: field[1:] for field in fields}
        validity, following = header.get("V", ""), header.get("N", "")
    elif version == "1" and len(fields) == 2:  # noqa: PLR2004 - UIDVALIDITY, and the next UID
        validity, following = fields
    else:
        validity = following = ""
    if not (validity.isdecimal() and following.isdecimal()):
        raise SourceError(f"{maildir / DOVECOT}: expected a list of version 1 or 3")
    letters: dict[str, Listed] = {}
    for number, line in enumerate(lines[1:], 2):
        listed = _dovecot_line(line, extended=version == "3")
        if listed is None:
            raise SourceError(f"{maildir / DOVECOT}, line {number}: expected a UID and a file name")
        letters[listed.base] = listed
    return DovecotList(int(validity), int(following), head, letters)


def _dovecot_line(line: str, *, extended: bool) -> Listed | None:
    uid, _, rest = line.partition(" ")
    fields: dict[str, str] = {}
    while extended and rest and not rest.startswith(":"):
        field, _, rest = rest.partition(" ")
        fields[field[:1]] = field[1:]
    base = base_of(rest[1:] if extended else rest)
    if not uid.isdecimal() or not base:
        return None
    return Listed(int(uid), base, fields.get("P") or None, fields.get("G") or None)


class UidlFormat:
    """How a Dovecot makes a unique-id: its setting ``pop3_uidl_format``.

    :raises SourceError: it has something that a Maildir does not have, or that is not known here.
    """

    def __init__(self, text: str = DEFAULT_FORMAT) -> None:
        self._text = text
        for found in _VARIABLE.finditer(text.replace("%%", "")):
            if found["what"] not in _KNOWN:
                known = ", ".join(f"%{what} ({tells})" for what, tells in _KNOWN.items())
                raise SourceError(f"unique-ids: {found[0]} is none of {known}")

    def __call__(self, listed: Listed, validity: int) -> str:
        """The unique-id of a letter."""
        values: dict[str, int | str] = {
            "u": listed.uid,
            "v": validity,
            "f": listed.base,
            "g": listed.guid or listed.base,
        }

        def fill(found: re.Match[str]) -> str:
            return _shaped(values[found["what"]], found)

        return "%".join(_VARIABLE.sub(fill, part) for part in self._text.split("%%"))


def _shaped(value: int | str, found: re.Match[str]) -> str:
    """One variable, as Dovecot's modifiers have it: X hexadecimal, M its MD5, U and L its case."""
    text = str(value)
    for how in found["how"]:
        if how == "X":
            text = f"{int(value):x}" if text.isdecimal() else "0"
        elif how == "M":
            digest = hashlib.md5(os.fsencode(text), usedforsecurity=False)
            text = digest.hexdigest()
        else:
            text = text.upper() if how == "U" else text.lower()
    if found["width"]:
        width = int(found["width"])
        text = text.rjust(width, "0") if found["zero"] else text[:width]
    return text


def read_courier(maildir: Path) -> Mapping[str, str]:
    """The unique-ids of Courier's list, by base; empty where there is none.

    :raises SourceError: it is there and cannot be understood.
    """
    return dict(_courier(maildir / COURIER))


def _courier(path: Path) -> Iterator[tuple[str, str]]:
    lines = _lines(path)
    if not lines:
        return
    head = _COURIER_HEAD.fullmatch(lines[0])
    if head is None and lines[0].startswith("/"):
        raise SourceError(f"{path}: expected a list of version 1, 2 or 3")
    for number, line in enumerate(lines[1:] if head else lines, 2 if head else 1):
        found = (_COURIER_LINE if head else _COURIER_OLD).fullmatch(line)
        if found is None:
            raise SourceError(f"{path}, line {number}: expected a file name and numbers")
        base = base_of(found[1])
        uid, validity = (int(found[3]), int(found[4] or 0)) if head else (0, 0)
        if not uid:
            yield base, _COURIER_ESCAPED.sub(_escape, base)
        else:
            yield base, f"UID{uid}-{validity}" if validity else f"UID{uid}"


def _escape(found: re.Match[str]) -> str:
    return "".join(f"+{octet:02X}" for octet in os.fsencode(found[0]))


def _lines(path: Path) -> list[str] | None:
    """The lines of a list, each file's name as Python has names; None where there is no list."""
    try:
        whole = os.fsdecode(path.read_bytes())
    except FileNotFoundError:
        return None
    return whole.removesuffix("\n").split("\n") if whole else []
