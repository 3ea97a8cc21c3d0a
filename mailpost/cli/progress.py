"""A progress bar on a terminal; elsewhere, nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress(
    what: str, octets: int | None, count: int | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how far it is, on standard error.

    :param octets: how many there are; None: not known.
    :param count: how many letters; None: not known.
    :returns: to be called after each letter, with its octets.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[letters]}"),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    of_all = "" if count is None else f" of {count}"
    done = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=octets, letters="")

        def told(more: int) -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=more, letters=f"{done}{of_all} letters")

        yield told


@contextmanager
def octets_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is that has no letters.

    :returns: to be called with the octets that are done, and how many there are.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
