"""Passwords: how they are kept, how they are checked, and how a checked one is remembered.

Kept is argon2id (RFC 9106) with the parameters that OWASP gives for it, 19 MiB and two passes: some
25 ms of a processor, paid once. A password that was right is then known again by a keyed digest,
held in this process alone, so that a client that looks for mail every minute costs microseconds.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

# POP3's longest command is 255 octets (RFC 2449 §4): "PASS ", the password, CR and LF.
MAX_PASSWORD = 248

# Of no password. Checked for users that do not exist, so that time does not tell who does.
DUMMY = (
    "$argon2id$v=19$m=19456,t=2,p=1"
    "$c08NrzNOfDAkoIgwCJ75WQ$HPCqGHg1vxEDEUwXkFnzSI+gqR32mEsssapNZvOlEc4"
)

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)


class BadPassword(ValueError):  # noqa: N818 - reads as what it tells
    """This cannot be a password; the text says why."""


def encode(password: bytes) -> str:
    """Hash a new password, with a salt of its own, as it is to be kept. Takes some 25 ms.

    :raises BadPassword: nobody could log in with it.
    """
    if not password:
        raise BadPassword("the password is empty")
    if len(password) > MAX_PASSWORD:
        raise BadPassword(f"a password has at most {MAX_PASSWORD} octets, not {len(password)}")
    if any(octet < 0x20 or octet == 0x7F for octet in password):  # noqa: PLR2004 - C0 and DEL
        raise BadPassword("a password has no control characters")
    return _hasher.hash(password)


def matches(encoded: str, password: bytes) -> bool:
    """Check a password against what is kept. Takes some 25 ms; may be called in any thread.

    :raises argon2.exceptions.InvalidHashError: what is kept is no argon2 hash.
    """
    try:
        return _hasher.verify(encoded, password)
    except VerifyMismatchError:
        return False


class Remembered:
    """The passwords that were right of late, as digests under a key that this process alone knows.

    What is remembered is bound to the hash that is kept: when that changes, it is remembered no
    more.

    :param capacity: how many; the one not used for longest makes room. Right ones alone are remembered, so no
        stranger fills it; with more users than that each look for mail would cost a hash.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, name: str, encoded: str, password: bytes) -> None:
        """Remember that this password was right."""
        self._digests[self._digest(name, encoded, password)] = None
        if len(self._digests) > self._capacity:
            self._digests.popitem(last=False)

    def knows(self, name: str, encoded: str, password: bytes) -> bool:
        """Tell whether this password was found right, for this very hash."""
        digest = self._digest(name, encoded, password)
        known = digest in self._digests
        if known:
            self._digests.move_to_end(digest)
        return known

    def _digest(self, name: str, encoded: str, password: bytes) -> bytes:
        # Neither a name nor a hash has a NUL, so the three cannot be cut in another way.
        return hmac.digest(
            self._key, b"%b\0%b\0%b" % (name.encode(), encoded.encode(), password), "sha256"
        )
