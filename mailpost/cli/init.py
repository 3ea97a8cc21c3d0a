"""``mailpost init``: a new office in a folder of its own, ready to serve on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from mailpost.cli.failures import BAD_DATA, CANNOT_CREATE, Failed
from mailpost.cli.office import become_owner


@click.command(
    epilog="""\b
Examples:
  mailpost init office --domain example.org
  mailpost init /var/lib/mailpost --domain example.org --hostname mx.example.org"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--domain",
    "domains",
    metavar="DOMAIN",
    required=True,
    multiple=True,
    help="A domain to keep mail for; may be given more than once.",
)
@click.option("--hostname", metavar="NAME", help="This machine's own name.  [default: mail.DOMAIN]")
def init(folder: Path, domains: tuple[str, ...], hostname: str | None) -> None:
    """Make a new post office in the folder DIR.

    DIR is made, or must be empty. The office listens on this machine alone: SMTP on port 2525,
    submission on port 1587, POP3 on port 1110. Its certificate is self-signed. What was made, and what
    to do next, is printed.
    """
    from mailpost.cli import template  # noqa: PLC0415 - --help does not need it
    from mailpost.store import create_store  # noqa: PLC0415 - nor SQLite
    from mailpost.tls import TLSError, make_self_signed  # noqa: PLC0415 - nor OpenSSL

    ours = [_domain("--domain", domain) for domain in dict.fromkeys(domains)]
    host = _domain("--hostname", hostname) if hostname else f"mail.{ours[0]}"
    become_owner(folder)
    _make(folder)
    file = folder / "mailpost.toml"
    create_store(folder / "mailpost.db")
    try:
        make_self_signed(folder, list(dict.fromkeys([host, *ours, "localhost", "127.0.0.1"])))
    except TLSError as error:
        raise Failed(CANNOT_CREATE, str(error)) from None
    file.write_text(template.render(host, ours), encoding="utf-8")
    _tell(folder, file, ours)


def _domain(option: str, text: str) -> str:
    from mailpost.config import domain_name  # noqa: PLC0415 - pydantic

    try:
        return domain_name(text)
    except ValueError:
        raise Failed(BAD_DATA, f'{option}: expected a domain name; got "{text}"') from None


def _make(folder: Path) -> None:
    if (folder / "mailpost.toml").exists():
        raise Failed(CANNOT_CREATE, f"{folder} is a post office already; choose another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Failed(CANNOT_CREATE, f"{folder} is not empty; choose a folder of its own")
    except FileExistsError:
        raise Failed(CANNOT_CREATE, f"{folder} is a file; choose a folder") from None
    except OSError as error:
        raise Failed(CANNOT_CREATE, f"{folder} cannot be made: {error.strerror}") from None


def _tell(folder: Path, file: Path, domains: list[str]) -> None:
    store, certificate = folder / "mailpost.db", folder / "certificate.pem"
    width = len(str(certificate))
    click.echo(
        f"""A post office for {", ".join(domains)} is in {folder}:

  {file!s:{width}}  its configuration, with a comment on every key
  {store!s:{width}}  its store: accounts and letters
  {certificate}  its certificate, with key.pem

It listens on this machine alone: SMTP on port 2525, submission on 1587, POP3 on 1110.
TLS begins with STARTTLS, in POP3 with STLS. The certificate is self-signed: mail programs will not
trust it; put one that an authority has signed in its place before other machines come. Without TLS a
password is taken from this machine alone.

Next, somebody to write to, and the doors open:

  mailpost --config {file} user add alice
  mailpost --config {file} serve"""
    )
