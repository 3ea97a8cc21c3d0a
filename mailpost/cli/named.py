"""Names on the command line: checked, and found in the account book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.cli.failures import BAD_DATA, NO_USER, Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.store import Account, Domain, Store


def checked_name(text: str) -> str:
    """Bring a name that was typed to its one form.

    :raises Failed: it cannot be one; the message says why, and is safe to print.
    """
    from mailpost.accounts.names import BadName, account_name  # noqa: PLC0415 - loads pydantic

    try:
        return account_name(text)
    except BadName as error:
        raise Failed(BAD_DATA, f"{text if text.isprintable() else ascii(text)}: {error}") from None


def existing_account(text: str, store: Store) -> Account:
    """Find the account that was named.

    :raises Failed: there is none.
    """
    name = checked_name(text)
    account = store.accounts.find(name)
    if account is None:
        raise Failed(NO_USER, f"there is no account {name}; see them all: mailpost user list")
    return account


def known_domains(configured: Sequence[str], store: Store) -> list[Domain]:
    """The office's domains: the configuration's, then those that a command has added."""
    from mailpost.store import Domain  # noqa: PLC0415 - --help does not need it

    known = {one.name: one for one in store.addresses.domains()}
    always = [known.get(name) or Domain(name, ours=False) for name in configured]
    return [*always, *(one for one in known.values() if one.ours and one.name not in configured)]
