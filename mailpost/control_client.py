"""The command line's side of the control socket: where it is, and one question with its answer.

:mod:`mailpost.control` is the office's side, and says what goes over the line.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".control"
MAX_ANSWER = 16 * 1024 * 1024  # octets
PATIENCE = 10.0
"""Seconds that a command waits for an answer."""

_LONGEST_PATH = 100  # octets; a socket's address has room for 108 (unix(7))


class NotRunning(Exception):  # noqa: N818 - reads as what it tells
    """No office is there to be asked."""


class Refusal(Exception):  # noqa: N818 - likewise
    """The office cannot do what was asked; the text says why."""


def beside(database: Path) -> Path:
    """Where the control socket of an office is."""
    return database.with_name(database.name + SUFFIX)


def ask(path: Path, verb: str, patience: float = PATIENCE, **arguments: object) -> Any:
    """Ask the office that runs; blocks.

    :raises NotRunning: there is none.
    :raises Refusal: it cannot do that, or gives no answer in time.
    """
    request = json.dumps({"verb": verb, **arguments}).encode() + b"\n"
    try:
        with reachable(path) as name, socket.socket(socket.AF_UNIX) as line:
            line.settimeout(patience)
            line.connect(name)
            line.sendall(request)
            octets = bytearray()
            while not octets.endswith(b"\n"):
                piece = line.recv(1 << 16)
                if not piece or len(octets) > MAX_ANSWER:
                    raise Refusal("the office gave no whole answer; its log may say why")
                octets += piece
    except TimeoutError:
        raise Refusal(f"the office gave no answer within {patience:g} seconds") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"no office runs with the store {path.with_suffix('')}") from None
    told = json.loads(octets)
    if not told["ok"]:
        raise Refusal(told["error"])
    return told["answer"]


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of a socket that is short enough for one, however deep its folder is (Linux, proc(5))."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = Path(f"/proc/self/fd/{folder}")
        if not short.exists():
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
        yield str(short / path.name)
    finally:
        os.close(folder)
