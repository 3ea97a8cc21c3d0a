"""A Dovecot of the tests' own: its configuration, its mail and its log are in a folder of theirs.

Its master must be started by root; it listens on a free port of loopback and is ended by its own pid.
"""

from __future__ import annotations

import os
import pwd
import shutil
from typing import TYPE_CHECKING

from .daemon import Daemon
from .office import PASSWORD, free_ports

if TYPE_CHECKING:
    from pathlib import Path

MAIL_USER = "mail"

_CONF = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = {ssl}
disable_plaintext_auth = no
auth_mechanisms = plain
passdb {{
  driver = passwd-file
  args = {folder}/passwd
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={folder}/mail/%n
}}
mail_location = maildir:{folder}/mail/%n
first_valid_uid = 1
first_valid_gid = 1
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = {tls_port}
    ssl = yes
  }}
}}
{more}
"""


class Dovecot(Daemon):
    """One Dovecot, to move away from. Whoever has been given letters has an account.

    :param folder: does not exist, and is reached by the user ``mail``.
    :param more: further lines of its configuration.
    :param certificate: for TLS: a file with the certificate, and one with its key.
    """

    def __init__(
        self, folder: Path, more: str = "", certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.folder = folder
        self.port, self.tls_port = free_ports(2)
        (folder / "mail").mkdir(parents=True)
        folder.chmod(0o755)
        self._owner = pwd.getpwnam(MAIL_USER)
        os.chown(folder / "mail", self._owner.pw_uid, self._owner.pw_gid)
        if certificate is not None:
            chain, key = certificate
            more += f"\nssl_cert = <{chain}\nssl_key = <{key}\n"
        (folder / "dovecot.conf").write_text(
            _CONF.format(
                folder=folder,
                user=MAIL_USER,
                port=self.port,
                tls_port=self.tls_port,
                ssl="no" if certificate is None else "yes",
                more=more,
            )
        )

    def maildir(self, user: str) -> Path:
        """Whose Maildir is where."""
        return self.folder / "mail" / user

    def stock(self, user: str, letters: list[bytes], first: int = 1) -> None:
        """Put letters into somebody's Maildir, as a delivery agent does: with the line ends of UNIX."""
        with (self.folder / "passwd").open("a") as passwd:
            passwd.write(f"{user}:{{PLAIN}}{PASSWORD}\n")
        maildir = self.maildir(user)
        for place in (maildir, *(maildir / part for part in ("cur", "new", "tmp"))):
            place.mkdir(exist_ok=True)
            os.chown(place, self._owner.pw_uid, self._owner.pw_gid)
        for number, letter in enumerate(letters, first):
            file = maildir / "new" / f"{1_700_000_000 + number}.M{number}P1.old"
            file.write_bytes(letter.replace(b"\r\n", b"\n"))
            os.chown(file, self._owner.pw_uid, self._owner.pw_gid)

    def command(self) -> list[str]:
        """What starts the master."""
        program = shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "dovecot"
        return [program, "-F", "-c", f"{self.folder}/dovecot.conf"]
