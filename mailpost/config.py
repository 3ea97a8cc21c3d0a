"""The configuration: a TOML file, read into frozen values.

A row below every room of the river, so that each can be handed the part it needs. A mistake is told
in one line that names the key's path, what was expected there and what stood there instead; all
mistakes of a file are told at once. What is expected of a key is its ``description`` below, so that
the rule and the message stand side by side.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from mailpost import endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config", "ConfigError", "Limits", "Listen", "Office", "domain_name", "find", "load"]

BACKLOG = 1024  # connections that may wait to be accepted
SEARCHED = ("mailpost.toml", "/etc/mailpost/mailpost.toml")

_T = TypeVar("_T")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_SIZE = re.compile(r"(\d{1,15}) *(KiB|MiB|GiB)", re.ASCII)
_UNIT = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class ConfigError(Exception):
    """The configuration cannot be used.

    :ivar mistakes: each of them a line of its own, ready to be shown.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


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


def _tell(text: str) -> NoReturn:
    """Refuse a value with a sentence of its own, where the description does not say enough."""
    raise PydanticCustomError("told", "{text}", {"text": text})


def _octets(value: object) -> object:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _UNIT[match[2]] if match else value


def _some(values: tuple[_T, ...]) -> tuple[_T, ...]:
    if not values:
        raise ValueError(values)
    return values


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if values.count(value) > 1:
            _tell(f'"{value}" is there twice')
    return values


def _database(value: str, info: ValidationInfo) -> str:
    if value.startswith(("postgresql:", "postgres:")):
        _tell("PostgreSQL is not in this version yet; expected sqlite: and a file")
    scheme, _, file = value.partition(":")
    if scheme != "sqlite" or not file.strip("/.") or "\0" in file:
        raise ValueError(value)
    return f"sqlite:{(info.context or Path()) / file}"


def _one_process(value: int) -> int:
    if value > 1:
        _tell(f"this version runs as one process; expected 1; got {value}")
    return value


def _no_tls_yet(value: object) -> object:
    if value in ("starttls", "implicit"):
        _tell(f'TLS is not in this version yet; expected none; got "{value}"')
    return value


def _endpoint(value: str) -> str:
    try:
        endpoint.parse(value)
    except ValueError as error:
        _tell(str(error))
    return value


Domain = Annotated[str, AfterValidator(domain_name)]
Octets = Annotated[int, BeforeValidator(_octets)]


class _Table(BaseModel):
    """A TOML table: every key known, every value of its very type, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Office(_Table):
    """Who the office is and what it takes."""

    hostname: Domain = Field(description='this machine\'s name, such as "mx.example.org"')
    domains: Annotated[tuple[Domain, ...], AfterValidator(_some), AfterValidator(_distinct)] = (
        Field(
            description='a list of the domains it keeps mail for, such as ["example.org"]',
            strict=False,
        )
    )
    store: Annotated[str, AfterValidator(_database)] = Field(
        default="sqlite:mailpost.db",
        description="sqlite: and a file, beside the configuration if not absolute",
    )
    workers: Annotated[int, AfterValidator(_one_process)] = Field(
        default=1, ge=1, description="how many processes serve, 1 or more"
    )
    postmaster: str | None = Field(
        default=None,
        min_length=1,
        description="the name of the account that gets postmaster's mail",
    )
    max_letter_size: Octets = Field(
        default=128 << 20,
        ge=64 << 10,
        description='a size of "64 KiB" or more, or a number of octets',
    )
    max_recipients: int = Field(
        default=1000, ge=1, le=1_000_000, description="a whole number from 1 to 1000000"
    )
    disk_reserve: Octets = Field(
        default=256 << 20, ge=0, description='a size, such as "256 MiB", or a number of octets'
    )

    @property
    def database(self) -> Path:
        """Where the store's SQLite file is."""
        return Path(self.store.removeprefix("sqlite:"))


