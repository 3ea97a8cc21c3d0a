"""Servers in a thread that the load programs are tried on."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.systems import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

compiles = pytest.mark.skipif(
    require("cc") is not None or not Path("/usr/include/openssl/ssl.h").exists(),
    reason="needs cc and OpenSSL's headers (Debian: gcc libc6-dev libssl-dev)",
)


@contextmanager
def serving(session: Callable[[socket.socket], None]) -> Iterator[int]:
    """One session after the other, on a port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                session(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def told_by(program: Path, port: int, *words: str) -> list[dict[str, float]]:
    """Run a load program to its end; each line that it tells, after that it is ready."""
    ran = subprocess.run(
        [program, "-p", str(port), *words],
        input="\n\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.stderr == ""
    ready, *told = ran.stdout.splitlines()
    assert ready == "ready"
    return [json.loads(line) for line in told]
