"""What a shell may complete beyond commands and options: the names of accounts and of their devices.

A shell asks at each press of a key, and an answer that fails says nothing: where the store cannot be read
just now there is nothing to complete. It is read as its owner, so that root leaves nothing of root's behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click


def account_names(
    ctx: click.Context,
    _parameter: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """The accounts whose names begin so."""
    names = [account for account, _ in _names(ctx)]
    return _matching(dict.fromkeys(names), incomplete)


def device_names(
    ctx: click.Context,
    _parameter: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """The devices, of the account that stands before, whose names begin so."""
    whose = str(ctx.params.get("name") or "").lower()
    names = [device for account, device in _names(ctx) if account == whose and device]
    return _matching(dict.fromkeys(names), incomplete)


def _matching(names: dict[str, None], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete.lower())]


def _names(ctx: click.Context) -> list[tuple[str, str]]:
    """Every account with each of its devices, or with ``""``."""
    try:
        from mailpost import config  # noqa: PLC0415 - a shell waits for it
        from mailpost.cli.office import become_owner  # noqa: PLC0415
        from mailpost.store.names import all_names  # noqa: PLC0415

        database = config.load(config.find(ctx.find_root().obj)).office.database
        become_owner(database)
        return all_names(database)
    except Exception:  # noqa: BLE001 - see above
        return []
