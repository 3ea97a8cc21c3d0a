"""``mailpost init``: a new office in a folder of its own, ready to serve.

On a terminal it asks for what it was not told; to a script, that gives ``--domain``, it puts no question.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailpost.cli.asking import Answers, ask, checked_domain, checked_user, unfit
from mailpost.cli.failures import BAD_DATA, CANNOT_CREATE, WRONG_USAGE, Failed
from mailpost.cli.office import become_owner, open_office
from mailpost.cli.options import password_line


@click.command(
    epilog="""\b
Examples:
  mailpost init
  mailpost init office --domain example.org
  mailpost init office --domain example.org --user alice --start
  mailpost init /var/lib/mailpost --domain example.org --hostname mx.example.org --network"""
)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--domain",
    "domains",
    metavar="DOMAIN",
    multiple=True,
    help="A domain to keep mail for; may be given more than once. Without it init asks.",
)
@click.option("--hostname", metavar="NAME", help="This machine's own name.  [default: mail.DOMAIN]")
@click.option(
    "--network",
    is_flag=True,
    help="Listen for other machines too, at ports 25, 465, 587, 995 and 110.",
)
@click.option("--user", metavar="NAME", help="A first account; its password is made and printed.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the first account's password, one line, from standard input.",
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing; what is not given has its default.")
@click.option("--start/--no-start", default=None, help="Open the office at once, or do not ask.")
def init(
    folder: Path | None,
    domains: tuple[str, ...],
    hostname: str | None,
    user: str | None,
    *,
    network: bool,
    password_stdin: bool,
    yes: bool,
    start: bool | None,
) -> None:
    """Make a new post office in the folder DIR.

    On a terminal it asks for what it needs to know; with --domain or --yes it asks nothing.

    DIR is made, or must be empty. The office listens on this machine alone: SMTP on port 2525,
    submission on port 1587, POP3 on port 1110; with --network for every machine, at the ports where
    mail programs look. Its certificate is self-signed. What was made, and what to do next, is printed.
    """
    asking = not (domains or yes) and _on_terminal()
    if password_stdin and (asking or not user):
        raise Failed(WRONG_USAGE, "--password-stdin needs --domain and --user")
    if asking:
        if folder is not None:
            _check(folder)  # before anybody answers in vain
        answers = ask(folder, _given("--hostname", hostname), _name(user), network=network)
    else:
        answers = _from_options(folder, domains, hostname, user, network=network)
        if password_stdin:
            answers = _with_password(answers)
    if asking:
        click.echo()
    # Before the user changes: root's Python may lie where the owner cannot read.
    from mailpost.cli import first_words  # noqa: PLC0415 - --help does not need it

    file, password = _make_office(answers)
    click.echo(first_words.made(file, answers, password))
    obstacle = first_words.obstacle(file)
    if obstacle and (asking or start):
        click.echo(f"\n{obstacle}")
    elif start or (asking and start is None and click.confirm("\nStart it now?", default=True)):
        _serve(file)


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _from_options(
    folder: Path | None,
    domains: tuple[str, ...],
    hostname: str | None,
    user: str | None,
    *,
    network: bool,
) -> Answers:
    context = click.get_current_context()
    lacking = {"folder": folder is None, "domains": not domains}
    for parameter in context.command.params:
        if lacking.get(parameter.name or ""):
            raise click.MissingParameter(
                ctx=context, param=parameter, param_hint="'DIR'" if folder is None else None
            )
    assert folder is not None
    ours = tuple(dict.fromkeys(_domain("--domain", domain) for domain in domains))
    host = _given("--hostname", hostname) or f"mail.{ours[0]}"
    return Answers(folder, ours, host, network, _name(user), None)


def _given(option: str, text: str | None) -> str | None:
    return None if text is None else _domain(option, text)


def _domain(option: str, text: str) -> str:
    try:
        return checked_domain(text)
    except click.BadParameter as error:
        raise Failed(BAD_DATA, f"{option}: {error.message}") from None


def _name(user: str | None) -> str | None:
    try:
        return None if user is None else checked_user(user)
    except click.BadParameter as error:
        raise Failed(BAD_DATA, f"--user: {error.message}") from None


def _with_password(answers: Answers) -> Answers:
    from attrs import evolve  # noqa: PLC0415 - few need it

    return evolve(answers, password=password_line())


def _make_office(answers: Answers) -> tuple[Path, str | None]:
    """Make folder, store, certificate, configuration and the first account.

    :returns: the configuration's file, and the password that was made, if any was.
    """
    from mailpost.accounts.passwords import BadPassword, encode  # noqa: PLC0415 - loads argon2
    from mailpost.accounts.scram import device_password  # noqa: PLC0415 - as above
    from mailpost.cli import template  # noqa: PLC0415 - --help does not need it
    from mailpost.store import create_store  # noqa: PLC0415 - nor SQLite
    from mailpost.tls import TLSError, make_self_signed  # noqa: PLC0415 - nor OpenSSL

    made = None
    if answers.user is not None and answers.password is None:
        made = device_password()
    password = answers.password or (made or "").encode()
    try:
        encoded = encode(password) if answers.user is not None else ""
    except BadPassword as error:
        raise Failed(BAD_DATA, str(error)) from None
    folder, host = answers.folder, answers.hostname
    become_owner(folder)
    _make_folder(folder)
    file = folder / "mailpost.toml"
    create_store(folder / "mailpost.db")
    try:
        names = dict.fromkeys([host, *answers.domains, "localhost", "127.0.0.1"])
        make_self_signed(folder, list(names))
    except TLSError as error:
        raise Failed(CANNOT_CREATE, str(error)) from None
    listen = template.NETWORK if answers.network else template.LOOPBACK
    text = template.render(host, answers.domains, listen=listen)
    file.write_text(text, encoding="utf-8")
    if answers.user is None:
        return file, None
    _add(file, answers.user, encoded, password)
    return file, made


def _add(file: Path, name: str, encoded: str, password: bytes) -> None:
    from mailpost import config  # noqa: PLC0415 - pydantic
    from mailpost.accounts.scram import KeyMaker, keys_to_keep  # noqa: PLC0415 - as above

    with open_office(config.load(file)) as (_, store):
        keys = keys_to_keep(KeyMaker(store.secret, store.iterations), name, password)
        store.accounts.add(name, encoded, keys)


def _check(folder: Path) -> None:
    if (why := unfit(folder)) is not None:
        raise Failed(CANNOT_CREATE, why)


def _make_folder(folder: Path) -> None:
    _check(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(CANNOT_CREATE, f"{folder} cannot be made: {error.strerror}") from None


def _serve(file: Path) -> None:
    """Become the office: this command goes on as ``mailpost serve``."""
    from mailpost.cli.serve import serve  # noqa: PLC0415 - Twisted

    context = click.get_current_context()
    context.find_root().obj = str(file)
    click.echo()
    context.invoke(serve)
