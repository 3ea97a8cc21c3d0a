"""The keys of SCRAM: made of a password, kept as text, made up for those who do not exist (RFC 5802).

SCRAM's server tells the salt and the count before it knows anything of the client. So one user's passwords,
one for each device, share both; and somebody who is no user has them too, derived from the name under a key
of the office: the same each time, from each worker, after each restart. A user's own salt is derived in the
same way, so that nothing changes for those who watch when a name comes to exist.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING

from mailpost.accounts.passwords import BadPassword
from mailpost.wire.sasl_base64 import decode_base64, encode_base64
from mailpost.wire.saslprep import Prohibited, saslprep
from mailpost.wire.scram_keys import ITERATIONS, KEY_OCTETS, ScramKeys, derive

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_ITERATIONS = 4096  # RFC 7677 §4
MIN_SECRET = 32  # octets of the office's key
SALT_OCTETS = 16

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 that are not taken for each other: 5 bits each
_GROUPS = 7
_GROUP = 4
# As RFC 5803 §2 writes it, and PostgreSQL does.
_KEPT = re.compile(r"SCRAM-SHA-256\$([1-9][0-9]{3,8}):([^$:]+)\$([^$:]+):([^$:]+)")


class BadKeys(ValueError):  # noqa: N818 - reads as what it tells
    """What is kept are no keys of SCRAM."""


def device_password() -> str:
    """Make a device's password: 140 random bits that can be read out and typed."""
    return "-".join(
        "".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def device_digest(secret: bytes, name: str, password: bytes) -> bytes:
    """What is kept of a device's password to know it again when it comes by PLAIN, LOGIN or USER.

    One keyed SHA-256: nobody can guess 140 random bits, so it need not be slow.

    :param secret: the office's key.
    :param name: the account's name.
    :param password: the octets as they were typed.
    """
    return hmac.digest(secret, b"device %b\0%b" % (name.encode(), password), "sha256")


class KeyMaker:
    """Makes the keys of one office.

    :param secret: the office's key, 32 random octets or more, the same for all its workers and for good:
        when it changes, so do the salts of those who do not exist, and of nobody else. The store keeps it.
    :param iterations: the count, the same for all and for good; the store keeps it as well. What a new store
        gets, and why, is told in :mod:`mailpost.wire.scram_keys`.
    :raises ValueError: the key is too short or the count too low.
    """

    def __init__(self, secret: bytes, iterations: int = ITERATIONS) -> None:
        if len(secret) < MIN_SECRET:
            raise ValueError(f"the office's key has {MIN_SECRET} octets at least")
        if iterations < MIN_ITERATIONS:
            raise ValueError(f"RFC 7677 asks for {MIN_ITERATIONS} iterations at least")
        self._secret = secret
        self._iterations = iterations

    def make(self, name: str, password: str, beside: Sequence[ScramKeys] = ()) -> ScramKeys:
        """Make the keys of a new password.

        :param name: the account's name.
        :param beside: the keys that the account has already; the new ones take their salt and count.
        :raises BadPassword: SCRAM has no form for it.
        """
        try:
            prepared = saslprep(password, kept=True)
        except Prohibited as error:
            raise BadPassword(f"this cannot be a password: {error}") from None
        if not prepared:
            raise BadPassword("the password is empty")
        salt, iterations = self._salt(name), self._iterations
        if beside:
            salt, iterations = beside[0].salt, beside[0].iterations
        return derive(prepared.encode(), salt, iterations)

    def known(self, name: str, kept: Sequence[ScramKeys]) -> Sequence[ScramKeys]:
        """Give the keys to check somebody against: their own, or made-up ones which no password fits.

        :param name: the account's name as ``login_name`` gives it; where it gives none, what was typed. (So
            ``Alice`` and ``alice@example.org`` have the same salt as ``alice``, whether she exists or not.)
        :param kept: the account's keys; none where there is no account, or no keys of it.
        """
        made_up = self._made_up(name)  # for those who exist too: time does not tell
        return kept or (made_up,)

    def _made_up(self, name: str) -> ScramKeys:
        return ScramKeys(
            self._salt(name),
            self._iterations,
            self._digest(b"stored key", name),
            self._digest(b"server key", name),
        )

    def _salt(self, name: str) -> bytes:
        return self._digest(b"salt", name)[:SALT_OCTETS]

    def _digest(self, purpose: bytes, name: str) -> bytes:
        return hmac.digest(self._secret, b"scram %b\0%b" % (purpose, name.encode()), "sha256")


def keys_to_keep(maker: KeyMaker, name: str, password: bytes) -> str | None:
    """Make the text that is kept of a main password's keys; None where SCRAM has no form for it."""
    try:
        return encode(maker.make(name, password.decode()))
    except ValueError:  # not UTF-8, or BadPassword
        return None


def fitting(keys: Sequence[ScramKeys], password: bytes) -> ScramKeys | None:
    """Find the keys that a password belongs to, as PLAIN and USER offer it; None: to none of them.

    Takes as long as one derivation, whether and whichever fits, so that the keys of :meth:`KeyMaker.known`
    tell nothing of who exists.

    :param keys: one or more, of one salt and count.
    :param password: UTF-8 as it was typed.
    """
    prepared = _prepared(password)
    offered = derive(prepared or b"", keys[0].salt, keys[0].iterations)
    found = None
    for one in keys:
        if hmac.compare_digest(offered.stored_key, one.stored_key):
            found = one
    return found if prepared else None


def _prepared(password: bytes) -> bytes | None:
    try:
        return saslprep(password.decode()).encode()
    except ValueError:  # not UTF-8, or Prohibited
        return None


def encode(keys: ScramKeys) -> str:
    """Write keys as the text that is kept."""
    salt, stored, server = (
        encode_base64(octets).decode("ascii")
        for octets in (keys.salt, keys.stored_key, keys.server_key)
    )
    return f"SCRAM-SHA-256${keys.iterations}:{salt}${stored}:{server}"


def decode(text: str) -> ScramKeys:
    """Read keys back from the text that is kept.

    :raises BadKeys: it is none.
    """
    match = _KEPT.fullmatch(text)
    if match is None or not text.isascii():
        raise BadKeys("this is not SCRAM-SHA-256$count:salt$stored:server")
    salt, stored, server = (decode_base64(part.encode()) for part in match.groups()[1:])
    if not salt or not stored or not server or {len(stored), len(server)} != {KEY_OCTETS}:
        raise BadKeys("the keys are damaged")
    return ScramKeys(salt, int(match[1]), stored, server)
