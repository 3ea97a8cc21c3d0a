"""What is known of a connection that speaks TLS: for the log, the postmark, and SCRAM-SHA-256-PLUS.

Asked by the rooms, of whatever transport they have.
"""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL._util import lib as _openssl


def tls_connection(transport: object) -> SSL.Connection | None:
    """OpenSSL's side of a transport; None where it does not speak TLS.

    Right for both: the protocol that implicit TLS puts between, and a transport after ``startTLS``.
    """
    get_handle = getattr(transport, "getHandle", None)
    handle = None if get_handle is None else get_handle()
    return handle if isinstance(handle, SSL.Connection) else None


def protocol_and_cipher(transport: object) -> tuple[str, str] | None:
    """``("TLSv1.3", "TLS_AES_256_GCM_SHA384")``; None without TLS, or before the handshake is over."""
    connection = tls_connection(transport)
    cipher = None if connection is None else connection.get_cipher_name()
    if connection is None or cipher is None:
        return None
    return connection.get_protocol_version_name(), cipher


def channel_bindings(transport: object) -> dict[str, bytes]:
    """What the peer's login may be bound to, by the registered names; empty without TLS.

    ``tls-exporter`` on TLS 1.3 (RFC 9266); on TLS 1.2 ``tls-unique`` (RFC 5929 §3), and ``tls-exporter`` too
    where the master secret is bound to the handshake (RFC 7627). Where it is not, a resumed session could be
    somebody's in between, so there is nothing to bind to.
    """
    connection = tls_connection(transport)
    if connection is None or connection.get_peer_finished() is None:
        return {}
    if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
        return {"tls-exporter": _export(connection)}
    # pyOpenSSL has no word for these two questions.
    ssl = connection._ssl  # noqa: SLF001
    resumed = bool(_openssl.SSL_session_reused(ssl))
    if not _openssl.SSL_get_extms_support(ssl):
        return {} if resumed else {"tls-unique": connection.get_peer_finished() or b""}
    # The first Finished message: the client's, but in a resumed session the server's (RFC 5246 §7.3).
    first = connection.get_finished() if resumed else connection.get_peer_finished()
    return {"tls-unique": first or b"", "tls-exporter": _export(connection)}


def _export(connection: SSL.Connection) -> bytes:
    return connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
