"""What single values of the configuration may be, beyond their type."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, PlainValidator
from pydantic_core import PydanticCustomError

from mailpost.endpoint import parse
from mailpost.retention import Retention

if TYPE_CHECKING:
    from pydantic import ValidationInfo

_T = TypeVar("_T")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_SIZE = re.compile(r"(\d{1,15}) *(?:([KMGT])(?:iB)?)?", re.ASCII)
_UNIT = {None: 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def domain_name(text: str) -> str:
    """Bring a domain to the form the office compares: lower case, in ASCII (RFC 5890 §2.3.2.1).

    :raises ValueError: it is no domain name.
    """
    name = text.lower()
    if not text.isascii():
        import idna  # noqa: PLC0415 - its tables are large, and few offices need them

        name = idna.encode(text, uts46=True).decode("ascii")  # an IDNAError is a ValueError
    if len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):  # noqa: PLR2004 - RFC 1035
        raise ValueError(text)
    return name


def tell(text: str) -> NoReturn:
    """Refuse a value with a sentence of its own, where the description does not say enough."""
    raise PydanticCustomError("told", "{text}", {"text": text})


def octets(value: object) -> object:
    """Read ``"64 KiB"``, ``"2G"`` and the like; anything else stays as it is."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _UNIT[match[2]] if match else value


def some(values: tuple[_T, ...]) -> tuple[_T, ...]:
    """Refuse an empty list."""
    if not values:
        raise ValueError(values)
    return values


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that has something twice."""
    for value in values:
        if values.count(value) > 1:
            tell(f'"{value}" is there twice')
    return values


def database(value: str, info: ValidationInfo) -> str:
    """Put the store's file beside the configuration, where it has no whole path."""
    if value.startswith(("postgresql:", "postgres:")):
        tell("PostgreSQL is not in this version yet; expected sqlite: and a file")
    scheme, _, file = value.partition(":")
    if scheme != "sqlite" or not file.strip("/.") or "\0" in file:
        raise ValueError(value)
    return f"sqlite:{(info.context or Path()) / file}"


def workers(value: object) -> object:
    """As many as there are cores, where that is asked for."""
    if value != "auto":
        return value
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def endpoint(value: str) -> str:
    """Refuse what is no endpoint to listen on."""
    try:
        parse(value)
    except ValueError as error:
        tell(str(error))
    return value


def network(value: object) -> IPv4Network | IPv6Network:
    """Read ``"10.0.0.0/8"``, or one address."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - pydantic takes no other
    try:
        return ip_network(value)
    except ValueError:
        meant = ip_network(value, strict=False)  # or it is none at all, and this raises
        tell(f'"{value}" is an address within a network; did you mean {meant}?')


def retention(value: object) -> Retention:
    """Read ``"never"``, ``"30d"`` or ``"30d after collected"``."""
    if isinstance(value, Retention):
        return value
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - pydantic takes no other
    return Retention.read(value)


def beside(value: object, info: ValidationInfo) -> Path:
    """Put a file beside the configuration, where it has no whole path."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip("/.") or "\0" in value:
        raise ValueError(value)
    folder: Path = info.context or Path()
    return folder / value


def key_beside(value: object, info: ValidationInfo) -> Path:
    """The same for a key; where none is named, it is in the chain's file."""
    return info.data.get("chain", Path()) if value == Path() else beside(value, info)


Domain = Annotated[str, AfterValidator(domain_name)]
Octets = Annotated[int, BeforeValidator(octets)]
Kept = Annotated[Retention, PlainValidator(retention)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(network)]
File = Annotated[Path, PlainValidator(beside)]
KeyFile = Annotated[Path, PlainValidator(key_beside)]
