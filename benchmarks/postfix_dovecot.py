"""Postfix and Dovecot, tuned well, in a temporary folder: the system mailpost is measured beside.

A letter comes in by Postfix's smtpd, is queued (written and synced), goes by LMTP over a UNIX
socket to Dovecot, which writes and syncs it into a Maildir; Dovecot's POP3 hands it out. Both
listen on 127.0.0.1 only. A letter counts when it is in the Maildir and the queue is empty.

How Postfix is tuned:

* ``in_flow_delay = 0``: reception is not slowed down in favour of delivery.
* ``default_process_limit`` is above the greatest number of connections, and ``max_use`` so high
  that no process is replaced while it is measured.
* LMTP: up to twenty deliveries at once from the first letter on, over connections that are kept.
* No DNS, chroot, content filter, address mapping or anvil
  counters. Recipients are looked up in memory (``texthash``), since both systems refuse unknown
  ones at RCPT.
* STARTTLS: nothing of it is logged, nor told in Received lines. Its tlsmgr gives tickets, which resume
  as mailpost's do.
* Submission asks Dovecot about passwords, over a UNIX socket; Dovecot remembers them, as mailpost
  does. Who has logged in may send from addresses of its own alone, as with mailpost: a table in
  memory. The letters of the load have a Date and a Message-ID, so neither has one to add.
* Its log goes to a file through its own postlogd: logging is part of what is measured.

How Dovecot is tuned:

* ``mail_fsync = always``: a delivered letter is on disk (``optimized`` was no faster).
* A delivery keeps no index (``INDEX=MEMORY`` for LMTP): sessions index what has come when they look.
* Passwords stand in plain text in a passwd-file behind the authentication cache: no login is
  bound by a hash. mailpost remembers a verified password, which comes to the same.
* ``pop3-login`` in high-performance mode: ``service_count = 0``, and one process, for each has ticket
  keys of its own: a client that comes to another one shakes hands in full. ``resumed`` in the JSON counts
  what was resumed.
* ``pop3`` and ``lmtp`` processes serve many sessions at the same time and one after the other, and some
  are ready from the start. As it ships each has one session, which took three times as long and takes
  three times the memory.
* ``mail_save_crlf``: letters lie as they go out, RETR does not convert (a sixth faster).
* ``pop3_no_flag_updates``: RETR renames no files. ``maildir_very_dirty_syncs``: a folder that only
  Dovecot writes to is not listed again without need.

What each setting is worth, and what was tried and left out, is told in ``docs/performance.rst``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time

from benchmarks.errors import BenchmarkError
from benchmarks.postfix_dovecot_files import DOVECOT_CONF, MAIN_CF, MASTER_CF
from benchmarks.systems import PASSWORD, System, address, require, user_name

MAIL_USER = "mail"
SETTLE_SECONDS = 300
QUEUES = ("maildrop", "incoming", "active", "deferred")


def why_not() -> str | None:
    """Return why this system cannot be run here, or None."""
    missing = require("postfix", "postconf", "dovecot")
    if missing is not None:
        return f"{missing} is not installed (Debian: postfix dovecot-pop3d dovecot-lmtpd)"
    if os.geteuid() != 0:
        return "Postfix's master must be started by root"
    return None


def _postconf(name: str) -> str:
    result = subprocess.run(["postconf", "-dh", name], capture_output=True, text=True, check=True)
    return result.stdout.strip()


class PostfixDovecot(System):
    """Postfix in front, Dovecot behind, LMTP between them."""

    name = "Postfix + Dovecot"

    def prepare(self) -> None:
        """Write both configurations, and the users into each."""
        # Both drop privileges and must still reach their files.
        for folder in (self.folder, *self.folder.parents[:1]):
            folder.chmod(0o755)
        postfix, mail = pwd.getpwnam("postfix"), pwd.getpwnam(MAIL_USER)
        for name, owner in (("etc", 0), ("queue", 0), ("data", postfix.pw_uid), ("mail", 0)):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, owner, -1)
        os.chown(self.folder / "mail", mail.pw_uid, mail.pw_gid)

        names = {
            "folder": self.folder,
            "smtp_port": self.smtp_port,
            "submission_port": self.submission_port,
            "pop3_port": self.pop3_port,
            "pop3s_port": self.pop3s_port,
            "certificate": self.certificate,
            "key": self.key,
            "daemons": _postconf("daemon_directory"),
            "mail_user": MAIL_USER,
            "limit": self.users + 500,  # sessions, above what any row opens
        }
        users = range(self.users)
        for path, text in (
            ("etc/main.cf", MAIN_CF.format(**names)),
            ("etc/master.cf", MASTER_CF.format(**names)),
            ("etc/recipients", "".join(f"{address(user)} -\n" for user in users)),
            ("etc/senders", "".join(f"{address(u)} {user_name(u)}\n" for u in users)),
            ("dovecot.conf", DOVECOT_CONF.format(**names)),
            ("passwd", "".join(f"{user_name(user)}:{{PLAIN}}{PASSWORD}\n" for user in users)),
        ):
            (self.folder / path).write_text(text)
        # It makes the folders of the queue.
        subprocess.run(["postfix", "-c", self.folder / "etc", "check"], check=True)

    def commands(self) -> list[list[str]]:
        """Both masters, in the foreground."""
        dovecot = shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin") or "dovecot"
        return [
            [f"{_postconf('daemon_directory')}/master", "-c", f"{self.folder}/etc", "-d"],
            [dovecot, "-F", "-c", f"{self.folder}/dovecot.conf"],
        ]

    def settle(self) -> None:
        """Wait until Postfix's queue is empty: Dovecot has then answered 250 to everything."""
        limit = time.monotonic() + SETTLE_SECONDS
        while self._queued():
            if time.monotonic() > limit:
                raise BenchmarkError("Postfix's queue did not run empty")
            time.sleep(0.005)

    def _queued(self) -> bool:
        return any(
            files for queue in QUEUES for _, _, files in os.walk(self.folder / "queue" / queue)
        )

    def stock(self, user: int, letters: int, octets: int) -> None:
        """Write Maildir files; Dovecot indexes them when the maildrop is opened first."""
        line = b"X" * 76 + b"\r\n"
        body = b"Subject: stock\r\n\r\n" + line * (octets // len(line))
        size = len(body)
        mail = pwd.getpwnam(MAIL_USER)
        maildir = self.folder / "mail" / user_name(user)
        for folder in (maildir, *(maildir / name for name in ("cur", "new", "tmp"))):
            folder.mkdir()
            os.chown(folder, mail.pw_uid, mail.pw_gid)
        for number in range(letters):
            path = maildir / "new" / f"1700000000.M{number}P1.stock,S={size},W={size}"
            path.write_bytes(body)
            os.chown(path, mail.pw_uid, mail.pw_gid)

    def version(self) -> str:
        """Ask both programs."""
        command = ["dovecot", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return f"Postfix {_postconf('mail_version')}, Dovecot {said.split()[0]}"
