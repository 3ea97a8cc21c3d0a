"""What a room learns of a connection: names for the log, and what a login is bound to."""

from __future__ import annotations

import ssl

import pytest
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailpost.tls import ServerTLS, channel_bindings, protocol_and_cipher
from mailpost.tls.session import tls_connection

from .pki import Client, accept, client_context, pyopenssl_client, shake_hands, write_pair


class Transport:
    """As after startTLS, or as implicit TLS puts between."""

    def __init__(self, connection):
        self.getHandle = lambda: connection


@pytest.fixture
def server(tmp_path):
    return ServerTLS([write_pair(tmp_path, "a", "ecdsa", "a.example")], Clock())


def export(client):
    return client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")


def test_tls_1_3(server):
    """RFC 9266: both sides export the same."""
    client, connection = pyopenssl_client(SSL.TLS1_3_VERSION), accept(server)
    transport = Transport(connection)
    assert channel_bindings(transport) == {}
    assert protocol_and_cipher(transport) is None
    shake_hands(client, connection)
    assert channel_bindings(transport) == {"tls-exporter": export(client)}
    assert protocol_and_cipher(transport) == ("TLSv1.3", client.get_cipher_name())


def test_tls_1_2(server):
    """RFC 5929 §3: the client's Finished message came first. Exporting is as good there."""
    client, connection = pyopenssl_client(SSL.TLS1_2_VERSION), accept(server)
    shake_hands(client, connection)
    assert channel_bindings(Transport(connection)) == {
        "tls-unique": client.get_finished(),
        "tls-exporter": export(client),
    }
    assert protocol_and_cipher(Transport(connection))[0] == "TLSv1.2"


def test_as_python_sees_it(server):
    """An implementation that is not ours computes the same, in a resumed session too."""
    context = client_context(ssl.TLSVersion.TLSv1_2)
    session = None
    seen = []
    for _ in range(2):
        connection = accept(server)
        client = Client(context, None, session).shake(connection)
        session = client.tls.session
        ours = channel_bindings(Transport(connection))["tls-unique"]
        assert ours == client.tls.get_channel_binding("tls-unique")
        seen.append((client.tls.session_reused, ours))
    assert [reused for reused, _ in seen] == [False, True]
    assert seen[0][1] != seen[1][1]


def test_without_an_extended_master_secret(server, monkeypatch):
    """RFC 7627: a resumed session of such a client could be somebody's in between."""

    class Old:
        def __init__(self, resumed):
            self.resumed = resumed

        def SSL_session_reused(self, _):
            return self.resumed

        def SSL_get_extms_support(self, _):
            return 0

    client, connection = pyopenssl_client(SSL.TLS1_2_VERSION), accept(server)
    shake_hands(client, connection)
    monkeypatch.setattr("mailpost.tls.session._openssl", Old(0))
    assert channel_bindings(Transport(connection)) == {"tls-unique": client.get_finished()}
    monkeypatch.setattr("mailpost.tls.session._openssl", Old(1))
    assert channel_bindings(Transport(connection)) == {}


def test_without_tls():
    """A transport in the clear."""
    for transport in (StringTransport(), Transport(object()), object()):
        assert tls_connection(transport) is None
        assert channel_bindings(transport) == {}
        assert protocol_and_cipher(transport) is None
