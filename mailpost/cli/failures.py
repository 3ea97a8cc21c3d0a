"""What goes wrong, and how the command line tells it: a line or two, and a stable exit status.

The numbers are those of sysexits.h where it has one.
"""

from __future__ import annotations

import sys
import textwrap
from typing import IO, Any

import click

DONE = 0
FAILED = 1
WRONG_USAGE = 2
BAD_DATA = 65  # EX_DATAERR
NO_USER = 67  # EX_NOUSER
UNAVAILABLE = 69  # EX_UNAVAILABLE
CANNOT_CREATE = 73  # EX_CANTCREAT
TRY_LATER = 75  # EX_TEMPFAIL
NOT_PERMITTED = 77  # EX_NOPERM
BAD_CONFIG = 78  # EX_CONFIG

STATUSES = {
    DONE: "done",
    FAILED: "failed",
    WRONG_USAGE: "wrong usage",
    BAD_DATA: "a name, a password, an address or a source that cannot be",
    NO_USER: "no such account, device, domain, alias, ban or letter",
    UNAVAILABLE: "a port or a server cannot be had, or no office runs",
    CANNOT_CREATE: "cannot be created",
    TRY_LATER: "try again later",
    NOT_PERMITTED: "not permitted",
    BAD_CONFIG: "the configuration or the store cannot be used",
}
"""What each means, in a few words: for the help, for the man page and for docs/commands.rst."""


class Failed(click.ClickException):
    """A command ends here.

    :param exit_code: one of :data:`STATUSES`.
    :param lines: what has happened, and what to do.
    """

    def __init__(self, exit_code: int, *lines: str) -> None:
        super().__init__("\n".join(lines))
        vars(self)["exit_code"] = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print each line as compilers do, the program's name first."""
        for line in self.message.splitlines():
            click.echo(f"mailpost: {line}", file=file or sys.stderr)


def statuses() -> str:
    """All exit statuses with what they mean, as the help has them."""
    # A number stays beside its words.
    told = ", ".join(f"{status}\N{NO-BREAK SPACE}{words}" for status, words in STATUSES.items())
    return textwrap.fill(f"Exit status: {told}.", 78).replace("\N{NO-BREAK SPACE}", " ")


def explain(error: Exception) -> Failed | None:
    """Put what a command ran into in words; None where it is a fault of mailpost's own."""
    from mailpost.config import ConfigError  # noqa: PLC0415 - only when something has gone wrong
    from mailpost.control_client import NotRunning, Refusal  # noqa: PLC0415 - as above

    if isinstance(error, ConfigError):
        return Failed(BAD_CONFIG, *error.mistakes)
    if isinstance(error, NotRunning):
        return Failed(UNAVAILABLE, f"{error}; start it: mailpost serve")
    if isinstance(error, Refusal):
        return Failed(FAILED, str(error))
    if isinstance(error, PermissionError):
        return Failed(NOT_PERMITTED, f"{error.filename or 'a file'}: permission denied")
    if isinstance(error, OSError):
        return Failed(
            FAILED, f"{error.filename}: {error.strerror}" if error.filename else str(error)
        )
    return _of_the_store(error)


def _of_the_store(error: Exception) -> Failed | None:
    import apsw  # noqa: PLC0415 - as above

    from mailpost.outcome import MaildropInUse, TemporaryFailure  # noqa: PLC0415 - as above
    from mailpost.store import (  # noqa: PLC0415
        BadAddress,
        DuplicateName,
        NoSuchBan,
        NoSuchName,
        StoreError,
    )

    text = str(error)
    if isinstance(error, DuplicateName | BadAddress):
        return Failed(BAD_DATA, text)
    if isinstance(error, NoSuchName):
        return Failed(NO_USER, f"{text}; see them all: mailpost user list")
    if isinstance(error, NoSuchBan):
        return Failed(NO_USER, f"{text}; see who is: mailpost ban list")
    if isinstance(error, StoreError):
        status = NOT_PERMITTED if "this user" in text else BAD_CONFIG
        return Failed(status, text)
    if isinstance(error, (MaildropInUse, TemporaryFailure)):
        return Failed(TRY_LATER, f"{text}; try again later")
    if isinstance(error, apsw.Error):
        return Failed(BAD_CONFIG, f"the store cannot be used: {text}")
    return None
