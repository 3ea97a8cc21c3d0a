"""The configuration: a TOML file, read into frozen values.

A row below every room of the river, so that each can be handed the part it needs. A mistake is told
in one line that names the key's path, what was expected there and what stood there instead; all
mistakes of a file are told at once. What may stand there is in :mod:`mailpost.config_tables`.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mailpost.config_tables import (
    Certificate,
    Config,
    Guard,
    Keeping,
    Limits,
    Listen,
    OAuth,
    Office,
    Table,
)
from mailpost.config_values import domain_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

__all__ = [
    "Certificate",
    "Config",
    "ConfigError",
    "Guard",
    "Keeping",
    "Limits",
    "Listen",
    "OAuth",
    "Office",
    "domain_name",
    "find",
    "load",
]

OWN = {
    "chain": "certificate.pem",
    "key": "key.pem",
}  # what init makes; used where no other is named
SEARCHED = ("mailpost.toml", "/etc/mailpost/mailpost.toml")


class ConfigError(Exception):
    """The configuration cannot be used.

    :ivar mistakes: each of them a line of its own, ready to be shown.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


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
        config = Config.model_validate(data, context=path.parent)
    except ValidationError as error:
        mistakes = (f"{path}: {_mistake(one)}" for one in error.errors())
        raise ConfigError(*map(_on_one_line, mistakes)) from None
    encrypted = [n for n, listen in enumerate(config.listen) if listen.tls != "none"]
    if encrypted and not config.certificate and (path.parent / OWN["chain"]).exists():
        own = Certificate.model_validate(OWN, context=path.parent)
        return config.model_copy(update={"certificate": (own,)})
    if encrypted and not config.certificate:
        lacking = "expected a [[certificate]] in the file when tls is not none"
        raise ConfigError(*(f"{path}: listen[{n}].tls: {lacking}" for n in encrypted))
    return config


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
    table: type[Table] = _TABLES.get(str(above[0]), Config) if above else Config
    if error["type"] == "told":
        return f"{path}: {error['msg']}"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(key), table.model_fields, 1)
        known = f"did you mean {near[0]}?" if near else f"known are {', '.join(table.model_fields)}"
        return f"{path}: unknown key; {known}"
    expected = (
        _ITEMS[str(above[-1])] if isinstance(key, int) else table.model_fields[key].description
    )
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


_ITEMS = {
    "domains": "a domain name",
    "allow": 'a network, such as "192.0.2.0/24"',
    "proxy": 'a network, such as "10.0.0.0/8"',
    "listen": "a table",
    "certificate": "a table",
}
_TABLES: dict[str, type[Table]] = {
    "office": Office,
    "limits": Limits,
    "guard": Guard,
    "keeping": Keeping,
    "listen": Listen,
    "certificate": Certificate,
    "oauth": OAuth,
}
