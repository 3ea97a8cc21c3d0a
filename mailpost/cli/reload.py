"""``mailpost reload``: have the running office read its certificates, or its configuration, again."""

from __future__ import annotations

import click

from mailpost.cli.failures import BAD_CONFIG, Failed
from mailpost.cli.office import become_owner, read_config
from mailpost.cli.options import config_option


@click.command(
    epilog="""\b
Examples:
  mailpost reload"""
)
@config_option
def reload() -> None:
    """Have the running office read its certificates again.

    SIGHUP does the same. An office of several workers reads its whole configuration again, and refuses
    nobody meanwhile. What was read is told, or what is wrong with it; what is wrong is not taken, and the
    office goes on as before.
    """
    from mailpost import control_client  # noqa: PLC0415 - --help does not need it

    _, config = read_config()
    become_owner(config.office.database)
    told = control_client.ask(control_client.beside(config.office.database), "reload")
    if told["mistakes"]:
        raise Failed(BAD_CONFIG, *told["mistakes"])
    if told.get("workers"):
        click.echo(f"the configuration is read again; {told['workers']} workers serve by it")
    elif not told["certificates"]:
        click.echo("there is no certificate to be read again")
    for file in told["certificates"]:
        click.echo(f"{file} is read again")
