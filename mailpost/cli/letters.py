"""Letters on the command line: from when on, and what a person knows one by."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from mailpost.store import Store

_AGE = re.compile(r"([1-9][0-9]{0,4})([dh])")
_SECONDS = {"d": 86_400, "h": 3600}


class Words(NamedTuple):
    """What a person knows a letter by."""

    author: str
    subject: str


def words(store: Store, letter: int) -> Words:
    """Read a letter's From and Subject.

    :param letter: its own number in the store.
    """
    from email.parser import BytesHeaderParser  # noqa: PLC0415 - --help does not need it
    from email.policy import default  # noqa: PLC0415

    header = store.head(letter).partition(b"\r\n\r\n")[0]
    try:
        fields = BytesHeaderParser(policy=default).parsebytes(header + b"\r\n\r\n")
        return Words(str(fields.get("From", "")), str(fields.get("Subject", "")))
    except Exception:  # noqa: BLE001 - what comes from outside may be anything; the list goes on
        return Words("", "")


def since(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    """``2d`` or ``12h``: so long ago, in seconds since 1970; nothing: from the beginning on."""
    if value is None:
        return 0
    age = _AGE.fullmatch(value)
    if age is None:
        raise click.BadParameter("a number of days or hours, such as 2d or 12h")
    return int(time.time()) - int(age[1]) * _SECONDS[age[2]]
