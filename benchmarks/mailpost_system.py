"""mailpost as it ships, one worker unless told otherwise: durable, logging to a file, on loopback.

Nothing is tuned for the benchmark; only the ports and the certificate are set, and for a thousand users or
more how many are let in at a time. Loopback is exempt from the limits per address as it ships.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from benchmarks import load
from benchmarks.errors import BenchmarkError
from benchmarks.systems import DOMAIN, HOSTNAME, PASSWORD, System, child_environment

CONFIG = """\
[office]
hostname = "{hostname}"
domains  = ["{domain}"]
store    = "sqlite:mailpost.db"
workers  = {workers}

[[listen]]
protocol = "smtp"
endpoint = "tcp:{smtp_port}:interface=127.0.0.1"
tls      = "starttls"

[[listen]]
protocol = "submission"
endpoint = "tcp:{submission_port}:interface=127.0.0.1"
tls      = "starttls"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3_port}:interface=127.0.0.1"
tls      = "starttls"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3s_port}:interface=127.0.0.1"
tls      = "implicit"

[[listen]]
protocol = "lmtp"
endpoint = "unix:{lmtp_socket}"

[[certificate]]
chain = "{certificate}"
key   = "{key}"
"""

LET_IN = 1000  # connections at a time, as it ships
MORE = """
[limits]
connections = {connections}
"""

# Connections over which a maildrop is stocked: the writer gathers what waits into one commit.
STOCK_CONNECTIONS = 50


class Mailpost(System):
    """The project's own server."""

    name = "mailpost"
    workers = 1
    hashes_passwords = True

    def prepare(self) -> None:
        """Do what a user does: ``init``, ``user add``; then set the ports."""
        self.run("mailpost", "init", str(self.folder), "--domain", DOMAIN)
        Path(self.config).write_text(
            CONFIG.format(
                hostname=HOSTNAME,
                workers=self.workers,
                domain=DOMAIN,
                smtp_port=self.smtp_port,
                submission_port=self.submission_port,
                pop3_port=self.pop3_port,
                pop3s_port=self.pop3s_port,
                certificate=self.certificate,
                key=self.key,
                lmtp_socket=self.lmtp_socket,
            )
            + (MORE.format(connections=2 * self.users) if self.users >= LET_IN else "")
        )
        cores = os.cpu_count() or 1
        bounds = [self.users * part // cores for part in range(cores + 1)]
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(self._add_users, bounds, bounds[1:]))

    @property
    def config(self) -> str:
        """Where its configuration is."""
        return str(self.folder / "mailpost.toml")

    def run(self, module: str, *arguments: str, stdin: str = "") -> None:
        """Run a module of ours to its end, with these arguments."""
        result = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=child_environment(),
            check=False,
        )
        if result.returncode:
            said = (result.stderr or result.stdout).strip()
            raise BenchmarkError(f"{module} {' '.join(arguments)}: {said}")

    def _add_users(self, first: int, end: int) -> None:
        users = ("benchmarks.mailpost_users", self.config, str(first), str(end))
        self.run(*users, stdin=f"{PASSWORD}\n")

    def commands(self) -> list[list[str]]:
        """One process, or a supervisor with its workers."""
        return [[sys.executable, "-m", "mailpost", "--config", self.config, "serve"]]

    def settle(self) -> None:
        """Nothing to wait for: a 250 of mailpost means on disk and collectable."""

    def stock(self, user: int, letters: int, octets: int) -> None:
        """Deliver over SMTP, as anybody would."""
        load.send(self, load.Mailing(user, letters, octets, min(letters, STOCK_CONNECTIONS)))

    def version(self) -> str:
        """Name mailpost and what it stands on."""
        from mailpost import __version__  # noqa: PLC0415 - only where mailpost itself is measured

        return f"mailpost {__version__}, Twisted {version('twisted')}, apsw {version('apsw')}"
