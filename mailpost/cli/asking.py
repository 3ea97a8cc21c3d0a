"""What ``mailpost init`` asks on a terminal: the few things that nobody else can know, each with why."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SOMEBODY = "alice"
_NOBODY = {"root", "postmaster", "mailpost", "admin", "user"}

_BEGIN = """\
This makes a post office: one folder with its configuration, its letters and
its certificate. Enter takes what stands in brackets. Ctrl-C leaves everything
as it is."""
_FOLDER = "The folder that all of it goes into. It is made, or must be empty."
_DOMAIN = """\
The domain is what stands behind the @ of your addresses. Others can be added
later."""
_HOST = """\
This machine's own name. Mail programs connect to it, other mail servers see
it, and it stands in the certificate."""
_NETWORK = """\
Who is to reach the office?
  1  this machine alone, to try it out: ports 2525, 1587 and 1110
  2  the network: ports 25, 465, 587, 995 and 110 on all of its addresses"""
_USER = """\
The first user. Letters for this name at your domain go there; more users can
be added later."""
_TO_LOG_IN = """\
The password for mail programs. Enter alone makes one that nobody can guess,
and shows it."""


@frozen
class Answers:
    """What was answered, or given as options.

    :ivar network: whether other machines are to reach the office.
    :ivar user: the first account; None: none yet.
    :ivar password: the account's; None: one is to be made.
    """

    folder: Path
    domains: tuple[str, ...]
    hostname: str
    network: bool
    user: str | None
    password: bytes | None


def ask(folder: Path | None, hostname: str | None, user: str | None, *, network: bool) -> Answers:
    """Ask for what was not given. Each question is asked until its answer can be used."""
    click.echo(_BEGIN)
    if folder is None:
        folder = _question(_FOLDER, "Folder", "office", _fit_folder)
    system = _system_name()
    _, _, behind = (system or "").partition(".")
    domain = _question(
        _DOMAIN, "Domain", behind if "." in behind else "example.org", checked_domain
    )
    if hostname is None:
        ours = system if system and system.endswith(f".{domain}") else f"mail.{domain}"
        hostname = _question(_HOST, "Host name", ours, checked_domain)
    if not network:
        network = _question(_NETWORK, "Choose", "1", _one_or_two) == 2  # noqa: PLR2004 - as it says
    if user is None:
        user = _question(_USER, "Name", _likely_user(), checked_user)
    return Answers(folder, (domain,), hostname, network, user, _password())


def unfit(folder: Path) -> str | None:
    """Tell why no office can be made in a folder; None: nothing is known that speaks against it."""
    try:
        if (folder / "mailpost.toml").exists():
            return f"{folder} is a post office already; choose another folder"
        if folder.is_dir() and any(folder.iterdir()):
            return f"{folder} is not empty; choose a folder of its own"
        if folder.exists() and not folder.is_dir():
            return f"{folder} is a file; choose a folder"
    except OSError as error:
        return f"{folder} cannot be looked into: {error.strerror}"
    return None


def _fit_folder(text: str) -> Path:
    folder = Path(text.strip())
    if (why := unfit(folder)) is not None:
        raise click.BadParameter(why)
    return folder


def checked_domain(text: str) -> str:
    """Bring a domain to its one form.

    :raises click.BadParameter: it is none.
    """
    from mailpost.config import domain_name  # noqa: PLC0415 - pydantic

    try:
        return domain_name(text.strip())
    except ValueError:
        raise click.BadParameter(f'expected a domain name; got "{text}"') from None


def checked_user(text: str) -> str:
    """Bring an account's name to its one form.

    :raises click.BadParameter: it can be none, or is there already.
    """
    from mailpost.cli.failures import Failed  # noqa: PLC0415 - as above
    from mailpost.cli.named import checked_name  # noqa: PLC0415
    from mailpost.store.schema import POSTMASTER  # noqa: PLC0415

    try:
        name = checked_name(text.strip())
    except Failed as error:
        raise click.BadParameter(error.message) from None
    if name == POSTMASTER:
        raise click.BadParameter("every office has a postmaster already; choose another name")
    return name


def _password() -> bytes | None:
    from mailpost.accounts.passwords import BadPassword, encode  # noqa: PLC0415 - loads argon2

    click.echo(f"\n{_TO_LOG_IN}")
    while True:
        typed = click.prompt("Password", default="", hide_input=True, show_default=False)
        if not typed:
            return None
        if typed != click.prompt("Again", default="", hide_input=True, show_default=False):
            click.echo("The two are not the same.")
            continue
        try:
            encode(typed.encode())
        except BadPassword as error:
            click.echo(f"Error: {error}")
        else:
            return bytes(typed.encode())


def _question(why: str, what: str, default: str, checked: Callable[[str], T]) -> T:
    click.echo(f"\n{why}")
    answer: T = click.prompt(what, default=default, value_proc=checked)
    return answer


def _one_or_two(text: str) -> int:
    if text.strip() not in {"1", "2"}:
        raise click.BadParameter("1 or 2")
    return int(text)


def _system_name() -> str | None:
    """This machine's name, where it is one that others could know; it asks no server for long."""
    name = socket.gethostname().lower().rstrip(".")
    try:
        checked_domain(name)
    except click.BadParameter:
        return None
    return name if "." in name and not name.endswith((".localdomain", ".local")) else None


def _likely_user() -> str:
    from mailpost.accounts.names import BadName, account_name  # noqa: PLC0415 - pydantic

    try:
        name = account_name(getpass.getuser())
    except (BadName, KeyError, OSError):
        return SOMEBODY
    return SOMEBODY if name in _NOBODY else name
