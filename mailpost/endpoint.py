r"""The form of an endpoint string, ``tcp:2525:interface=127.0.0.1`` and the like.

When the office opens, a listening port is made of such a string (:mod:`mailpost.doors`); here it is only
looked at, without a reactor, so that a mistake in the configuration is told before anything is bound. The
form is Twisted's, but that UNIX sockets have no ``lockfile`` (:mod:`mailpost.listening` says why). Its parts
stand between colons, in their order or as ``name=value``; a backslash takes the next character's meaning
away, so that an IPv6 address is written ``\:\:1``.
"""

from __future__ import annotations

import ipaddress
import re

__all__ = ["parse", "place"]

# The parts of each type, in the order in which they may stand without a name.
_PARTS = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog"),
    "systemd": ("domain", "index", "name"),
}
_CHANGEABLE = ("mode", "backlog")
_DOMAINS = ("INET", "INET6", "UNIX")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NAME = re.compile(r"((?:[^\\=]|\\.)*)=", re.DOTALL)
_PART = re.compile(r"((?:[^\\:]|\\.)*)(:|\Z)", re.DOTALL)
_WHOLE = re.compile(r"(?:[^\\]|\\.)*", re.DOTALL)


def parse(description: str) -> dict[str, str]:
    """Take an endpoint string apart.

    :returns: its parts by their names; which type of endpoint it is as ``type``.
    :raises ValueError: it is none that the office can listen on; the text says why.
    """
    kind, *rest = _split(description)
    if kind in {"ssl", "tls"}:
        raise ValueError('expected tcp:PORT, with tls = "implicit" beside it')
    if kind not in _PARTS:
        raise ValueError(
            f'expected one of {", ".join(_PARTS)} before the first colon; got "{kind}"'
        )
    known = list(_PARTS[kind])
    parts = {"type": kind}
    for part in rest:
        match = _NAME.match(part)
        name = match[1] if match else next((name for name in known if name not in parts), "")
        if name not in known or name in parts:
            raise ValueError(f'"{part}" has no place in it{_hint(description)}')
        parts[name] = _ESCAPED.sub(r"\1", part[match.end() :] if match else part)
    _check(parts, needed=known[0])
    return parts


def place(description: str) -> frozenset[tuple[str, str]]:
    """Where an endpoint string listens, without what can be changed while it does.

    :returns: equal for two strings that cannot both be listened on.
    :raises ValueError: as of :func:`parse`.
    """
    return frozenset(
        (name, value) for name, value in parse(description).items() if name not in _CHANGEABLE
    )


def _split(description: str) -> list[str]:
    """Part at each colon that is not escaped."""
    if not _WHOLE.fullmatch(description):
        raise ValueError("it ends in a lone backslash")
    parts = []
    for part, colon in _PART.findall(description):
        parts.append(part)
        if not colon:
            break
    return parts


def _check(parts: dict[str, str], *, needed: str) -> None:
    if not parts.get(needed):
        raise ValueError(f"{parts['type']}: needs its {needed}")
    port = parts.get("port", "0")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:  # noqa: PLR2004 - 16 bits
        raise ValueError(f'expected a port from 0 to 65535; got "{port}"')
    if not re.fullmatch("[0-7]{1,4}", mode := parts.get("mode", "600")):
        raise ValueError(f'expected a mode in octal, such as 660; got "{mode}"')
    for name in ("backlog", "index"):
        if not re.fullmatch("[0-9]{1,9}", number := parts.get(name, "0")):
            raise ValueError(f'expected a number as {name}; got "{number}"')
    if "\0" in parts.get("address", ""):
        raise ValueError("a path has no NUL in it")
    if parts["type"] == "systemd":
        _check_systemd(parts)
    if interface := parts.get("interface"):
        _check_interface(parts["type"], interface)


def _check_interface(kind: str, interface: str) -> None:
    try:
        address = ipaddress.ip_address(interface)
    except ValueError:
        raise ValueError(f'expected an IP address as interface; got "{interface}"') from None
    if address.version != (6 if kind == "tcp6" else 4):
        wanted = f"tcp{'6' if address.version == 6 else ''}"  # noqa: PLR2004 - IPv6
        raise ValueError(f"an address of IPv{address.version} belongs into {wanted}:")


def _check_systemd(parts: dict[str, str]) -> None:
    if (domain := parts["domain"]) not in _DOMAINS:
        raise ValueError(f'expected one of {", ".join(_DOMAINS)} as domain; got "{domain}"')
    if ("index" in parts) == ("name" in parts):
        raise ValueError("systemd: needs its index or its name, one of the two")


def _hint(description: str) -> str:
    if "interface=" in description:
        return r"; in an IPv6 address write each colon as \: and the whole in single quotes"
    return ""
