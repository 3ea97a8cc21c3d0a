"""``mailpost man``: the manual page, made of the commands themselves (man(7)).

One page for all commands, as people search it with ``/``. Nothing of it is kept in the project: whoever
packages mailpost writes it at the build, ``mailpost man > mailpost.1``, dated by ``SOURCE_DATE_EPOCH``.
"""

from __future__ import annotations

import inspect
import os
import re
import time
from typing import TYPE_CHECKING

import click

from mailpost import __version__
from mailpost.cli.failures import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATE = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/
_DASH = r"\-"

_FILES = (
    ("mailpost.toml", "The configuration; the file that mailpost init writes explains every key."),
    ("mailpost.db", "The store: accounts and letters, an SQLite database."),
    ("mailpost.db.parcels", "Letters too large for the database, a file each."),
    ("mailpost.db.control", "The socket at which a running office is asked."),
)


@click.command(
    epilog="""\b
Examples:
  mailpost man > mailpost.1
  mailpost man | man -l -"""
)
def man() -> None:
    """Print the manual page, mailpost(1)."""
    root = click.get_current_context().find_root().command
    assert isinstance(root, click.Group)
    click.echo("\n".join(page(root)))


def page(root: click.Group) -> Iterator[str]:
    """Write the page, line by line."""
    ctx = click.Context(root, info_name="mailpost")
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get(_DATE, time.time()))))
    yield f'.TH MAILPOST 1 "{date}" "mailpost {__version__}" "User Commands"'
    yield ".SH NAME"
    yield rf"mailpost {_DASH} a post office: letters in by SMTP, kept durably, out by POP3"
    yield ".SH SYNOPSIS"
    yield rf".B mailpost\fR [\fB{_DASH}{_DASH}config\fR \fIFILE\fR] \fICOMMAND\fR ..."
    yield ".SH DESCRIPTION"
    yield from _prose(root)
    yield ".SH OPTIONS"
    yield from _options(root, ctx)
    yield ".SH COMMANDS"
    for words, command in commands(root):
        yield from _command(words, command, ctx)
    yield ".SH EXIT STATUS"
    for status, meaning in STATUSES.items():
        yield from (".TP", rf"\fB{status}\fR", _text(meaning))
    yield ".SH ENVIRONMENT"
    yield from (".TP", r"\fBMAILPOST_CONFIG\fR", "The configuration, where no option names one.")
    yield from (".TP", r"\fBNO_COLOR\fR", "If it is set, nothing is printed in colour.")
    yield ".SH FILES"
    for name, meaning in _FILES:
        yield from (".TP", rf"\fI{_text(name)}\fR", _text(meaning))
    yield ".SH SEE ALSO"
    yield ".BR twistd (1)"


def commands(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its words, in the order of the help."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        elif command.hidden:  # what the group does by itself
            yield above, command
        else:
            yield (*above, name), command


def _command(words: tuple[str, ...], command: click.Command, above: click.Context) -> Iterator[str]:
    ctx = click.Context(command, info_name=" ".join(words), parent=above)
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield f".SS {_text(' '.join(words))}"
    yield rf"\fBmailpost {_text(' '.join(words))}\fR {_text(usage)}"
    yield ".PP"
    yield from _prose(command)
    yield from _options(command, ctx)
    if examples := _examples(command):
        yield from (".PP", "Examples:", ".PP", ".nf", ".RS")
        yield from examples
        yield from (".RE", ".fi")


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        names, meaning = record or ("", "")
        if meaning and (ctx.parent is None or parameter.name != "help"):
            yield from (".TP", rf"\fB{_text(names)}\fR", _text(" ".join(meaning.split())))


def _prose(command: click.Command) -> Iterator[str]:
    paragraphs = re.split(r"\n\n+", inspect.cleandoc(command.help or "").replace("\b\n", ""))
    for place, paragraph in enumerate(paragraphs):
        if place:
            yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _examples(command: click.Command) -> list[str]:
    lines = inspect.cleandoc((command.epilog or "").replace("\b", "")).splitlines()
    return [_text(line.strip()) for line in lines if line.startswith("  ")]


def _text(text: str) -> str:
    """Escape what roff would take for its own (groff_char(7))."""
    escaped = text.replace("\\", r"\e").replace("-", _DASH).replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith((".", r"\(aq")) else escaped
