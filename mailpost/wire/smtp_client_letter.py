"""A letter as an SMTP client hands it in: its envelope, the commands, and what a server cannot take.

MAIL and RCPT of RFC 5321 §4.1.1 with SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531) and DSN (RFC
3461). What could smuggle a command in is a ValueError when the letter is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailpost.wire.dsn import MAX_ENVID, MAX_ORCPT, encode_unitext, encode_xtext
from mailpost.wire.path import PathError, is_mailbox, parse_mail, parse_rcpt
from mailpost.wire.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailpost.wire.path import Address

NO_UTF8 = Reply(553, "5.6.7", "the next server takes no address or header beyond US-ASCII")
NO_8BIT = Reply(554, "5.6.3", "the next server takes no 8-bit letter")
TOO_LARGE = Reply(552, "5.3.4", "the letter is larger than the next server takes")
TOO_MANY = Reply(452, "4.5.3", "more recipients than the next server takes with one letter")

_NOTIFY = frozenset(("NEVER", "SUCCESS", "FAILURE", "DELAY"))
_PRINTABLE = re.compile("[ -~]+")
_LIMIT = re.compile(r"(?:^| )RCPTMAX=([1-9][0-9]{0,5})(?: |$)", re.IGNORECASE)  # RFC 9422 §4
_SIZE = re.compile("[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient.

    :ivar notify: ``SUCCESS``, ``FAILURE``, ``DELAY``, or ``NEVER`` alone (RFC 3461 §4.1); empty: nothing is
        said.
    :ivar original: the address that the sender wrote (ORCPT, §4.2; beyond US-ASCII RFC 6533 §3); ``""``:
        nothing is said.
    :raises ValueError: one of them cannot be written in a command.
    """

    address: Address
    notify: tuple[str, ...] = ()
    original: str = ""

    def __post_init__(self) -> None:
        try:
            parsed, more = parse_rcpt(f"TO:<{self.address}>")
        except PathError:
            raise ValueError("the recipient cannot be written in a command") from None
        if more or not _same(parsed, self.address):
            raise ValueError("the recipient cannot be written in a command")
        if not _NOTIFY.issuperset(self.notify) or ("NEVER" in self.notify and len(self.notify) > 1):
            raise ValueError("notify: SUCCESS, FAILURE, DELAY, or NEVER alone")
        written = _PRINTABLE.fullmatch if self.original.isascii() else is_mailbox
        if self.original and not written(self.original):
            raise ValueError("original: printable US-ASCII, or an address beyond it")
        if len(_orcpt(self.original)) > MAX_ORCPT:
            raise ValueError("original: it is too long")


@dataclass(frozen=True, slots=True)
class Letter:
    """The envelope of one letter; its octets are given piece by piece.

    :ivar sender: None for the null reverse-path.
    :ivar octets: its size, 0 where that is not known.
    :ivar eight_bit: whether there is an octet beyond US-ASCII in it.
    :ivar utf8: whether its header needs SMTPUTF8; addresses that need it are seen without being told.
    :ivar ret: ``FULL``, ``HDRS``, or ``""`` (RFC 3461 §4.3).
    :ivar envid: the sender's name for this letter (§4.4), or ``""``.
    :raises ValueError: one of them cannot be written in a command.
    """

    sender: Address | None
    recipients: tuple[Recipient, ...]
    octets: int = 0
    eight_bit: bool = False
    utf8: bool = False
    ret: str = ""
    envid: str = ""

    def __post_init__(self) -> None:
        try:
            parsed, more = parse_mail(f"FROM:<{self.sender or ''}>")
        except PathError:
            raise ValueError("the sender cannot be written in a command") from None
        if more or (self.sender is not None and not _same(parsed, self.sender)):
            raise ValueError("the sender cannot be written in a command")
        if not self.recipients or self.octets < 0 or self.ret not in {"", "FULL", "HDRS"}:
            raise ValueError("a recipient, a size of 0 or more, and ret FULL, HDRS or nothing")
        if self.envid and not _PRINTABLE.fullmatch(self.envid):
            raise ValueError("envid: printable US-ASCII")
        if len(encode_xtext(self.envid)) > MAX_ENVID:
            raise ValueError("envid: it is too long")

    def needs_utf8(self) -> bool:
        """Whether it can be sent with SMTPUTF8 alone, whoever the recipients are."""
        return self.utf8 or (self.sender is not None and not self.sender.isascii())


def refusals(letter: Letter, extensions: Mapping[str, str]) -> list[Reply | None]:
    """For each recipient why this server cannot take the letter; None: it may."""
    whole = _refusal(letter, extensions)
    limit = _LIMIT.search(extensions.get("LIMITS", ""))
    left = int(limit[1]) if limit else len(letter.recipients)
    answers: list[Reply | None] = []
    for recipient in letter.recipients:
        answer = whole
        if answer is None and not recipient.address.isascii() and "SMTPUTF8" not in extensions:
            answer = NO_UTF8
        if answer is None:
            answer = None if left > 0 else TOO_MANY
            left -= 1
        answers.append(answer)
    return answers


def mail_command(letter: Letter, extensions: Mapping[str, str]) -> bytes:
    """MAIL, with what the server knows."""
    words = [f"MAIL FROM:<{letter.sender or ''}>"]
    if "SIZE" in extensions and letter.octets:
        words.append(f"SIZE={letter.octets}")
    if letter.eight_bit:
        words.append("BODY=8BITMIME")
    ascii_only = all(one.address.isascii() for one in letter.recipients)
    if "SMTPUTF8" in extensions and (letter.needs_utf8() or not ascii_only):
        words.append("SMTPUTF8")
    if "DSN" in extensions and letter.ret:
        words.append(f"RET={letter.ret}")
    if "DSN" in extensions and letter.envid:
        words.append(f"ENVID={encode_xtext(letter.envid)}")
    return " ".join(words).encode()


def rcpt_command(recipient: Recipient, extensions: Mapping[str, str]) -> bytes:
    """RCPT, with what the server knows."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if "DSN" in extensions and recipient.notify:
        words.append(f"NOTIFY={','.join(recipient.notify)}")
    if "DSN" in extensions and recipient.original:
        words.append(f"ORCPT={_orcpt(recipient.original)}")
    return " ".join(words).encode()


def _orcpt(original: str) -> str:
    """An original recipient as ORCPT has it (RFC 3461 §4.2, RFC 6533 §3)."""
    if original.isascii():
        return f"rfc822;{encode_xtext(original)}"
    return f"utf-8;{encode_unitext(original)}"


def _refusal(letter: Letter, extensions: Mapping[str, str]) -> Reply | None:
    size = extensions.get("SIZE", "")
    if letter.needs_utf8() and "SMTPUTF8" not in extensions:
        return NO_UTF8
    if letter.eight_bit and "8BITMIME" not in extensions:
        return NO_8BIT
    if _SIZE.fullmatch(size) and 0 < int(size) < letter.octets:  # RFC 1870 §4: 0 is no limit
        return TOO_LARGE
    return None


def _same(parsed: Address | None, address: Address) -> bool:
    return parsed is not None and (parsed.local, parsed.domain) == (
        address.local,
        address.domain.lower(),
    )
