"""Commands as a transcript has them: what cannot be shown escaped, what may be a secret masked."""

from __future__ import annotations

import re

from mailpost.wire.sasl import MECHANISMS
from mailpost.wire.session import MASKED, escaped, printable, printable_utf8

_LOGINS = frozenset((b"PASS", b"AUTH", b"APOP"))
_MECHANISM = re.compile(rb"[A-Z0-9_-]{1,20}")  # RFC 4422 §3.1


def shown(line: bytes) -> str:
    """A command; what begins as one that logs in does is masked, however it is misspelled."""
    return _login(line) if line[:4].upper() in _LOGINS else _text(line)


def _text(line: bytes) -> str:
    return line.decode() if printable(line) or printable_utf8(line) else escaped(line)


def _login(line: bytes) -> str:
    """Of AUTH the mechanism is shown, of APOP the name."""
    verb, rest = line[:4].upper().decode("ascii"), line[4:]
    if not rest:
        return verb
    word = rest[1:].partition(b" ")[0] if rest[:1] == b" " else b""
    named = verb == "APOP" or (
        verb == "AUTH"
        and (_MECHANISM.fullmatch(word) or word.decode("latin-1").upper() in MECHANISMS)
    )
    return f"{verb} {_text(word)} {MASKED}" if word and named else f"{verb} {MASKED}"
