"""Servers in a thread that the load programs are tried on."""

from __future__ import annotations

import socket
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
