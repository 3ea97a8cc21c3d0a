"""What most commands begin with: the configuration, the right user, the open store."""

from __future__ import annotations

import os
import pwd
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mailpost.cli.acting import act_as, owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from twisted.internet.defer import Deferred

    from mailpost.config import Config
    from mailpost.store import Store


def read_config() -> tuple[Path, Config]:
    """Read the configuration that the command line names, or the first there is.

    :raises ConfigError: it cannot be used.
    """
    from mailpost import config  # noqa: PLC0415 - pydantic, which --help does not need

    path = config.find(click.get_current_context().find_root().obj)
    return path, config.load(path)


def this_program() -> str:
    """How the next command is to begin, so that it finds the same configuration."""
    named: str | None = click.get_current_context().find_root().obj
    return f"mailpost --config {shlex.quote(named)}" if named else "mailpost"


@contextmanager
def open_office(
    config: Config | None = None, *, carrying: bool = False
) -> Iterator[tuple[Config, Store]]:
    """Open the store for a command, as its owner.

    :param config: where it has been read already.
    :param carrying: root goes on being able to be somebody else, see :mod:`mailpost.cli.acting`.

    No reactor runs here: whatever is to be written is written in this thread.

    :raises StoreError: it cannot be opened.
    """
    import getpass  # noqa: F401, PLC0415 - see become_owner

    from twisted.internet.task import Clock  # noqa: PLC0415 - Twisted, which --help does not need

    from mailpost.accounts import names, passwords, scram  # noqa: F401, PLC0415 - see become_owner
    from mailpost.store import open_store  # noqa: PLC0415

    config = config or read_config()[1]
    if carrying:
        act_as(owner_of(config.office.database))
    else:
        become_owner(config.office.database)
    clock = Clock()
    clock.advance(time.time())  # it stands still, but tells the time of day
    store = open_store(
        config.office.database,
        clock=clock,
        call_in_reactor=_at_once,
        defer_to_thread=_never,
    )
    try:
        yield config, store
    finally:
        store.close()


def become_owner(path: Path) -> None:
    """If this is root, be the owner of a file or folder from here on, for good.

    So whatever a command makes can be read by the office, and a fault in it is not root's. Where the
    path does not exist yet, the nearest folder above it counts. Whatever modules are needed later have
    been imported by then: root's Python may lie where the owner cannot read.
    """
    if os.geteuid() != 0:
        return
    place = path.absolute()
    while not place.exists():
        place = place.parent
    status = place.stat()
    if status.st_uid == 0:
        return
    try:
        owner = pwd.getpwuid(status.st_uid)
    except KeyError:  # a number without a name, as in containers
        os.setgroups([])
        os.setgid(status.st_gid)
    else:
        os.initgroups(owner.pw_name, owner.pw_gid)
        os.setgid(owner.pw_gid)
    os.setuid(status.st_uid)


def _at_once(function: Callable[..., object], *arguments: object) -> object:
    return function(*arguments)


def _never(function: Callable[..., object], *_: object) -> Deferred[object]:
    raise NotImplementedError(f"{function!r} is for a running office")
