"""The option that every command knows, before its name as well as behind it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
_LONGEST_LINE = 4096


def _keep(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj = value


def password_line() -> bytes:
    """A password, one line from standard input."""
    line = sys.stdin.buffer.readline(_LONGEST_LINE)
    return line.removesuffix(b"\n").removesuffix(b"\r")


def config_option(command: F) -> F:
    """Add ``--config FILE``; the file's name becomes the context's object."""
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        callback=_keep,
        expose_value=False,
        type=click.Path(),
        help="The configuration file.",
    )(command)
