"""Addresses as the office writes them: one form for each, however it is spelled.

::

    info@example.org    an address
    @example.org        whatever nobody has in that domain
    info                a name without a domain: an alias in every domain, or an account

A local part is compared without regard to case, as nearly everybody expects (RFC 5321 §2.4 leaves it to
the host that keeps the mail). Beyond US-ASCII it is in lower case and NFC; a letter whose lower case is in
US-ASCII only looks like that one, such as the Kelvin sign, and nobody has it.
"""

from __future__ import annotations

from unicodedata import normalize

from mailpost.config import domain_name
from mailpost.envelope import Address
from mailpost.store import BadAddress
from mailpost.wire.path import MAX_LOCAL_PART, is_mailbox, parse_rcpt

POSTMASTER = "postmaster"  # RFC 5321 §4.5.1
ABUSE = "abuse"  # RFC 2142 §4
ALWAYS = (POSTMASTER, ABUSE)
"""Who is reached in every domain, whatever else is there."""


def folded(local: str) -> str:
    """Bring a local part to the one form in which it is compared; ``""``: nobody has it."""
    if local.isascii():
        return local.lower()
    if any(letter.lower().isascii() and not letter.isascii() for letter in local):
        return ""
    return normalize("NFC", local.lower())


def written(address: Address) -> str:
    """Write an address as the store keeps it; its local part has no ``@``, and needs no quoting so."""
    return f"{address.local}@{address.domain}" if address.domain else address.local


def read(text: str) -> Address:
    """Read what :func:`written` gives."""
    local, at, domain = text.rpartition("@")
    return Address(local, domain) if at else Address(domain, "")


def shown(domain: str, local: str) -> str:
    """Write an address for people: ``@example.org`` for whatever nobody has there."""
    return str(Address(local, domain)) if local else f"@{domain}"


def address(text: str) -> Address:
    """Read an address that somebody has typed, or a name without a domain.

    :raises BadAddress: it is none; the text says why.
    """
    _, at, domain = text.rpartition("@")
    if at and not text.endswith('"'):
        return _checked(text, domain)
    if not is_mailbox(f"{text}@local"):
        raise _bad(text, "is no address, and no name")
    return name(parse_rcpt(f"TO:<{text}@local>")[0].local)


def alias_address(text: str) -> Address:
    """Read what may be an alias: an address, a name without a domain, or ``@example.org``.

    :raises BadAddress: it is none; the text says why.
    """
    if text.startswith("@"):
        return Address("", domain(text[1:]))
    read_as = address(text)
    if read_as.local == "*":  # a name that nobody has, and that many another program means so
        whole = read_as.domain or "example.org"
        raise _bad(text, f"is not how it is said: whatever nobody has there is @{whole}")
    return read_as


def name(local: str) -> Address:
    """Give a name without a domain its one form; quoting has been undone.

    :raises BadAddress: it cannot be a local part of this office.
    """
    if not local or "@" in local or not local.isprintable() or not folded(local):
        raise _bad(local, "cannot be the name of anybody here")
    if len(local.encode()) > MAX_LOCAL_PART:
        raise _bad(local, f"is longer than {MAX_LOCAL_PART} octets")
    return Address(folded(local), "")


def domain(text: str) -> str:
    """Read a domain that somebody has typed.

    :raises BadAddress: it is none.
    """
    try:
        return domain_name(text)
    except ValueError:
        raise _bad(text, "is no domain name") from None


def _checked(text: str, of: str) -> Address:
    whole = domain(of)  # first: what is wrong is told of the part that is wrong
    if not is_mailbox(text):
        raise _bad(text, "is no address")
    return name(parse_rcpt(f"TO:<{text}>")[0].local)._replace(domain=whole)


def _bad(text: str, why: str) -> BadAddress:
    return BadAddress(f"{text if text and text.isprintable() else ascii(text)} {why}")
