"""The ports: whether they are the office's, free for it, or taken, and by whom."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mailpost import endpoint
from mailpost.cli import ports
from mailpost.cli.checks.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.cli.checks.findings import Finding, Patient
    from mailpost.cli.ports import Place
    from mailpost.config import Listen

PORTS = "ports"
PATIENCE = 3.0  # seconds
_PROC = Path("/proc")
_LISTENING = "0A"  # proc_net(5): the state LISTEN


def listening(patient: Patient) -> Iterator[Finding]:
    """Each listener by itself; those that are as they should be in one line."""
    well = []
    for listen in patient.config.listen:
        found = _look(patient, listen)
        if found is None:
            well.append(listen.endpoint if ports.place(listen) is None else _shown(listen))
        else:
            yield found
    if well:
        words = "open" if patient.running else "free"
        yield ok(PORTS, f"{words}: {', '.join(well)}")


def _shown(listen: Listen) -> str:
    where = ports.place(listen)
    assert where is not None
    return f"{listen.protocol} {where.shown}"


def _look(patient: Patient, listen: Listen) -> Finding | None:
    """What is wrong with one listener."""
    where = ports.place(listen)
    if where is None:
        return _other(patient, listen)
    if patient.running:
        if _answers(where):
            return None
        return problem(
            PORTS,
            f"{where.shown} ({listen.protocol}) takes no connection, though the office runs",
            "start it again; a listener that was changed in the configuration is opened at a start alone",
        )
    state = ports.state(where)
    if state == ports.FREE:
        return None
    if state == ports.TAKEN:
        whose = owner(where)
        return problem(
            PORTS,
            f"{where.shown} ({listen.protocol}) is taken by {whose or 'another program'}",
            f"end that program, or change the endpoint in {patient.file}",
        )
    if state == ports.FORBIDDEN:
        return warning(
            PORTS,
            f"{where.shown} ({listen.protocol}) may not be opened by this user",
            "ports below 1024 are root's: start the office as root, who then becomes the store's owner, or by"
            " systemd with CAP_NET_BIND_SERVICE (etc/mailpost.service)",
        )
    return problem(
        PORTS,
        f"{where.shown} ({listen.protocol}) is no address of this machine",
        f"change the interface in {patient.file}; ip address lists those there are",
    )


def _other(patient: Patient, listen: Listen) -> Finding | None:
    """A UNIX socket, or a port that systemd has."""
    parts = endpoint.parse(listen.endpoint)
    if parts["type"] != "unix":
        return None
    folder = Path(parts["address"]).parent
    if not folder.is_dir():
        return problem(
            PORTS, f"{listen.endpoint}: there is no folder {folder}", f"make it: mkdir -p {folder}"
        )
    if not patient.running and not os.access(folder, os.W_OK | os.X_OK):
        return warning(
            PORTS,
            f"{listen.endpoint}: the folder {folder} cannot be written by this user",
            "give the store's owner the right to write there",
        )
    return None


def _answers(where: Place) -> bool:
    with suppress(OSError), socket.create_connection((where.reached, where.port), PATIENCE):
        return True
    return False


def owner(where: Place) -> str | None:
    """Which program listens at a port, with its process; None where that may not be known."""
    inodes = set(_inodes(where.port))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in wanted:  # noqa: PTH115 - it leads to no file
                    name = (process / "comm").read_text().strip()
                    return f"{name} (process {process.name})"
    return None


def _inodes(port: int) -> Iterator[str]:
    """The sockets that listen at a port (proc_net(5))."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]
