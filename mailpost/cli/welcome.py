"""What ``mailpost serve`` says when the office is open: where it is, whom it knows, what to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address

from mailpost import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mailpost.config import Config, Listen
    from mailpost.service import Door

_SHOWN = 5
_SEND = (
    "import smtplib; smtplib.SMTP('{host}', {port}).sendmail("
    "'me@{domain}', '{name}@{domain}', 'Subject: hello\\n\\nIt works.')"
)


def welcome(path: Path, config: Config, doors: Sequence[Door], names: Sequence[str]) -> str:
    """Write the welcome.

    :param path: the configuration's file.
    :param names: the accounts that can log in.
    """
    domain = config.office.domains[0]
    name = names[0] if names else "alice"
    lines = [f"mailpost {__version__} serves {', '.join(config.office.domains)}", ""]
    lines += [f"  {_name(one.listen)}  {one.where}" for one in doors]
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines += ["", f"Log in as {', '.join(names[:_SHOWN])}{more}, with or without @{domain}."]
    else:
        lines += ["", "Nobody has an account yet. In another terminal:"]
        lines += [f"  mailpost --config {path} user add {name}"]
    plain = [one for one in doors if one.listen.tls != "implicit" and not one.listen.proxy]
    places = {one.listen.protocol: place for one in reversed(plain) if (place := _reach(one))}
    if "smtp" in places:
        host, port = places["smtp"]
        line = _SEND.format(host=host, port=port, name=name, domain=domain)
        lines += ["Send a letter:", f'  python3 -c "{line}"']
    if "pop3" in places:
        host, port = places["pop3"]
        shown = f"[{host}]" if ":" in host else host
        lines += ["Collect it:", f"  curl --user {name} pop3://{shown}:{port}/1"]
    return "\n".join([*lines, "", "Ctrl-C closes the office."])


def _name(listen: Listen) -> str:
    """Name what is spoken at a door."""
    tls = {"none": "", "starttls": ", TLS on request", "implicit": ", TLS"}
    return f"{listen.protocol.upper()}{tls[listen.tls]}"


def _reach(door: Door) -> tuple[str, int] | None:
    """Tell from where on this machine a door is reached; None for other doors than TCP's."""
    bound: Any = door.port.getHost() if door.port is not None else None
    if not isinstance(bound, IPv4Address | IPv6Address):
        return None
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, not bound
    return anywhere.get(bound.host, bound.host), bound.port
