"""``mailpost import``: letters that were elsewhere move in."""

from __future__ import annotations

import json
import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click
from attrs import evolve

from mailpost.cli.acting import acting_as, each_as, owner_of
from mailpost.cli.failures import BAD_DATA, FAILED, TRY_LATER, UNAVAILABLE, WRONG_USAGE, Failed
from mailpost.cli.named import existing_account
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option, password_line
from mailpost.cli.table import counted, harmless, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.carrying import Letter, Source
    from mailpost.carrying.incoming import Outcome
    from mailpost.cli.acting import User

_URL = re.compile(r"pop3s?://", re.IGNORECASE)
_NAMED = 20  # letters named by name on a terminal, at most


@click.command(
    "import",
    epilog="""\b
Examples:
  mailpost import /home/alice/Maildir --to alice
  mailpost import alice.mbox --to alice --dry-run
  mailpost import pop3s://alice@old.example.org --to alice""",
)
@click.argument("source", metavar="SOURCE")
@click.option("--to", "name", metavar="NAME", required=True, help="Whose maildrop they come into.")
@click.option("--dry-run", is_flag=True, help="Say what would come, and bring nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--folders",
    type=click.Choice(["inbox", "all"]),
    default="inbox",
    show_default=True,
    help="Of a Maildir: the inbox, or the letters of its folders too.",
)
@click.option(
    "--uidl-format",
    default="%08Xu%08Xv",
    show_default=True,
    help="Of a Maildir of Dovecot's: its pop3_uidl_format, with %u, %v, %f and %g.",
)
@click.option(
    "--format",
    "quoting",
    type=click.Choice(["mboxrd", "mboxo", "mboxcl2"]),
    default="mboxrd",
    show_default=True,
    help="Of an mbox: how it quotes lines that begin with From.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password for pop3 from stdin.")
@click.option("--cleartext", is_flag=True, help="With pop3://: send it without encryption.")
@click.option(
    "--authority", metavar="FILE", type=click.Path(), help="Certificates to trust for pop3."
)
@click.option("--fingerprint", metavar="SHA256", help="The one certificate to trust for pop3.")
@config_option
def import_(
    source: str, name: str, *, dry_run: bool, as_json: bool, **options: str | bool | None
) -> None:
    """Bring the letters of SOURCE into NAME's maildrop.

    SOURCE is a Maildir, an mbox, an .eml file, a folder of them, or pop3s://USER@HOST.

    Where letters have a unique-id they keep it, so that no client fetches them again: from Dovecot's or
    Courier's list beside a Maildir, or from the server. Nothing comes twice: run the same command again
    for what is new, or after it was broken off. Nothing is changed in SOURCE. A running office shows the
    letters at once.
    """
    from mailpost.carrying import SourceGone, looking, pop3  # noqa: F401, PLC0415 - see become_owner
    from mailpost.carrying.incoming import Incoming  # noqa: PLC0415
    from mailpost.cli.progress import progress  # noqa: PLC0415

    with open_office(carrying=True) as (_, store):
        account = existing_account(name, store)
        opened = _open(source, options)
        gone = None
        try:
            with progress("import", opened.octets, opened.count) as told:
                incoming = Incoming(store.bringing, account.maildrop, int(time.time()), told)
                (incoming.count if dry_run else incoming.bring)(opened)
        except SourceGone as error:
            gone = str(error)
        finally:
            opened.close()
    outcome = incoming.outcome
    _print(outcome, account.name, dry_run=dry_run, as_json=as_json)
    if gone is not None:
        raise Failed(TRY_LATER, f"{gone}; run the same command again, it goes on where it was")
    if outcome.unread:
        raise Failed(FAILED, f"{counted(len(outcome.unread), 'letter')} could not be read")


