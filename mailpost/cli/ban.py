"""``mailpost ban``: who may not come. A running office sees each change within a second."""

from __future__ import annotations

import json
import re
import time
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import click

from mailpost.cli.failures import BAD_DATA, NO_USER, Failed
from mailpost.cli.office import open_office
from mailpost.cli.options import config_option
from mailpost.cli.table import harmless, lasting, minute, moment, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.bans import Ban, Network

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"w": 7 * 86_400, "d": 86_400, "h": 3600, "m": 60}
_LONGEST_REASON = 200
_SHOWN = 5  # of what is near
_THIS_MACHINE = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: str) -> int | None:
    """How long a ban lasts; None: for ever."""
    if value == "ever":
        return None
    found = _SPAN.fullmatch(value)
    if found is None:
        raise click.BadParameter("ever, or a number of m, h, d or w, such as 90m, 2h, 7d, 4w")
    return int(found[1]) * _UNITS[found[2]]


@click.group()
@config_option
def ban() -> None:
    """List who is banned; ban an address or a network by hand, or let it come again.

    Whoever guesses passwords is banned for a while by the office itself: see [guard] in the configuration.
    """


@ban.command(
    "list",
    epilog="""\b
Examples:
  mailpost ban list
  mailpost ban list --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@config_option
def list_(as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Print who is banned, until when, and why; the oldest ban first."""
    with open_office() as (config, store):
        found = store.bans.in_force()
    if as_json:
        click.echo(json.dumps([_row(one) for one in found], indent=2))
        return
    if found:
        _print(found)
    else:
        click.echo("nobody is banned")
    if config.guard.allow:
        click.echo(f"\nnever banned, by guard.allow: {', '.join(map(str, config.guard.allow))}")


@ban.command(
    epilog="""\b
Examples:
  mailpost ban add 192.0.2.7
  mailpost ban add 192.0.2.0/24 --for ever --reason 'sends nothing but spam'
  mailpost ban add 2001:db8::/48 --for 2h"""
)
@click.argument("text", metavar="ADDRESS-OR-NETWORK")
@click.option(
    "--for",
    "seconds",
    metavar="2h|7d|ever",
    default="7d",
    show_default=True,
    callback=_seconds,
    help="How long: a number of m, h, d or w (minutes, hours, days, weeks), or ever.",
)
@click.option("--reason", default="", help="A few words that ban list shows.")
@config_option
def add(text: str, seconds: int | None, reason: str) -> None:
    """Ban an address or a network; a running office ends its sessions within a second.

    An address of IPv6 stands for its /64, which one machine can own whole; with /128 it stands for itself.
    This machine, and what guard.allow names, is never banned. Who is banned already is banned anew.
    """
    from mailpost.bans import Ban, named  # noqa: PLC0415 - --help does not need it

    network = _network(text)
    if len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise Failed(BAD_DATA, f"a reason is one line of at most {_LONGEST_REASON} characters")
    with open_office() as (config, store):
        allowed = (*_THIS_MACHINE, *config.guard.allow)
        within = next((one for one in allowed if _covers(one, network)), None)
        if within in _THIS_MACHINE:
            raise Failed(BAD_DATA, f"{named(network)} is this machine, which is never banned")
        if within is not None:
            raise Failed(
                BAD_DATA,
                f"{named(network)} is never banned: guard.allow in the config names {named(within)}",
            )
        now = time.time()
        until = None if seconds is None else now + seconds
        store.bans.add(Ban(network, until, now, reason, by_hand=True))
    click.echo(f"{named(network)} is banned {_until(until, now)}")
    exempt = [named(one) for one in allowed if _covers(network, one)]
    if exempt:
        click.echo(f"exempt all the same: {', '.join(exempt)}")


@ban.command(
    epilog="""\b
Examples:
  mailpost ban remove 192.0.2.7
  mailpost ban remove 192.0.2.0/24"""
)
@click.argument("text", metavar="ADDRESS-OR-NETWORK")
@config_option
def remove(text: str) -> None:
    """Let an address or a network come again; a running office does so within a second.

    Name it as ban list does.
    """
    from mailpost.bans import named  # noqa: PLC0415 - --help does not need it

    network = _network(text)
    with open_office() as (_, store):
        found = [one.network for one in store.bans.in_force()]
        if network not in found:
            raise Failed(NO_USER, _not_banned(network, found))
        store.bans.remove(network)
        still = [named(one) for one in found if one != network and _covers(one, network)]
    if still:
        click.echo(f"{named(network)} has no ban of its own any more, but is in {', '.join(still)}")
    else:
        click.echo(f"{named(network)} may come again")


def _network(text: str) -> Network:
    """Read what was typed.

    :raises Failed: it is neither an address nor a network.
    """
    from mailpost.limits import neighbourhood  # noqa: PLC0415 - --help does not need it

    told = harmless(text)
    try:
        if "/" not in text:
            one = ip_address(text)
            return ip_network(one if one.is_loopback else neighbourhood(text))
        meant = ip_network(text, strict=False)
    except ValueError:
        raise Failed(
            BAD_DATA,
            f"{told} is neither an address nor a network;"
            " expected one such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64",
        ) from None
    if ip_address(text.partition("/")[0]) != meant.network_address:
        raise Failed(BAD_DATA, f"{told} is an address within a network; did you mean {meant}?")
    carried = getattr(meant.network_address, "ipv4_mapped", None)
    if carried is not None and meant.prefixlen >= 96:  # noqa: PLR2004 - RFC 4291 §2.5.5.2
        return ip_network(f"{carried}/{meant.prefixlen - 96}")
    return meant


def _covers(one: Network, other: Network) -> bool:
    """Whether all of a network is in another."""
    return (
        one.version == other.version
        and one.prefixlen <= other.prefixlen
        and other.network_address in one
    )


def _not_banned(network: Network, found: Sequence[Network]) -> str:
    """Tell what there is near a network that is not banned by itself."""
    from mailpost.bans import named  # noqa: PLC0415 - as above

    for near, says in (
        ([one for one in found if _covers(one, network)], "it is in"),
        ([one for one in found if _covers(network, one)], "what is banned in it:"),
    ):
        if near:
            names = [named(one) for one in near]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            shown = ", ".join(names[:_SHOWN])
            return f"{named(network)} is not banned by itself; {says} {shown}{more}"
    return f"{named(network)} is not banned; see who is: mailpost ban list"


def _until(until: float | None, now: float) -> str:
    if until is None:
        return "for ever"
    return f"until {minute(until)} UTC, for {lasting(until - now)}"


def _row(one: Ban) -> dict[str, object]:
    return {
        "network": str(one.network),
        "until": moment(one.until),
        "made": moment(one.made),
        "reason": one.reason,
        "by": "hand" if one.by_hand else "guard",
        "wrong_logins": one.guesses,
    }


def _print(found: Sequence[Ban]) -> None:
    from mailpost.bans import named  # noqa: PLC0415 - as above

    now = time.time()
    show(
        ("network", "banned", "by", "wrong logins", "reason"),
        [
            (
                named(one.network),
                _until(one.until, now),
                "hand" if one.by_hand else "guard",
                one.guesses or None,
                one.reason,
            )
            for one in found
        ],
    )
