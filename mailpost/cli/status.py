"""``mailpost status``: whether the office runs, how it fares, and what it keeps."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mailpost.cli.failures import UNAVAILABLE
from mailpost.cli.office import open_office, this_program
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, labelled, lasting, minute, moment, show, size

if TYPE_CHECKING:
    from mailpost.config import Config

_DAY = 86_400
_TLS = {"none": "no", "starttls": "on request", "implicit": "always"}


@click.command(
    epilog="""\b
Examples:
  mailpost status
  mailpost status --json"""
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def status(*, as_json: bool) -> None:
    """Tell whether the office runs, and how it fares.

    Who is connected, how many letters came and went, how large the store is, how old the certificates are.
    The exit status is 69 where no office runs; what is in the store is told all the same.
    """
    from mailpost import control_client  # noqa: PLC0415 - --help does not need it

    with open_office() as (config, store):
        try:
            running = control_client.ask(control_client.beside(store.path), "status")
        except control_client.NotRunning:
            running = None
        kept = store.figures()
        told = {
            "running": running is not None,
            **(_of(running) if running else {}),
            "store": {
                "path": str(store.path),
                "accounts": kept.accounts,
                "letters": kept.letters,
                "octets": kept.octets,
                "binned": kept.binned,
                "database": kept.database,
                "log": kept.log,
                "parcels": kept.parcels,
            },
            "disk": {"free": store.space.free(), "reserve": config.office.disk_reserve},
            "bans": len(store.bans.in_force()),
            "certificates": [_certificate(one) for one in _certificates(config)],
        }
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        _print(told)
    if running is None:
        click.get_current_context().exit(UNAVAILABLE)


def _of(running: dict[str, Any]) -> dict[str, Any]:
    """What the office told, and sums of it."""
    listeners = running["listeners"]
    sessions: dict[str, int] = {}
    for one in listeners:
        sessions[one["protocol"]] = sessions.get(one["protocol"], 0) + one["sessions"]
    return {
        **running,
        "since": moment(running["since"]),
        "sessions": sessions,
        "letters_in": sum(one["letters"] for one in listeners if one["protocol"] != "pop3"),
        "letters_out": sum(one["letters"] for one in listeners if one["protocol"] == "pop3"),
    }


def _certificates(config: Config) -> list[str]:
    return [str(one.chain) for one in config.certificate]


def _certificate(file: str) -> dict[str, object]:
    from pathlib import Path  # noqa: PLC0415 - with the next one

    from mailpost.tls import TLSError, describe  # noqa: PLC0415 - OpenSSL

    try:
        found = describe(Path(file))
    except TLSError as error:
        return {"file": file, "mistake": str(error)}
    left = (found.not_after - datetime.now(UTC)).total_seconds()
    return {
        "file": file,
        "names": list(found.names),
        "not_before": moment(found.not_before.timestamp()),
        "not_after": moment(found.not_after.timestamp()),
        "days_left": int(left // _DAY),
        "self_signed": found.self_signed,
    }


def _print(told: dict[str, Any]) -> None:
    if told["running"]:
        since = datetime.fromisoformat(told["since"]).timestamp()
        workers = f" with {len(told['workers'])} workers" if "workers" in told else ""
        click.echo(
            f"mailpost {told['version']} runs as process {told['process']}{workers} since"
            f" {minute(since)} UTC ({lasting(time.time() - since)})\n"
        )
        show(
            ("protocol", "where", "TLS", "sessions", "ended", "refused", "letters"),
            [
                (
                    one["protocol"],
                    one["where"],
                    _TLS[one["tls"]],
                    one["sessions"],
                    one["sessions_ended"],
                    one["refused"],
                    one["letters"],
                )
                for one in told["listeners"]
            ],
        )
        click.echo()
        waiting = counted(told["waiting_writes"], "write waits", "writes wait")
        labelled(
            "letters",
            f"{told['letters_in']} taken in and {told['letters_out']} collected since then; {waiting}",
        )
    else:
        click.echo(f"No office runs; start it: {this_program()} serve\n")
    kept, disk = told["store"], told["disk"]
    on_disk = kept["database"] + kept["log"] + kept["parcels"]
    letters = f"{counted(kept['letters'], 'letter')} of {size(kept['octets'])}"
    if kept["binned"]:
        letters += f", {kept['binned']} more in the bin"
    labelled("store", f"{kept['path']}: {counted(kept['accounts'], 'account')}, {letters}")
    labelled(
        "disk",
        f"{size(on_disk)} taken, {size(disk['free'])} free;"
        f" below {size(disk['reserve'])} no letter is taken in",
    )
    if told["bans"]:
        labelled("bans", f"{told['bans']} in force; see them: {this_program()} ban list")
    for one in told["certificates"]:
        labelled("certificate", f"{one['file']}: {_age(one)}")


def _age(one: dict[str, Any]) -> str:
    if "mistake" in one:
        return str(one["mistake"])
    by = ", self-signed" if one["self_signed"] else ""
    left = one["days_left"]
    until = f"{counted(left, 'day')} left" if left >= 0 else f"expired on {one['not_after'][:10]}"
    return f"{until}{by}; for {', '.join(one['names'])}"
