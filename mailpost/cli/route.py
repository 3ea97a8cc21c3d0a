"""``mailpost route``: where a letter for an address would go, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import BAD_DATA, NO_USER, TRY_LATER, Failed
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import counted, harmless

if TYPE_CHECKING:
    from mailpost.envelope import Address
    from mailpost.outcome import Sorted
    from mailpost.sorting.steps import Step


@click.command(
    epilog="""\b
Examples:
  mailpost route info@example.org
  mailpost route postmaster --json

\b
Exit status: 0 somebody would get it, 67 nobody would, 75 the sender would be
asked to try again later."""
)
@click.argument("address", metavar="ADDRESS")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def route(address: str, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Tell where a letter for ADDRESS would go, step by step.

    It asks what a running office asks at RCPT, and sends nothing.
    """
    from mailpost.outcome import Refused, TryLater  # noqa: PLC0415 - --help does not need it
    from mailpost.sorting.local import LocalSorter  # noqa: PLC0415

    with open_office() as (config, store):
        recipient = _recipient(address)
        steps: list[Step] = []
        sorted_to = LocalSorter(store.addresses, config).sort(recipient, steps)
    if as_json:
        click.echo(json.dumps(_object(recipient, sorted_to, steps), indent=2))
    else:
        for step in steps:
            click.echo(harmless(str(step)))
        click.echo(_told(sorted_to))
    if isinstance(sorted_to, Refused):
        click.get_current_context().exit(NO_USER)
    if isinstance(sorted_to, TryLater):
        click.get_current_context().exit(TRY_LATER)


def _recipient(text: str) -> Address:
    from mailpost.wire.path import is_mailbox, parse_rcpt  # noqa: PLC0415 - as above

    if is_mailbox(text) or text.lower() == "postmaster":
        return parse_rcpt(f"TO:<{text}>")[0]
    raise Failed(BAD_DATA, f"{harmless(text)} is no address; expected one such as info@example.org")


def _told(sorted_to: Sorted) -> str:
    from mailpost.outcome import Refused, TryLater  # noqa: PLC0415 - as above

    if isinstance(sorted_to, Refused | TryLater):
        return f"no copy is kept: {sorted_to.reply} ({harmless(sorted_to.reason)})"
    return f"{counted(len(sorted_to.destinations), 'copy is kept', 'copies are kept')}"


def _object(recipient: Address, sorted_to: Sorted, steps: list[Step]) -> dict[str, object]:
    from mailpost.outcome import Refused, TryLater  # noqa: PLC0415 - as above

    told: dict[str, object] = {"address": str(recipient)}
    if isinstance(sorted_to, Refused | TryLater):
        told["outcome"] = "refused" if isinstance(sorted_to, Refused) else "try later"
        told["reply"] = str(sorted_to.reply)
        told["reason"] = sorted_to.reason
        told["delivered_to"] = []
    else:
        told["outcome"] = "delivered"
        told["delivered_to"] = [one.delivered_to for one in sorted_to.destinations]
    told["steps"] = [
        {"kind": step.kind, "address": step.address, "to": list(step.to), "text": str(step)}
        for step in steps
    ]
    return told
