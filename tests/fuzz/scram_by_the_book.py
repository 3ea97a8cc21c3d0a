"""SCRAM-SHA-256 worked out a second time, from RFC 5802 alone: what the fuzzed engine is held against.

The office's part of the nonce, its salt and its channel bindings are always the same here. In what the
client says ``<N>`` stands for the nonce of both, ``<C>`` for the header and the binding that belong to it,
``<P>`` for the right proof.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode

from mailpost.wire.scram_keys import ScramKeys, derive

NONCE = "ours+0123"
SALT = bytes(range(16))
COUNT = 1
BINDINGS = {"tls-exporter": b"x" * 32, "tls-unique": b"y" * 12}
PASSWORDS = (b"pencil", b"of a device")
KEYS: tuple[ScramKeys, ...] = tuple(derive(password, SALT, COUNT) for password in PASSWORDS)

_NAME = re.compile(rb"(?:[!-+\--<>-~]|=2C|=3D)+")  # such as SASLprep leaves as they are
_NONCE = re.compile(rb"[!-+\--~]{1,512}")
_EXTENSION = re.compile(rb"[A-Za-z]=[!-+\--~]+")


def filled_in(first: bytes, final: bytes, password: bytes) -> bytes:
    """The client's last message, with what its marks stand for."""
    *header, bare = first.split(b",", 2)
    nonce = next((part[2:] for part in bare.split(b",") if part.startswith(b"r=")), b"")
    binding = BINDINGS.get(header[0].removeprefix(b"p=").decode("latin-1"), b"") if header else b""
    bound = b",".join([*header, b""]) + binding
    final = final.replace(b"<N>", nonce + NONCE.encode()).replace(b"<C>", b64encode(bound))
    message = _message(first, final.replace(b",p=<P>", b""))
    salted = hashlib.pbkdf2_hmac("sha256", password, SALT, COUNT)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return final.replace(b"<P>", b64encode(proof))


def passes(
    first: bytes, final: bytes, *, plus: bool, offered: bool, passwords: tuple[bytes, ...]
) -> bool | None:
    """Whether these two messages log somebody in; None: that is for others to judge.

    :param plus: whether the mechanism is the -PLUS variant.
    :param offered: whether there is TLS, and so a binding.
    :param passwords: any of them is right.
    """
    if max(len(first), len(final)) > 1000 or not (first + final).isascii() or b" " in first + final:
        return None
    flag, authorization, name, nonce, *extensions = [*first.split(b","), b"", b"", b""][
        : max(4, first.count(b",") + 1)
    ]
    right_flag = (
        flag.removeprefix(b"p=").decode() in BINDINGS and flag.startswith(b"p=")
        if plus
        else flag == b"n" or (flag == b"y" and not offered)
    )
    well_formed = (
        right_flag
        and name.startswith(b"n=")
        and _NAME.fullmatch(name[2:])
        and authorization in {b"", b"a=" + name[2:]}
        and nonce.startswith(b"r=")
        and _NONCE.fullmatch(nonce[2:])
        and all(map(_EXTENSION.fullmatch, extensions))
    )
    if not well_formed:
        return False
    bound = b",".join((flag, authorization, b""))
    if plus:
        bound += BINDINGS[flag[2:].decode()]
    without_proof, _, proof = final.rpartition(b",p=")
    expected = [b"c=" + b64encode(bound), nonce + NONCE.encode()]
    said = without_proof.split(b",")
    if said[:2] != expected or not all(map(_EXTENSION.fullmatch, said[2:])):
        return False
    message = _message(first, without_proof)
    return any(_proves(proof, message, password) for password in passwords)


def _message(first: bytes, without_proof: bytes) -> bytes:
    """RFC 5802 §3, AuthMessage."""
    bare = first.split(b",", 2)[-1]
    nonce = next((part[2:] for part in bare.split(b",") if part.startswith(b"r=")), b"")
    server = b"r=%b,s=%b,i=%d" % (nonce + NONCE.encode(), b64encode(SALT), COUNT)
    return b",".join((bare, server, without_proof))


def _proves(proof: bytes, message: bytes, password: bytes) -> bool:
    salted = hashlib.pbkdf2_hmac("sha256", password, SALT, COUNT)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    right = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return proof == b64encode(right)


def signature(first: bytes, final: bytes, password: bytes) -> bytes:
    """What the client must hear last, so that it knows whom it speaks with."""
    salted = hashlib.pbkdf2_hmac("sha256", password, SALT, COUNT)
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    message = _message(first, final.rpartition(b",p=")[0])
    return b"v=" + b64encode(hmac.digest(server_key, message, "sha256"))
