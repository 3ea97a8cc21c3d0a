"""The first run, on a terminal: from ``mailpost init`` and a few Enters to an office that runs."""

from __future__ import annotations

import os
import poplib
import pty
import re
import smtplib
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

from mailpost.control_client import ask, beside

from .office import PATIENCE, attempts, free_ports

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """\
from mailpost.cli import main, template
template.LOOPBACK = tuple(
    (one, f"tcp:{{port}}:interface=127.0.0.1", tls)
    for (one, _, tls), port in zip(template.LOOPBACK, {ports})
)
main(prog_name="mailpost")
"""
_PROMPTS = (
    "Folder [",
    "Domain [",
    "Host name [",
    "Choose [",
    "Name [",
    "Password",
    "Start it now?",
)


class Terminal:
    """Somebody at a terminal: reads what is shown, and types.

    :ivar shown: all that was shown so far.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "init"],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def read_to(self, text: str) -> None:
        """Read until something is shown."""
        begin = len(self.shown)
        while text not in self.shown[begin:]:
            self.shown += os.read(self._ours, 4096).decode()

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self._ours, text.encode())

    def close(self) -> None:
        """Go away."""
        os.close(self._ours)


def test_from_nothing_to_a_running_office(tmp_path: Path) -> None:
    """Enter at every question: the office runs, takes a letter, and its first user collects it."""
    smtp, submission, pop3 = ports = free_ports(3)
    terminal = Terminal(_PROGRAM.format(ports=ports), tmp_path)
    for prompt in _PROMPTS:
        terminal.read_to(prompt)
        terminal.type("\n")
    terminal.read_to("Ctrl-C closes the office.")
    (name, domain), (password,) = (
        re.findall(r"(\S+)@(\S+) has a maildrop", terminal.shown)[0],
        re.findall(r"^password: (\S+)\r$", terminal.shown, re.MULTILINE),
    )
    address = f"{name}@{domain}"
    context = ssl.create_default_context(cafile=str(tmp_path / "office" / "certificate.pem"))
    context.check_hostname = False
    with smtplib.SMTP("127.0.0.1", submission, timeout=PATIENCE) as sender:
        sender.starttls(context=context)
        sender.login(name, password)
        sender.sendmail(address, [address], "Subject: hello\r\n\r\nIt works.\r\n")
    session = poplib.POP3("127.0.0.1", pop3, timeout=PATIENCE)
    session.stls(context=context)
    session.user(address)
    session.pass_(password)
    assert session.retr(1)[1][-1] == b"It works."
    session.quit()
    told = ask(beside(tmp_path / "office" / "mailpost.db"), "status")
    where = {one["protocol"]: one["where"] for one in told["listeners"]}
    assert where["smtp"] == f"127.0.0.1:{smtp}"
    terminal.process.send_signal(2)  # Ctrl-C
    for _ in attempts():
        if terminal.process.poll() is not None:
            break
    assert terminal.process.returncode == 0
    terminal.close()
    assert "Traceback" not in terminal.shown
