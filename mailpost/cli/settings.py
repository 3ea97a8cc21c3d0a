"""``mailpost settings``: what to type into a mail program; files by which programs find it themselves."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailpost.cli.completing import account_names
from mailpost.cli.failures import BAD_CONFIG, CANNOT_CREATE, Failed
from mailpost.cli.named import existing_account, known_domains
from mailpost.cli.office import open_office, read_config, this_program
from mailpost.cli.options import config_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.config import Config
    from mailpost.settings import Offers, Server

_WIDTH = 78
_SOMEBODY = "NAME"


@click.command(
    epilog="""\b
Examples:
  mailpost settings alice
  mailpost settings --json
  mailpost settings --write public"""
)
@click.argument("user", required=False, shell_complete=account_names)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--write",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write files for a web server and for DNS into FOLDER, a set for each domain.",
)
@config_option
def settings(user: str | None, folder: Path | None, *, as_json: bool) -> None:
    """Print what USER types into Thunderbird, Outlook or a phone.

    It follows from the listeners of the configuration. With --write a folder for each domain gets what
    programs read to find the settings by themselves (Mozilla's mail/config-v1.1.xml and Microsoft's
    autodiscover/autodiscover.xml), a page for people (settings.html), and records for DNS (zone.txt).
    """
    from mailpost.settings import offers  # noqa: PLC0415 - --help does not need it

    path, config = read_config()
    with open_office(config) as (_, store):
        known = known_domains(config.office.domains, store)
        domains = [one.name for one in known if one.accounts] or [one.name for one in known]
        if user is not None:
            user = existing_account(user, store).name
    offered = offers(config)
    if not offered.incoming:
        raise Failed(BAD_CONFIG, *(f"{path}: {sentence}" for sentence in offered.lacking))
    if folder is not None:
        _write(folder, domains, offered)
    elif as_json:
        click.echo(json.dumps(_as_json(domains, offered, user), indent=2))
    else:
        _print(config, domains[0], offered, user)


def _as_json(domains: Sequence[str], offered: Offers, user: str | None) -> dict[str, object]:
    return {
        "user": user,
        "username": f"{user}@{domains[0]}" if user else None,
        "domains": domains,
        "incoming": [_server(one) for one in offered.incoming],
        "outgoing": [_server(one) for one in offered.outgoing],
        "lacking": list(offered.lacking),
    }


def _server(server: Server) -> dict[str, object]:
    return {
        "protocol": server.protocol,
        "host": server.host,
        "port": server.port,
        "tls": server.tls,
        "this_machine_only": server.here,
    }


def _print(config: Config, domain: str, offered: Offers, user: str | None) -> None:
    from mailpost.settings.words import SECURITY, steps  # noqa: PLC0415 - as above

    name = user or _SOMEBODY
    address = f"{name}@{domain}"
    click.echo(f"Settings for {address}\n")
    for title, servers in (
        ("Incoming mail, POP3", offered.incoming),
        ("Outgoing mail, SMTP", offered.outgoing),
    ):
        for server in servers[:1]:
            click.echo(
                f"{title}\n"
                f"  server      {server.host}\n"
                f"  port        {server.port}\n"
                f"  encryption  {SECURITY[server.tls]}\n"
                f"  user name   {address}, or {name} alone"
            )
        for other in servers[1:]:
            click.echo(f"  or          port {other.port} with encryption {SECURITY[other.tls]}")
        click.echo()
    _paragraph(
        f"The password is {name}'s. Better is one of its own for each phone and computer: then what one"
        " deletes is still there for the others, and a lost one can be shut out alone. This makes one:"
    )
    click.echo(f"  {this_program()} device add {name} phone\n")
    for program, what in steps(offered):
        _paragraph(what, first=f"{program:14}", rest=" " * 14)
    if _self_signed(config):
        click.echo()
        _paragraph(
            "The office's certificate is self-signed: a program asks once whether to trust it, and some"
            " phones refuse. Put one that an authority has signed in its place."
        )
    if offered.here:
        click.echo("\nThis is for programs on this machine alone:")
    elif offered.lacking:
        click.echo("\nNot there yet:")
    for sentence in offered.lacking:
        _paragraph(sentence, first="  ", rest="  ")


def _self_signed(config: Config) -> bool:
    from mailpost.tls import TLSError, describe  # noqa: PLC0415 - OpenSSL

    try:
        return any(describe(one.chain).self_signed for one in config.certificate)
    except TLSError:  # which doctor tells of
        return False


def _paragraph(text: str, first: str = "", rest: str = "") -> None:
    click.echo(
        textwrap.fill(
            text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
        )
    )


def _write(folder: Path, domains: Sequence[str], offered: Offers) -> None:
    """Write each domain's files; where no other machine is served, the page alone."""
    from mailpost.settings import autoconfig, autodiscover, page, zone  # noqa: PLC0415 - as above

    for domain in domains:
        files = {"settings.html": page(offered, domain).encode()}
        if not offered.here:
            files |= {
                "mail/config-v1.1.xml": autoconfig(offered, domain),
                "autodiscover/autodiscover.xml": autodiscover(offered),
                "zone.txt": zone(offered, domain).encode(),
            }
        for name, octets in files.items():
            place = folder / domain / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(octets)
            except OSError as error:
                raise Failed(
                    CANNOT_CREATE, f"{place} cannot be written: {error.strerror}"
                ) from None
            click.echo(place)
    if offered.lacking:
        click.echo("\nNot written, since it is not offered:", err=True)
    for sentence in offered.lacking:
        click.echo(
            textwrap.fill(sentence, _WIDTH, initial_indent="  ", subsequent_indent="  "), err=True
        )
