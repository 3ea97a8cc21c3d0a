"""A Postfix of the tests' own: its configuration, queue and log are in a folder of theirs.

Its master must be started by root; it listens on a free port of loopback and is ended by its own pid.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from typing import TYPE_CHECKING

from .daemon import Daemon
from .office import PATIENCE, attempts, free_ports

if TYPE_CHECKING:
    from pathlib import Path

_MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = front.example.org
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.org
virtual_transport = {transport}
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtputf8_enable = no
append_dot_mydomain = no
local_header_rewrite_clients =
message_size_limit = 50000000
virtual_mailbox_limit = 0
mailbox_size_limit = 0
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
transport_retry_time = 1s
{more}
"""

_MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Daemon):
    """One Postfix, in front of an office.

    :param folder: does not exist; it is reached by the user ``postfix``.
    :param transport: the value of ``virtual_transport``.
    :param more: further lines of ``main.cf``.
    :param services: further lines of ``master.cf``.
    """

    def __init__(self, folder: Path, transport: str, more: str = "", services: str = "") -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        owner = pwd.getpwnam("postfix").pw_uid
        for name, user in (("etc", 0), ("queue", 0), ("data", owner)):
            (folder / name).mkdir(parents=True)
            os.chown(folder / name, user, -1)
        folder.chmod(0o755)
        asked = subprocess.run(
            ["postconf", "-dh", "daemon_directory"], capture_output=True, text=True, check=True
        )
        self._daemons = asked.stdout.strip()
        names = {"folder": folder, "daemons": self._daemons, "transport": transport, "more": more}
        (folder / "etc/main.cf").write_text(_MAIN_CF.format(**names))
        (folder / "etc/master.cf").write_text(_MASTER_CF.format(port=self.port) + services)
        # It makes the folders of the queue.
        postfix = shutil.which("postfix") or "postfix"
        subprocess.run([postfix, "-c", folder / "etc", "check"], timeout=PATIENCE, check=True)

    def command(self) -> list[str]:
        """What starts the master."""
        return [f"{self._daemons}/master", "-c", f"{self.folder}/etc", "-d"]

    def await_log(self, *words: str) -> str:
        """Wait for a line of the log that has all these words in it; the line."""
        for _ in attempts():
            for line in self.log.splitlines():
                if all(word in line for word in words):
                    return line
        raise AssertionError
