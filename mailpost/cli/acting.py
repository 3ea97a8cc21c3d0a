"""Being one user for the store and another for other files, where root runs a command that carries letters.

Every other command of root's becomes the store's owner for good (``become_owner`` in ``office.py``). One that
carries letters has to read or write files of somebody else's as well. It does that as *their* owner, never as
root: a link that alice has laid in her Maildir leads nowhere that alice could not go herself.
"""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")


class User(NamedTuple):
    """Whose rights to act with."""

    number: int
    group: int
    groups: list[int]


def owner_of(path: Path) -> User | None:
    """The owner of a path, or of the nearest folder above it that exists; None where this is not root."""
    if os.getuid() != 0:
        return None
    with acting_as(ROOT):
        place = path.absolute()
        while not place.exists():
            place = place.parent
        status = place.stat()
    try:
        owner = pwd.getpwuid(status.st_uid)
    except KeyError:  # a number without a name, as in containers
        return User(status.st_uid, status.st_gid, [])
    return User(owner.pw_uid, owner.pw_gid, os.getgrouplist(owner.pw_name, owner.pw_gid))


@contextmanager
def acting_as(user: User | None) -> Iterator[None]:
    """Act with somebody's rights for a while; None: as before."""
    if user is None or os.getuid() != 0:
        yield
        return
    before = User(os.geteuid(), os.getegid(), os.getgroups())
    act_as(user)
    try:
        yield
    finally:
        act_as(before)


def act_as(user: User | None) -> None:
    """Act with somebody's rights from here on, until it is somebody else's turn."""
    if user is None or os.getuid() != 0:
        return
    os.seteuid(0)
    os.setgroups(user.groups)
    os.setegid(user.group)
    os.seteuid(user.number)


def each_as(user: User | None, items: Iterable[T]) -> Iterator[T]:
    """Get each of them with somebody's rights."""
    rest = iter(items)
    while True:
        with acting_as(user):
            try:
                item = next(rest)
            except StopIteration:
                return
        yield item


ROOT = User(0, 0, [0])
