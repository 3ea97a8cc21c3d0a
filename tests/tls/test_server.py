"""TLS as the server speaks it: which certificate, which version, new files, patience."""

from __future__ import annotations

import gc
import ssl
from tempfile import TemporaryDirectory

import pytest
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from mailpost.tls import CertificateFiles, ServerTLS, TLSError
from mailpost.tls.server import LOOK_SECONDS
from mailpost.tls.tickets import KEY_SECONDS, TicketKeys

from .pki import (
    Client,
    accept,
    certificate,
    client_context,
    key_pem,
    make_key,
    pem,
    pyopenssl_client,
    shake_hands,
    write_pair,
)

V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def files(tmp_path):
    return write_pair(tmp_path, "a", "ecdsa", "a.example")


@pytest.fixture
def server(files, clock):
    return ServerTLS([files], clock)


def shown(server, hostname=None, context=None):
    return Client(context or client_context(), hostname).shake(accept(server))


def test_what_is_shown(server):
    """The certificates in use."""
    assert [one.names for one in server.certificates] == [("a.example",)]


def test_no_certificate(clock):
    """TLS without a certificate is a mistake."""
    with pytest.raises(TLSError, match="name one in the configuration"):
        ServerTLS([], clock)


def test_a_bad_one_at_the_start(files, clock):
    """Nothing is served that is not sound."""
    files.key.write_bytes(key_pem(make_key("ecdsa", 1)))
    with pytest.raises(TLSError, match="does not belong"):
        ServerTLS([files], clock)


def test_an_expired_one_at_the_start(tmp_path, clock):
    """An office that takes mail with an expired certificate is better than none; it says so."""
    files = write_pair(tmp_path, "a", "ecdsa", "a.example", days=(-9, -1))
    with capturedLogs() as logs:
        server = ServerTLS([files], clock)
    assert [(log["log_level"], "renew it" in log["flaw"]) for log in logs] == [
        (LogLevel.warn, True)
    ]
    assert shown(server).name == "a.example"


