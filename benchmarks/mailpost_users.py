"""Add many users to a post office by the ``user add`` that everybody uses, in one process.

``python -m benchmarks.mailpost_users CONFIG FIRST END``, the password on standard input: hundreds of
users would take hundreds of starts of the interpreter otherwise.
"""

from __future__ import annotations

import contextlib
import io
import sys

from benchmarks.systems import user_name


def add_users(config: str, users: range, password: str) -> None:
    """Call ``mailpost --config CONFIG user add NAME --password-stdin`` for each of the users."""
    from mailpost.cli import main  # noqa: PLC0415 - only where mailpost itself is measured

    with contextlib.redirect_stdout(io.StringIO()):
        for user in users:
            sys.stdin = io.TextIOWrapper(io.BytesIO(f"{password}\n".encode()))
            command = ["--config", config, "user", "add", user_name(user), "--password-stdin"]
            main(command, standalone_mode=False)


if __name__ == "__main__":
    add_users(sys.argv[1], range(int(sys.argv[2]), int(sys.argv[3])), sys.stdin.readline().strip())
