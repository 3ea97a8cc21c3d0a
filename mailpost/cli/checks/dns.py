"""DNS, asked with little patience: a doctor that hangs is of no use.

Addresses are asked of the system, in a thread that is given up when it takes too long. MX records the system
does not tell, so the first name server of resolv.conf(5) is asked, by one datagram (RFC 1035 §4).
"""

from __future__ import annotations

import secrets
import socket
import threading
from pathlib import Path
from typing import Any

PATIENCE = 3.0  # seconds
RESOLVERS = Path("/etc/resolv.conf")
_PORT = 53
_LARGEST = 65_535


def addresses(host: str) -> list[str]:
    """The addresses of a host; none where it has none, or where that takes too long."""
    found: list[str] = []

    def look() -> None:
        try:
            for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
                found.append(str(address[0]))
        except (OSError, UnicodeError):
            return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return list(dict.fromkeys(found))


def mail_exchangers(domain: str) -> list[str] | None:
    """The hosts that take a domain's mail, in lower case, the preferred one first; None: nobody answers."""
    from twisted.names import dns  # noqa: PLC0415 - few need it

    server = _name_server()
    if server is None:
        return None
    message = dns.Message(id=secrets.randbits(16), recDes=1)
    message.addQuery(domain, dns.MX)
    answer = dns.Message()
    try:
        answer.fromStr(_asked(server, message.toStr()))
    except (OSError, EOFError, ValueError):
        return None
    if answer.id != message.id or answer.rCode not in {dns.OK, dns.ENAME}:
        return None
    records: list[Any] = [one.payload for one in answer.answers if one.type == dns.MX]
    records.sort(key=lambda record: int(record.preference))
    return [str(record.name).lower().rstrip(".") for record in records]


def _asked(server: str, question: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        line.settimeout(PATIENCE)
        line.connect((server, _PORT))
        line.send(question)
        return line.recv(_LARGEST)


def _name_server() -> str | None:
    try:
        lines = RESOLVERS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    words = [line.split() for line in lines]
    return next((word[1] for word in words if len(word) > 1 and word[0] == "nameserver"), None)
