"""The command line: ``mailpost init | user | device | serve`` and more.

Commands are imported when they are called, and what they need when it is needed, so that ``--help``
answers at once. What goes wrong is told in a line or two, never by a traceback, and the exit status
says of what kind it was: :mod:`mailpost.cli.failures` lists them.
"""

from __future__ import annotations

import select
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword

import click

from mailpost import __version__
from mailpost.cli import failures
from mailpost.cli.options import config_option

__all__ = ["main"]

# In the order in which a newcomer needs them.
_COMMANDS = (
    "init",
    "user",
    "device",
    "domain",
    "alias",
    "route",
    "maildrop",
    "letter",
    "undelete",
    "expire",
    "ban",
    "serve",
    "status",
    "reload",
    "doctor",
    "settings",
    "import",
    "export",
    "backup",
    "restore",
    "demo",
    "completion",
    "man",
)


class Commands(click.Group):
    """The commands, each a module of this folder with a command of the same name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Name them, in a newcomer's order."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import one."""
        if cmd_name not in _COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"mailpost.cli.{name}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was asked for; guess what was meant where there is none."""
        near = get_close_matches(args[0], _COMMANDS, 1)
        if args[0] not in _COMMANDS and near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; tell what went wrong as a person needs it."""
        try:
            return super().invoke(ctx)
        except click.ClickException:
            raise
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                raise  # as of "mailpost ... | head": click ends without a word
            if (told := failures.explain(error)) is None:
                raise
            raise told from None


def _nobody_reads() -> bool:
    """Whether standard output is a pipe whose other end has gone (poll(2))."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


@click.group(
    "mailpost",
    cls=Commands,
    epilog=f"""\b
Examples:
  mailpost init office --domain example.org
  mailpost --config office/mailpost.toml user add alice
  mailpost --config office/mailpost.toml serve

\b
{failures.statuses()}""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@config_option
@click.version_option(__version__, prog_name="mailpost")
def main() -> None:
    """Run a post office: letters in by SMTP, kept durably, out by POP3.

    The configuration is the file given with --config; else $MAILPOST_CONFIG, ./mailpost.toml or
    /etc/mailpost/mailpost.toml, the first there is.
    """
