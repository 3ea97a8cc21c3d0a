"""What ``mailpost init`` says at its end: what was made, and what is to be done next."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from mailpost import config
from mailpost.cli import ports

if TYPE_CHECKING:
    from pathlib import Path

    from mailpost.cli.asking import Answers

_LOOPBACK = """\
It listens on this machine alone: SMTP on port 2525, submission on 1587, POP3
on 1110. TLS begins with STARTTLS, in POP3 with STLS. The certificate is
self-signed: mail programs will not trust it; put one that an authority has
signed in its place before other machines come. Without TLS a password is
taken from this machine alone."""

_NETWORK = """\
It listens for every machine: SMTP on port 25, submission on 465 and 587, POP3
on 995 and 110. Before letters can come from elsewhere:

  ports        {ports}
  firewall     let TCP through to ports 25, 465, 587, 995 and 110
  DNS          an address record for {hostname}, and an MX record
               of {domain} that names it; both are written down by
               mailpost --config {file} settings --write FOLDER
  certificate  this one is self-signed, and mail programs warn of it: put one
               that an authority has signed in its place

When it runs, this looks whether all is well:
  mailpost --config {file} doctor"""

_AS_ROOT = """\
it belongs to root, and so would run as root; give it a user
               of its own: useradd --system mailpost
               chown -R mailpost: {folder}
               Started by root it binds its ports and becomes that user"""
_AS_USER = """\
those below 1024 are root's; started by root it binds them,
               then becomes the owner of {folder}:
               sudo {program}
               or let systemd start it, as etc/mailpost.service does"""


def made(file: Path, answers: Answers, password: str | None) -> str:
    """Tell what was made.

    :param password: the first account's, where it was made for it.
    """
    folder = answers.folder
    store, certificate = folder / "mailpost.db", folder / "certificate.pem"
    width = len(str(certificate))
    domains = ", ".join(answers.domains)
    lines = [
        f"A post office for {domains} is in {folder}:",
        "",
        f"  {file!s:{width}}  its configuration, with a comment on every key",
        f"  {store!s:{width}}  its store: accounts and letters",
        f"  {certificate}  its certificate, with key.pem",
        "",
        _for_the_network(file, answers) if answers.network else _LOOPBACK,
        "",
    ]
    if answers.user is None:
        lines += ["Next, somebody to write to, and the doors open:", ""]
        lines += [f"  mailpost --config {file} user add alice"]
    else:
        address = f"{answers.user}@{answers.domains[0]}"
        lines += [f"{address} has a maildrop; login name: {answers.user}"]
        if password is not None:
            lines += [f"password: {password}", "It is not kept, and so cannot be shown again."]
        lines += ["", "Next, the doors open, and what to type into a mail program:", ""]
    lines += [f"  mailpost --config {file} serve"]
    if answers.user is not None:
        lines += [f"  mailpost --config {file} settings {answers.user}"]
    return "\n".join(lines)


def obstacle(file: Path) -> str | None:
    """Tell why the office cannot be opened by this user just now, if it cannot."""
    states: dict[str, list[str]] = {}
    for listen in config.load(file).listen:
        if (place := ports.place(listen)) is not None:
            states.setdefault(ports.state(place), []).append(str(place.port))
    if ports.FORBIDDEN in states:
        which = ", ".join(states[ports.FORBIDDEN])
        return f"It cannot be started by this user: ports {which} are root's (see above)."
    if ports.TAKEN in states:
        which = ", ".join(states[ports.TAKEN])
        return (
            f"It cannot be started yet: another program has port {which}. End that one, or change the "
            f"endpoint in {file}."
        )
    return None


def _for_the_network(file: Path, answers: Answers) -> str:
    folder = answers.folder
    told = _AS_ROOT if os.geteuid() == 0 else _AS_USER
    program = shutil.which(sys.argv[0]) or "mailpost"
    return _NETWORK.format(
        ports=told.format(folder=folder, program=f"{program} --config {file} serve"),
        hostname=answers.hostname,
        domain=answers.domains[0],
        file=file,
    )