# Versions and ciphers -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V1_2, V1_3])
def test_versions(server, version):
    """TLS 1.2 and 1.3."""
    assert shown(server, context=client_context(version)).tls.version() == version.name.replace(
        "_", "."
    )


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
def test_older_versions_are_refused(server, version):
    """RFC 8996: the alert is protocol_version, for a client that would speak anything."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    client = SSL.Connection(context)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    connection = accept(server)
    connection.bio_write(client.bio_read(65536))
    with pytest.raises(SSL.Error, match="unsupported protocol"):
        connection.do_handshake()
    assert connection.bio_read(100) == b"\x15\x03" + minor(version) + b"\0\2\2\x46"


def minor(version):
    return bytes([version & 255])


@pytest.mark.parametrize(
    "ciphers",
    [
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384",
        "AES256-GCM-SHA384",
        "DHE-RSA-AES256-GCM-SHA384",
    ],
)
def test_weak_ciphers_are_refused(tmp_path, clock, ciphers):
    """No CBC, no RSA key exchange, no finite field groups, whichever certificate."""
    both = [
        write_pair(tmp_path, "a", "ecdsa", "a.example"),
        write_pair(tmp_path, "b", "rsa", "a.example"),
    ]
    with pytest.raises(SSL.Error, match="no shared cipher"):
        shown(ServerTLS(both, clock), context=client_context(V1_2, ciphers + ":@SECLEVEL=0"))


def test_renegotiation_is_refused(server):
    """A client that wants to begin anew in the middle gets nothing for it."""
    connection = accept(server)
    client = pyopenssl_client(SSL.TLS1_2_VERSION)
    shake_hands(client, connection)
    client.renegotiate()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    connection.bio_write(client.bio_read(65536))
    with pytest.raises(SSL.WantReadError):
        connection.recv(1)
    client.bio_write(connection.bio_read(65536))
    with pytest.raises(SSL.Error):
        client.do_handshake()


# Which certificate --------------------------------------------------------------------------------


def test_ecdsa_and_rsa_together(tmp_path, clock):
    """Each client gets what it can verify; who can do both gets the cheaper one."""
    server = ServerTLS(
        [
            write_pair(tmp_path, "b", "rsa", "a.example"),
            write_pair(tmp_path, "a", "ecdsa", "a.example"),
        ],
        clock,
    )
    for hostname in (None, "a.example"):
        for ciphers, kind in (("ECDHE+aECDSA", "EC"), ("ECDHE+aRSA", "RSA"), ("ECDHE", "EC")):
            client = shown(server, hostname, client_context(V1_2, ciphers))
            assert kind in type(client.shown.public_key()).__name__
    assert "EC" in type(shown(server).shown.public_key()).__name__


def test_each_kind_has_its_own_chain(tmp_path, clock):
    """The authority that signed the RSA certificate is another than that of the ECDSA certificate."""
    made = []
    for number, kind in enumerate(("ecdsa", "rsa")):
        root_key, key = make_key("ecdsa", 10 + number), make_key(kind)
        root = certificate(root_key, f"root of {kind}".replace(" ", "-"), ca=True)
        leaf = certificate(key, "a.example", issuer=root, issuer_key=root_key)
        one = CertificateFiles(tmp_path / f"{kind}.pem", tmp_path / f"{kind}.key")
        one.chain.write_bytes(pem(leaf, root))
        one.key.write_bytes(key_pem(key))
        made.append(one)
    server = ServerTLS(made, clock)
    for ciphers, kind in ((b"ECDHE+aECDSA", "ecdsa"), (b"ECDHE+aRSA", "rsa")):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(ciphers)
        client = SSL.Connection(context)
        client.set_connect_state()
        shake_hands(client, accept(server))
        chain = client.get_peer_cert_chain(as_cryptography=True)
        assert [one.subject.rfc4514_string() for one in chain] == [
            "CN=a.example",
            f"CN=root-of-{kind}",
        ]


@pytest.fixture
def office(tmp_path, clock):
    return ServerTLS(
        [
            write_pair(tmp_path, "a", "ecdsa", "a.example"),
            write_pair(tmp_path, "b", "rsa", "b.example", "*.b.example"),
            write_pair(tmp_path, "c", "ecdsa", "c.example", "mx.c.example", number=1),
            write_pair(tmp_path, "d", "ecdsa", "again", "c.example", number=2),
        ],
        clock,
    )


@pytest.mark.parametrize("version", [V1_2, V1_3])
@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("a.example", "a.example"),
        ("b.example", "b.example"),
        ("mx.B.example", "b.example"),
        ("x.mx.b.example", "a.example"),
        ("mx.c.example", "c.example"),
        ("c.example", "c.example"),
        ("again", "again"),
        ("elsewhere.example", "a.example"),
        (None, "a.example"),
    ],
)
def test_the_name_chooses(office, asked, name, version):
    """RFC 6066 §3: exact or by a wildcard for one label; the first for all others."""
    assert shown(office, asked, client_context(version)).name == name


@pytest.mark.parametrize(
    ("version", "offered", "taken"),
    [
        (V1_3, None, "TLS_AES_128_GCM_SHA256"),
        (V1_2, None, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (V1_2, "ECDHE+AES256+AESGCM:ECDHE+CHACHA20", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (V1_2, "ECDHE+CHACHA20", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ],
)
def test_which_cipher_is_taken(server, version, offered, taken):
    """The one with the cheaper handshake, whatever the client would rather have; else what it has."""
    assert shown(server, context=client_context(version, offered)).tls.cipher()[0] == taken


# Resumption ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostname", [None, "b.example"])
@pytest.mark.parametrize("tickets", [True, False])
@pytest.mark.parametrize("version", [V1_2, V1_3])
def test_sessions_are_resumed(office, version, tickets, hostname):
    """By tickets and, on TLS 1.2, by the cache for clients that take none."""
    context = client_context(version)
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    connection = accept(office)
    first = Client(context, hostname).shake(connection)
    connection.shutdown()  # OpenSSL forgets the session of a connection that was cut off
    assert not first.tls.session_reused
    if version is V1_2:
        assert first.tls.session.has_ticket == tickets
    second = Client(context, hostname, first.tls.session).shake(accept(office))
    assert second.tls.session_reused


@pytest.mark.parametrize("version", [V1_2, V1_3])
@pytest.mark.parametrize("tickets", [True, False])
def test_one_certificate_for_whatever_name(server, version, tickets):
    """Where there is no choice a name makes no difference, not for resuming either."""
    context = client_context(version)
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    session = None
    for hostname in ("a.example", "a.example", "elsewhere.example", None):
        connection = accept(server)
        client = Client(context, hostname, session).shake(connection)
        connection.shutdown()
        assert client.name == "a.example" or client.tls.session_reused
        if hostname == "a.example":
            assert client.tls.session_reused is (session is not None)
        session = client.tls.session


@pytest.mark.parametrize("version", [V1_2, V1_3])
def test_sessions_outlive_a_certificate(tmp_path, server, version):
    """Both sides have shown that they are who they were; who begins anew is shown the new one."""
    context = client_context(version)
    first = shown(server, context=context)
    write_pair(tmp_path, "a", "ecdsa", "new.example", number=1)
    server.reload()
    again = Client(context, None, first.tls.session).shake(accept(server))
    assert again.tls.session_reused
    assert shown(server, context=context).name == "new.example"


@pytest.mark.parametrize("hostname", [None, "b.example"])
@pytest.mark.parametrize("version", [V1_2, V1_3])
def test_tickets_are_good_at_others(tmp_path, clock, version, hostname):
    """At every process that has the same keys, whatever name was asked for, and at no other."""
    files = [write_pair(tmp_path, one, "ecdsa", f"{one}.example") for one in "ab"]
    keys = TicketKeys(clock.seconds, 2)
    one, other = (ServerTLS(files, clock, tickets=keys) for _ in range(2))
    stranger = ServerTLS(files, clock)
    context = client_context(version)
    for _ in range(2):
        session = shown(one, hostname, context).tls.session
        assert Client(context, hostname, session).shake(accept(other)).tls.session_reused
        assert not Client(context, hostname, session).shake(accept(stranger)).tls.session_reused
        clock.advance(KEY_SECONDS)


def test_tickets_do_not_live_for_ever(server, clock):
    """Their keys are made anew twice a day."""
    context = client_context(V1_2)
    first = shown(server, context=context)
    clock.advance(KEY_SECONDS - 1)
    second = Client(context, None, first.tls.session).shake(accept(server))
    assert second.tls.session_reused
    clock.advance(LOOK_SECONDS)
    third = Client(context, None, first.tls.session).shake(accept(server))
    assert not third.tls.session_reused


# New files ----------------------------------------------------------------------------------------


def test_a_new_certificate_is_noticed(tmp_path, server, clock):
    """When a connection comes, at most once a second."""
    write_pair(tmp_path, "a", "ecdsa", "new.example", number=1)
    assert shown(server).name == "a.example"
    clock.advance(LOOK_SECONDS)
    with capturedLogs() as logs:
        assert shown(server).name == "new.example"
    assert [log["names"] for log in logs] == ["new.example"]
    assert server.certificates[0].names == ("new.example",)


def test_a_connection_outlives_its_certificate(tmp_path, server):
    """A handshake begun with the old one is finished with it; nothing is pulled from under OpenSSL."""
    connection = accept(server)
    write_pair(tmp_path, "a", "ecdsa", "new.example", number=1)
    server.reload()
    gc.collect()
    assert Client(client_context(), "a.example").shake(connection).name == "a.example"


def test_a_broken_file_leaves_the_old_one(files, server, clock):
    """It is logged once, however many connections come; and the next good one is taken."""
    good = files.chain.read_bytes()
    files.chain.write_bytes(b"broken")
    with capturedLogs() as logs:
        for _ in range(3):
            clock.advance(LOOK_SECONDS)
            assert shown(server).name == "a.example"
    assert [log["log_level"] for log in logs] == [LogLevel.error]
    assert "holds no certificate" in logs[0]["reason"]
    assert "the former certificate stays in use" in logs[0]["log_format"]
    files.chain.unlink()
    with capturedLogs() as logs:
        clock.advance(LOOK_SECONDS)
        shown(server)
        clock.advance(LOOK_SECONDS)
        shown(server)
    assert len(logs) == 1
    files.chain.write_bytes(good)
    with capturedLogs() as logs:
        clock.advance(LOOK_SECONDS)
        shown(server)
    assert [log["log_level"] for log in logs] == [LogLevel.info]


def test_the_key_may_follow(tmp_path, files, server, clock):
    """Between the new certificate and its key the old pair serves."""
    new = make_key("ecdsa", 1)
    files.chain.write_bytes(pem(certificate(new, "new.example")))
    clock.advance(LOOK_SECONDS)
    assert shown(server).name == "a.example"
    files.key.write_bytes(key_pem(new))
    clock.advance(LOOK_SECONDS)
    assert shown(server).name == "new.example"


def test_an_expired_one_does_not_take_a_good_ones_place(tmp_path, server):
    """But takes that of one that has expired as well."""
    write_pair(tmp_path, "a", "ecdsa", "old.example", days=(-9, -1))
    (wrong,) = server.reload()
    assert "expired on" in wrong
    assert shown(server).name == "a.example"


def test_one_broken_among_several(tmp_path, office):
    """The others are renewed all the same."""
    (tmp_path / "a.key").unlink()
    write_pair(tmp_path, "b", "rsa", "b.example", "new.b.example")
    (wrong,) = office.reload()
    assert str(tmp_path / "a.key") in wrong
    assert shown(office).name == "a.example"
    assert shown(office, "new.b.example").name == "b.example"
    assert shown(office, "other.b.example").name == "a.example"


def test_reload_on_demand(server):
    """SIGHUP: everything is read, changed or not."""
    with capturedLogs() as logs:
        assert server.reload() == ()
    assert len(logs) == 1


def test_what_openssl_does_not_take(files, clock, monkeypatch):
    """The last instance is OpenSSL itself."""

    def refuse(context, key):
        raise SSL.Error([("", "", "of a bad taste")])

    monkeypatch.setattr(SSL.Context, "use_privatekey", refuse)
    with pytest.raises(TLSError, match=r"does not take .* \(of a bad taste\)"):
        ServerTLS([files], clock)


def test_no_room_for_a_temporary_file(files, server, clock, monkeypatch):
    """Nothing new is taken, and nothing old is lost."""

    def no_room(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mailpost.tls.contexts.TemporaryDirectory", no_room)
    (wrong,) = server.reload()
    assert "No space left" in wrong
    with pytest.raises(TLSError, match="No space left"):
        ServerTLS([files], clock)
    assert shown(server).name == "a.example"


def test_no_room_at_the_last_moment(tmp_path, server, monkeypatch):
    """Room for the check, and none for the use: the administrator is told, and nothing old is lost."""
    write_pair(tmp_path, "a", "ecdsa", "new.example", number=1)
    left = [TemporaryDirectory]

    def room():
        if not left:
            raise OSError(28, "No space left on device")
        return left.pop()()

    monkeypatch.setattr("mailpost.tls.contexts.TemporaryDirectory", room)
    with capturedLogs() as logs:
        (wrong,) = server.reload()
    assert "No space left" in wrong
    assert logs[-1]["log_level"] == LogLevel.error
    assert shown(server).name == "a.example"
