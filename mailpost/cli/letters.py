"""Letters on the command line: from when on, and what a person knows one by."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

import click

from mailpost.cli import headers

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
    header = headers.header_of(store.head(letter))
    author, subject = (headers.decoded(headers.field(header, name)) for name in ("From", "Subject"))
    return Words(author, subject)


def since(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    """``2d`` or ``12h``: so long ago, in seconds since 1970; nothing: from the beginning on."""
    if value is None:
        return 0
    age = _AGE.fullmatch(value)
    if age is None:
        raise click.BadParameter("a number of days or hours, such as 2d or 12h")
    return int(time.time()) - int(age[1]) * _SECONDS[age[2]]
