"""TLS records written by hand, for what no client's library can be asked to send.

The client shakes hands by OpenSSL; its secrets are taken from there, and from then on its records are made
here. Nothing that OpenSSL would send must come in between. The suite is AES-256-GCM with SHA-384.
"""

from __future__ import annotations

import hmac
import re

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

HANDSHAKE, APPLICATION = 22, 23


class Records:
    """A client's records under TLS 1.3 (RFC 8446 §5.2, §5.3, §7.1, §7.2).

    :ivar client: OpenSSL's side; what is said to it, it understands.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384")
        context.set_keylog_callback(lambda _, line: self._lines.append(line))
        self.client = SSL.Connection(context)
        self.client.set_connect_state()
        self._secret = b""
        self._number = 0

    def application(self, octets: bytes) -> bytes:
        """What is said, as a record."""
        return self._record(octets, APPLICATION)

    def key_update(self, *, request: bool = True) -> bytes:
        """New keys, and whether the other side is to take new ones, too (§4.6.3)."""
        record = self._record(b"\x18\0\0\1" + bytes([request]), HANDSHAKE)
        self._secret = self._expand(b"traffic upd", 48)
        self._number = 0
        return record

    def _record(self, octets: bytes, kind: int) -> bytes:
        if not self._secret:
            told = re.search(rb"CLIENT_TRAFFIC_SECRET_0 \S+ (\S+)", b"\n".join(self._lines))
            assert told
            self._secret = bytes.fromhex(told[1].decode())
        inner = octets + bytes([kind])
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        iv = int.from_bytes(self._expand(b"iv", 12), "big") ^ self._number
        self._number += 1
        key = AESGCM(self._expand(b"key", 32))
        return header + key.encrypt(iv.to_bytes(12, "big"), inner, header)

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(SHA384(), size, info).derive(self._secret)


class OldRecords:
    """A client's records under TLS 1.2 (RFC 5246 §5, §6.2.3.3, §6.3, RFC 5288 §3).

    :ivar client: OpenSSL's side; what is said to it, it understands.
    """

    def __init__(self) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"ECDHE+AES256+AESGCM")
        self.client = SSL.Connection(context)
        self.client.set_connect_state()
        self._number = 1  # its Finished was the first

    def hello(self) -> bytes:
        """A ClientHello in the midst of it all: one that asks to begin anew, as a record."""
        other = SSL.Connection(self.client.get_context())
        other.set_connect_state()
        try:
            other.do_handshake()
        except SSL.WantReadError:
            return self._record(other.bio_read(4096)[5:], HANDSHAKE)
        raise AssertionError

    def _record(self, octets: bytes, kind: int) -> bytes:
        key, salt = self._keys()
        number = self._number.to_bytes(8, "big")
        self._number += 1
        about = number + bytes([kind]) + b"\x03\x03" + len(octets).to_bytes(2, "big")
        sealed = number + AESGCM(key).encrypt(salt + number, octets, about)
        return bytes([kind]) + b"\x03\x03" + len(sealed).to_bytes(2, "big") + sealed

    def _keys(self) -> tuple[bytes, bytes]:
        client, server = self.client.client_random(), self.client.server_random()
        master = self.client.master_key()
        assert client
        assert server
        assert master
        seed = a = b"key expansion" + server + client
        block = b""
        while len(block) < 72:  # two keys of 32, two salts of 4
            a = hmac.digest(master, a, "sha384")
            block += hmac.digest(master, a + seed, "sha384")
        return block[:32], block[64:68]
