"""What a check finds, and what it is given to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

if TYPE_CHECKING:
    from pathlib import Path

    from mailpost.config import Config

Level = Literal["ok", "warning", "problem"]


@frozen
class Finding:
    """One thing that was looked at.

    :ivar check: what it belongs to, in a word.
    :ivar text: what was found, in a line.
    :ivar mend: how to mend it; ``""`` where there is nothing to mend.
    """

    check: str
    level: Level
    text: str
    mend: str = ""


@frozen
class Patient:
    """An office that is looked at.

    :ivar file: its configuration.
    :ivar running: what the running office told of itself; None: none runs.
    :ivar program: how a command for this office begins.
    :ivar thorough: whether everything is read that is kept.
    """

    file: Path
    config: Config
    running: dict[str, Any] | None
    program: str
    thorough: bool = False
    patience: float = field(default=20.0)

    @property
    def public(self) -> bool:
        """Whether any door of it is open to another machine."""
        return any(beyond_this_machine(one) for one in self.config.listen)


def beyond_this_machine(listen: Any) -> bool:
    """Whether another machine can reach a listener."""
    from ipaddress import ip_address  # noqa: PLC0415 - few need it

    from mailpost import endpoint  # noqa: PLC0415

    if endpoint.parse(listen.endpoint)["type"] == "unix":
        return False
    return not (listen.interface and ip_address(listen.interface).is_loopback)


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, mend: str) -> Finding:
    """It works, and somebody should look at it."""
    return Finding(check, "warning", text, mend)


def problem(check: str, text: str, mend: str) -> Finding:
    """It does not work, or not for long."""
    return Finding(check, "problem", text, mend)
