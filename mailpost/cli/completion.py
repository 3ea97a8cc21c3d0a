"""``mailpost completion``: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_NAME, _VARIABLE = "mailpost", "_MAILPOST_COMPLETE"
_INSTALL = {
    "bash": "mailpost completion bash > ~/.local/share/bash-completion/completions/mailpost",
    "zsh": "mailpost completion zsh > ~/.zfunc/_mailpost   (with fpath+=~/.zfunc before compinit)",
    "fish": "mailpost completion fish > ~/.config/fish/completions/mailpost.fish",
}


@click.command(
    epilog="""\b
Examples:
  mailpost completion bash > ~/.local/share/bash-completion/completions/mailpost
  mailpost completion zsh > ~/.zfunc/_mailpost
  mailpost completion fish > ~/.config/fish/completions/mailpost.fish"""
)
@click.argument("shell", type=click.Choice(list(_INSTALL)))
def completion(shell: str) -> None:
    """Print what SHELL needs to complete commands.

    It completes their options, too, and the names of accounts and devices. Put it where the shell looks
    for such scripts, make that folder if it is not there, and open a new shell. For zsh, ~/.zshrc has to
    say fpath+=~/.zfunc before compinit.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    lines = kind(root, {}, _NAME, _VARIABLE).source().strip().splitlines()
    # zsh looks at the first line: "#compdef" has to stay there.
    place = int(lines[0].startswith("#compdef"))
    lines.insert(place, f"# To install it: {_INSTALL[shell]}")
    click.echo("\n".join(lines))
