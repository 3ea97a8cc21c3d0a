"""Does what systemd does for a service with sockets: binds them, and becomes the service (sd_listen_fds(3)).

Usage: ``python activate.py NAME=WHERE... -- COMMAND...``, where WHERE is ``127.0.0.1:25``, ``[::]:25``, or
the path of a UNIX socket, whose mode becomes 640.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys

_FIRST = 3


def _bound(where: str) -> socket.socket:
    if where.startswith("/"):
        found = socket.socket(socket.AF_UNIX)
        os.umask(0o137)
        found.bind(where)
        found.listen()
        return found
    host, _, port = where.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(
        (host.strip("[]"), int(port)), family=family, dualstack_ipv6=family == socket.AF_INET6
    )


def main() -> None:
    """Bind, and become the command."""
    end = sys.argv.index("--")
    names, places = zip(*(one.split("=", 1) for one in sys.argv[1:end]), strict=True)
    found = [_bound(where) for where in places]
    # First above all of theirs: one may stand where another has to go.
    above = [fcntl.fcntl(one, fcntl.F_DUPFD, _FIRST + len(found)) for one in found]
    for number, descriptor in enumerate(above):
        os.dup2(descriptor, _FIRST + number)
        os.close(descriptor)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(found))
    os.environ["LISTEN_FDNAMES"] = ":".join(names)
    os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])


if __name__ == "__main__":
    main()
