"""What the server keeps of a password so that SCRAM-SHA-256 can check it (RFC 5802 §3, RFC 7677).

::

    salted password = PBKDF2-HMAC-SHA-256(password, salt, iterations)
    client key      = HMAC(salted password, "Client Key")
    stored key      = SHA-256(client key)
    server key      = HMAC(salted password, "Server Key")

Whoever has the stored key can check a client and cannot pose as one.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

KEY_OCTETS = 32

# RFC 7677 §4 asks for 4096 at least. That would do for passwords made of 140 random bits, but people's own
# have keys too, and the count is all that stands between a stolen store and guessing those. It is told
# before anybody is known, so it is one for the whole office. Cyrus SASL's client, which mutt and KMail use,
# refuses to compute more than 65,536 (plugins/scram.c), and a client that chose SCRAM seldom tries another
# mechanism then; so the 210,000 or 600,000 that are recommended for passwords would lock people out. A
# login costs the client 18 ms of a processor by OpenSSL, 60 ms by gsasl. (100,000: 31 and 90 ms; 210,000:
# 63 and 190; 600,000: 182 and 540.) The server pays only where it makes keys.
ITERATIONS = 65_536


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """The keys of one password."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def derive(password: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """Make the keys of a password that SASLprep has prepared; takes 18 ms for 65,536 iterations."""
    return _derive(password, salt, iterations)[1]


def prove(password: bytes, salt: bytes, iterations: int, message: bytes) -> tuple[bytes, bytes]:
    """Make what the client says: its proof, and the signature that it must hear in return.

    :param password: prepared by SASLprep.
    :param message: what both sides have said, RFC 5802's AuthMessage.
    """
    client_key, keys = _derive(password, salt, iterations)
    signature = hmac.digest(keys.stored_key, message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return proof, server_signature(keys, message)


def _derive(password: bytes, salt: bytes, iterations: int) -> tuple[bytes, ScramKeys]:
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    keys = ScramKeys(salt, iterations, hashlib.sha256(client_key).digest(), server_key)
    return client_key, keys


def proves(keys: ScramKeys, proof: bytes, message: bytes) -> bool:
    """Whether whoever made the proof knows the password of these keys.

    :param proof: 32 octets.
    :param message: what both sides have said, RFC 5802's AuthMessage.
    """
    signature = hmac.digest(keys.stored_key, message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)


def server_signature(keys: ScramKeys, message: bytes) -> bytes:
    """What proves to the client that we have its keys."""
    return hmac.digest(keys.server_key, message, "sha256")
