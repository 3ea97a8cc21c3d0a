"""The tables of the configuration: what each key means, and what may stand there.

What is expected of a key is its ``description``, which is also what a mistake is told with, so that the rule
and the message stand side by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mailpost import config_values as values
from mailpost import endpoint
from mailpost.config_values import (  # noqa: TC001 - pydantic reads them
    Domain,
    File,
    Kept,
    KeyFile,
    Network,
    Octets,
)
from mailpost.retention import NEVER

BACKLOG = 1024  # connections that may wait to be accepted


class Table(BaseModel):
    """A TOML table: every key known, every value of its very type, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Office(Table):
    """Who the office is and what it takes."""

    hostname: Domain = Field(description='this machine\'s name, such as "mx.example.org"')
    domains: Annotated[
        tuple[Domain, ...], AfterValidator(values.some), AfterValidator(values.distinct)
    ] = Field(
        description='a list of the domains it keeps mail for, such as ["example.org"]',
        strict=False,
    )
    store: Annotated[str, AfterValidator(values.database)] = Field(
        default="sqlite:mailpost.db",
        description="sqlite: and a file, beside the configuration if not absolute",
    )
    workers: Annotated[int, BeforeValidator(values.workers)] = Field(
        default=1, ge=1, le=256, description='a whole number from 1 to 256, or "auto"'
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
    device_lapse: int = Field(default=90, ge=1, le=36_500, description="days, from 1 to 36500")
    device_separator: str = Field(
        default="#",
        pattern=r"^[#/%=~!*|]$",
        description="one of the characters # / % = ~ ! * |",
    )
    apop: bool = Field(default=False, description="true or false")
    disk_reserve: Octets = Field(
        default=256 << 20, ge=0, description='a size, such as "256 MiB", or a number of octets'
    )

    @property
    def database(self) -> Path:
        """Where the store's SQLite file is."""
        return Path(self.store.removeprefix("sqlite:"))


class Keeping(Table):
    """How long letters are kept."""

    bin: int = Field(default=7, ge=0, le=36_500, description="days, from 0 to 36500")
    retention: Kept = Field(
        default=NEVER, description='"never", or days such as "30d" or "30d after collected"'
    )
    quota: Octets = Field(
        default=0, ge=0, le=1 << 60, description='a size, such as "2G"; "0" for none'
    )


class Limits(Table):
    """What one peer, and all of them together, may take."""

    connections: int = Field(default=1000, ge=1, description="a whole number, 1 or more")
    connections_per_address: int = Field(default=50, ge=1, description="a whole number, 1 or more")
    connections_per_minute: int = Field(default=600, ge=0, description="a whole number, 0 or more")
    letters_per_hour: int = Field(default=1000, ge=0, description="a whole number, 0 or more")
    recipients_per_hour: int = Field(default=10_000, ge=0, description="a whole number, 0 or more")
    exempt_loopback: bool = Field(default=True, description="true or false")
    smtp_idle: int = Field(default=300, ge=1, le=86_400, description="seconds, from 1 to 86400")
    pop3_idle: int = Field(default=600, ge=1, le=86_400, description="seconds, from 1 to 86400")
    errors_per_session: int = Field(default=20, ge=1, description="a whole number, 1 or more")
    login_delay: int = Field(default=0, ge=0, le=86_400, description="seconds, from 0 to 86400")


class Guard(Table):
    """What is done about whoever guesses passwords; see :class:`mailpost.guard.GuardRules`."""

    free: int = Field(default=2, ge=0, description="a whole number, 0 or more")
    guesses: int = Field(default=30, ge=1, description="a whole number, 1 or more")
    window: int = Field(default=3600, ge=1, description="seconds, 1 or more")
    ban: int = Field(default=3600, ge=0, description="seconds, 0 or more")
    longest_delay: int = Field(default=16, ge=0, le=300, description="seconds, from 0 to 300")
    name_free: int = Field(default=5, ge=1, description="a whole number, 1 or more")
    name_delay: int = Field(default=4, ge=0, le=60, description="seconds, from 0 to 60")
    allow: tuple[Network, ...] = Field(
        default=(), strict=False, description='a list of networks, such as ["192.0.2.0/24"]'
    )


class Listen(Table):
    """One door: the protocol spoken there and where it is.

    :ivar tls: for POP3, ``starttls`` is its STLS.
    :ivar cleartext: whether a password may be sent unencrypted from beyond this machine.
    :ivar proxy: the networks whose PROXY header is believed; where there are any, nobody else gets in.
    """

    protocol: Literal["smtp", "lmtp", "submission", "pop3"] = Field(
        description="one of smtp, lmtp, submission, pop3"
    )
    endpoint: Annotated[str, AfterValidator(values.endpoint)] = Field(
        description='an endpoint, such as "tcp:2525:interface=127.0.0.1"'
    )
    tls: Literal["none", "starttls", "implicit"] = Field(
        default="none", description="one of none, starttls, implicit"
    )
    cleartext: bool = Field(default=False, description="true or false")
    proxy: tuple[Network, ...] = Field(
        default=(), strict=False, description='a list of networks, such as ["10.0.0.0/8"]'
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


class Certificate(Table):
    """A certificate for TLS, and its key; where that is left out, it is in the same file."""

    chain: File = Field(description="a file with the certificate, and those that vouch for it")
    key: KeyFile = Field(default=Path(), description="a file with the certificate's key")


class OAuth(Table):
    """Who is asked about bearer tokens (RFC 7662): with it OAUTHBEARER and XOAUTH2 are offered."""

    endpoint: str = Field(
        pattern=r"^(https://[^/]|http://(localhost|127\.0\.0\.1|\[::1\])[:/])",
        description="the issuer's introspection endpoint, an https URL (http on this machine alone)",
    )
    client_id: str = Field(min_length=1, description="what the issuer calls this office")
    client_secret: File = Field(description="a file with the office's password at the issuer")
    scope: str = Field(min_length=1, description="the scope that a token needs")
    claim: str = Field(
        default="username",
        min_length=1,
        description='which of the answer\'s words names the user, such as "email"',
    )
    discovery: str = Field(default="", description="the URL of the issuer's OpenID configuration")
    believed: int = Field(default=300, ge=0, description="seconds, 0 or more")


class Config(Table):
    """The whole file."""

    office: Office = Field(description="a table [office]")
    keeping: Keeping = Field(default_factory=Keeping, description="a table [keeping]")
    limits: Limits = Field(default_factory=Limits, description="a table [limits]")
    guard: Guard = Field(default_factory=Guard, description="a table [guard]")
    listen: Annotated[tuple[Listen, ...], AfterValidator(values.some)] = Field(
        strict=False, description="one table [[listen]] or more"
    )
    certificate: tuple[Certificate, ...] = Field(
        default=(), strict=False, description="tables [[certificate]]"
    )
    oauth: OAuth | None = Field(default=None, description="a table [oauth]")