def _open(source: str, options: dict[str, str | bool | None]) -> Source:
    from mailpost.carrying.looking import source_at  # noqa: PLC0415
    from mailpost.carrying.source import ServerError, SourceError  # noqa: PLC0415

    try:
        if _URL.match(source):
            return _server(source, options)
        path = Path(source)
        owner = owner_of(path)
        with acting_as(owner):
            found = source_at(
                path,
                uidl_format=str(options["uidl_format"]),
                quoting=str(options["quoting"]),
                folders=options["folders"] == "all",
            )
        return _AsOwner(found, owner)
    except SourceError as error:
        status = UNAVAILABLE if isinstance(error, ServerError) else BAD_DATA
        raise Failed(status, str(error)) from None


class _AsOwner:
    """A source whose files are read as their owner."""

    def __init__(self, source: Source, owner: User | None) -> None:
        self._source = source
        self._owner = owner
        self.count = source.count
        self.octets = source.octets
        self.ahead = source.ahead

    def letters(self) -> Iterator[Letter]:
        if self._owner is None:
            yield from self._source.letters()
            return
        for letter in each_as(self._owner, self._source.letters()):
            yield evolve(letter, pieces=partial(self._pieces, letter))

    def _pieces(self, letter: Letter) -> Iterator[bytes]:
        return each_as(self._owner, letter.pieces())

    def close(self) -> None:
        self._source.close()


def _server(source: str, options: dict[str, str | bool | None]) -> Source:
    from mailpost.carrying.pop3 import PORTS, POP3Source, Server  # noqa: PLC0415

    try:
        url = urlsplit(source)
        port = url.port
    except ValueError:
        raise Failed(WRONG_USAGE, f"{source}: expected pop3s://USER@HOST[:PORT]") from None
    if not url.hostname or not url.username or url.path.strip("/"):
        raise Failed(WRONG_USAGE, f"{source}: expected pop3s://USER@HOST[:PORT]")
    if url.password is not None:
        raise Failed(
            WRONG_USAGE, "a password on the command line can be seen by others: leave it out"
        )
    user = unquote(url.username)
    server = Server(
        user=user,
        host=url.hostname,
        port=port or PORTS[url.scheme.lower()],
        implicit=url.scheme.lower() == "pop3s",
        cleartext=bool(options["cleartext"]),
        authority=_text(options["authority"]),
        fingerprint=_text(options["fingerprint"]),
        password=_password(user, url.hostname, from_stdin=bool(options["password_stdin"])),
    )
    return POP3Source(server)


def _text(option: str | bool | None) -> str | None:  # noqa: FBT001 - one of click's
    return None if option is None else str(option)


def _password(user: str, host: str, *, from_stdin: bool) -> str:
    if from_stdin:
        return password_line().decode("utf-8", "surrogateescape")
    if not sys.stdin.isatty():
        raise Failed(
            WRONG_USAGE,
            "no terminal to ask for a password on; give it on one line: --password-stdin",
        )
    typed: str = click.prompt(f"Password of {user} on {host}", hide_input=True)
    return typed


def _print(outcome: Outcome, name: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = {
            "account": name,
            "dry_run": dry_run,
            "brought": outcome.brought,
            "octets": outcome.octets,
            "there": outcome.there,
            "new_uidl": [{"letter": letter, "why": why} for letter, why in outcome.new_uidl],
            "unread": [{"letter": letter, "why": why} for letter, why in outcome.unread],
        }
        click.echo(json.dumps(told, indent=2))
        return
    for what, letters in (
        ("has a new unique-id", outcome.new_uidl),
        ("could not be read", outcome.unread),
    ):
        for letter, why in letters[:_NAMED]:
            click.echo(f"{harmless(letter)} {what}: {harmless(why)}", err=True)
        if len(letters) > _NAMED:
            click.echo(f"... and {len(letters) - _NAMED} more; --json names all", err=True)
    come = "would come" if dry_run else "brought"
    click.echo(
        f"{name}: {counted(outcome.brought, 'letter')} {come} ({size(outcome.octets)}),"
        f" {outcome.there} there already, {len(outcome.unread)} could not be read,"
        f" {len(outcome.new_uidl)} with a new unique-id"
    )
