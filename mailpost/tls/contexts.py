"""What OpenSSL is told: versions, ciphers, and which certificate for whom.

TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers only (RFC 8996, RFC 9325 §4), no compression,
no renegotiation. The groups are OpenSSL's own choice, all of them sound and the post-quantum ones among
them as soon as it knows them. The certificate is the one for the name that was asked for (RFC 6066 §3), ECDSA
or RSA as the client can.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from OpenSSL import SSL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailpost.tls.certificates import KeyPair

# For TLS 1.2; no CBC, no RSA key exchange, no finite field groups.
_CIPHERS = b"ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20"
# All that TLS 1.3 has, the one first that everybody has (RFC 8446 §9.1): with SHA-384 a handshake, which is a
# chain of digests, takes a tenth more, since processors know SHA-256 by themselves.
_SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
_SESSION_CONTEXT = b"mailpost"


class _Connection(SSL.Connection):
    """Keeps the contexts that it came from, one of which OpenSSL calls back until it is closed."""

    contexts: Contexts


class Contexts:
    """An OpenSSL context for every name, all made at one time from the certificates there were.

    Sessions and tickets do not belong to them (:mod:`mailpost.tls.tickets`), so they are good with
    whichever name and certificate they began.
    """

    def __init__(self, pairs: Sequence[KeyPair]) -> None:
        first = {pairs[0].kind: pairs[0]}
        for pair in pairs:
            if set(pair.description.names) & set(pairs[0].description.names):
                first.setdefault(pair.kind, pair)
        self._first = make_context(list(first.values()))
        by_pairs = {_same(first): self._first}
        self._by_name: dict[str, SSL.Context] = {}
        for name in {name for pair in pairs for name in pair.description.names}:
            # Of one kind the first that is listed counts.
            chosen = {pair.kind: pair for pair in reversed(pairs) if name in pair.description.names}
            key = _same(chosen)
            if key not in by_pairs:
                by_pairs[key] = make_context(list(chosen.values()))
            self._by_name[name] = by_pairs[key]
        if len(by_pairs) > 1:  # to be called back and to look takes 7 % of a hello's time
            self._first.set_tlsext_servername_callback(self._choose)

    def connection(self, tickets: SSL.Context) -> SSL.Connection:
        """A new connection, on memory, that waits for the peer's first word.

        :param tickets: whose keys and whose cache count for its session.
        """
        connection = _Connection(tickets)
        connection.set_context(self._first)
        connection.contexts = self
        connection.set_accept_state()
        return connection

    def _choose(self, connection: SSL.Connection) -> None:
        """The client has named the server: show the certificate of that name, if there is one."""
        asked = connection.get_servername()
        if asked is None:
            return
        name = asked.decode("ascii", "replace").lower().rstrip(".")
        context = self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")
        if context is not None:
            connection.set_context(context)


def _same(chosen: Mapping[str, KeyPair]) -> tuple[int, ...]:
    """What is the same for the same pairs."""
    return tuple(sorted(map(id, chosen.values())))


def make_context(pairs: Sequence[KeyPair]) -> SSL.Context:
    """A context with these certificates, one of a kind, or with none.

    :raises SSL.Error: OpenSSL does not take one.
    :raises OSError: there is no room for a temporary file.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS)
    context.set_tls13_ciphersuites(_SUITES)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection need not hold 34 KB
    context.set_session_id(_SESSION_CONTEXT)
    for pair in pairs:
        # Only from a file does OpenSSL take a chain for each of several certificates; and the files
        # themselves may have changed since they were checked.
        with TemporaryDirectory() as folder:
            chain = Path(folder, "chain.pem")
            chain.write_bytes(pair.pem)
            context.use_certificate_chain_file(str(chain))
        context.use_privatekey(pair.key)
    return context