class Limits(_Table):
    """What one peer, and all of them together, may take."""

    connections: int = Field(default=1000, ge=1, description="a whole number, 1 or more")
    connections_per_address: int = Field(default=50, ge=1, description="a whole number, 1 or more")
    exempt_loopback: bool = Field(default=True, description="true or false")
    smtp_idle: int = Field(default=300, ge=1, le=86_400, description="seconds, from 1 to 86400")
    pop3_idle: int = Field(default=600, ge=1, le=86_400, description="seconds, from 1 to 86400")
    errors_per_session: int = Field(default=20, ge=1, description="a whole number, 1 or more")


class Listen(_Table):
    """One door: the protocol spoken there and where it is."""

    protocol: Literal["smtp", "pop3"] = Field(description="one of smtp, pop3")
    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(
        description='an endpoint, such as "tcp:2525:interface=127.0.0.1"'
    )
    tls: Annotated[Literal["none"], BeforeValidator(_no_tls_yet)] = Field(
        default="none", description="none"
    )

    @property
    def description(self) -> str:
        """The endpoint for Twisted, with room for as many as may come at once.

        Twisted's own backlog is 50; whoever comes beyond it waits a second, and a relay that empties
        its queue brings more.
        """
        parts = endpoint.parse(self.endpoint)
        if "backlog" in parts or parts["type"] == "systemd":
            return self.endpoint
        return f"{self.endpoint}:backlog={BACKLOG}"

    @property
    def interface(self) -> str:
        """The IP address it listens on; ``""`` where that is every one, or none."""
        return endpoint.parse(self.endpoint).get("interface", "")


class Config(_Table):
    """The whole file."""

    office: Office = Field(description="a table [office]")
    limits: Limits = Field(default_factory=Limits, description="a table [limits]")
    listen: Annotated[tuple[Listen, ...], AfterValidator(_some)] = Field(
        strict=False, description="one table [[listen]] or more"
    )


def find(explicit: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Tell which file is the configuration: the one named, else the first there is.

    :raises ConfigError: there is none; says where was looked and what to do.
    """
    if named := explicit or environ.get("MAILPOST_CONFIG"):
        return Path(named)
    for place in map(Path, SEARCHED):
        if place.exists():
            return place
    raise ConfigError(
        f"no configuration found: not in $MAILPOST_CONFIG, ./{', '.join(SEARCHED)}; "
        "name yours with --config FILE, or make an office: mailpost init DIR --domain example.org"
    )


def load(path: Path) -> Config:
    """Read a configuration file.

    :raises ConfigError: it cannot be read, or it has mistakes; all of them are told.
    """
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ConfigError(f"{path}: line {line}, column {column}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {_where(str(error))}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not TOML: nested too deeply") from None
    try:
        return Config.model_validate(data, context=path.parent)
    except ValidationError as error:
        mistakes = (f"{path}: {_mistake(one)}" for one in error.errors())
        raise ConfigError(*map(_on_one_line, mistakes)) from None


def _where(text: str) -> str:
    """``Invalid value (at line 3, column 5)`` with the place first, as compilers tell it."""
    what, _, place = text.removesuffix(")").rpartition(" (at ")
    return f"{place}: not TOML: {what[:1].lower()}{what[1:]}"


def _mistake(error: ErrorDetails) -> str:
    """Put one mistake into words: the key's path, what was expected, what is there."""
    *above, key = error["loc"]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])[
        1:
    ]
    table: type[_Table] = _TABLES.get(str(above[0]), Config) if above else Config
    if error["type"] == "told":
        return f"{path}: {error['msg']}"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(key), table.model_fields, 1)
        known = f"did you mean {near[0]}?" if near else f"known are {', '.join(table.model_fields)}"
        return f"{path}: unknown key; {known}"
    expected = "a domain name" if isinstance(key, int) else table.model_fields[key].description
    if error["type"] == "missing":
        return f"{path}: expected {expected}; it is missing"
    return f"{path}: expected {expected}; got {_shown(error['input'])}"


def _on_one_line(text: str) -> str:
    """Escape what would break the line, or the terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _shown(value: object) -> str:
    """Write a value much as it stands in the file, on one line and not too long."""
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:56]} ..."  # noqa: PLR2004 - a line is to stay a line


_TABLES: dict[str, type[_Table]] = {"office": Office, "limits": Limits, "listen": Listen}
