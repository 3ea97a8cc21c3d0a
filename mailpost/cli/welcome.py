"""What ``mailpost serve`` says when the office is open: where it is, whom it knows, what to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address

from mailpost import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mailpost.config import Config, Listen
    from mailpost.doors import Door

_SHOWN = 5
_SEND = (
    "import smtplib; smtplib.SMTP('{host}', {port}).sendmail("
    "'me@{domain}', '{name}@{domain}', 'Subject: hello\\n\\nIt works.')"
)
_SUBMIT = (
    "import getpass, smtplib; s = smtplib.SMTP{ssl}('{host}', {port}); {begin}"
    "s.login('{name}', getpass.getpass()); s.sendmail("
    "'{name}@{domain}', '{name}@{domain}', 'Subject: hello\\n\\nIt works.')"
)


def welcome(path: Path, config: Config, doors: Sequence[Door], names: Sequence[str]) -> str:
    """Write the welcome.

    :param path: the configuration's file.
    :param names: the accounts that can log in.
    """
    domain = config.office.domains[0]
    name = names[0] if names else "alice"
    lines = [f"mailpost {__version__} serves {', '.join(config.office.domains)}", ""]
    wide = max((len(_name(one.listen)) for one in doors), default=0)
    lines += [f"  {_name(one.listen):{wide}}  {one.where}" for one in doors]
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines += ["", f"Log in as {', '.join(names[:_SHOWN])}{more}, with or without @{domain}."]
    else:
        lines += ["", "Nobody has an account yet. In another terminal:"]
        lines += [f"  mailpost --config {path} user add {name}"]
    places = {
        one.listen.protocol: (one.listen.tls, *place)
        for one in reversed(doors)
        if not one.listen.proxy and (place := _reach(one))
        if (one.listen.protocol, one.listen.tls) != ("smtp", "implicit")
    }
    if "smtp" in places:
        _, host, port = places["smtp"]
        line = _SEND.format(host=host, port=port, name=name, domain=domain)
        lines += ["Send a letter:", f'  python3 -c "{line}"']
    if "submission" in places:
        line = _submit(*places["submission"], name, domain)
        lines += [f"Send one as {name}:", f'  python3 -c "{line}"']
    if "pop3" in places:
        lines += ["Collect it:", f"  {_collect(*places['pop3'], name)}"]
    return "\n".join([*lines, "", "Ctrl-C closes the office."])


def _submit(tls: str, host: str, port: int, name: str, domain: str) -> str:
    """A program that logs in and sends; smtplib does not mind a certificate that is self-signed."""
    return _SUBMIT.format(
        ssl="_SSL" if tls == "implicit" else "",
        begin="s.starttls(); " if tls == "starttls" else "",
        host=host,
        port=port,
        name=name,
        domain=domain,
    )


def _collect(tls: str, host: str, port: int, name: str) -> str:
    """A command that collects; --insecure, for the certificate may be self-signed."""
    shown = f"[{host}]" if ":" in host else host
    scheme = "pop3s" if tls == "implicit" else "pop3"
    options = {"none": "", "starttls": "--insecure --ssl-reqd ", "implicit": "--insecure "}[tls]
    return f"curl {options}--user {name} {scheme}://{shown}:{port}/1"


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
