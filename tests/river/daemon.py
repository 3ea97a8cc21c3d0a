"""A mail server of Debian's that a test starts, waits for, and ends by its own pid."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

from .office import PATIENCE, attempts, suppress_connection_errors

if TYPE_CHECKING:
    from pathlib import Path


class Daemon:
    """One server, in the foreground.

    :ivar folder: all of its files; its log is the file ``log`` there.
    :ivar port: where it greets.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts the master."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the master in the foreground, and wait for its greeting."""
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in attempts():
            assert self.process.poll() is None, self.log
            with (
                suppress_connection_errors(),
                socket.create_connection(("127.0.0.1", self.port), 5) as line,
            ):
                if line.recv(512):
                    return

    def stop(self) -> None:
        """End the master, which ends the others."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    @property
    def log(self) -> str:
        """All that it has logged so far."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""
