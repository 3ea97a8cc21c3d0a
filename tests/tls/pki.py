"""Certificates of every kind, and clients that shake hands with them in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from mailpost.tls import CertificateFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailpost.tls import ServerTLS

NOW = datetime.now(UTC)

_KEYS: dict[str, Callable[[], object]] = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@cache
def make_key(kind: str, number: int = 0):
    """A key; the same one for the same arguments, for RSA keys take their time."""
    return _KEYS[kind]()


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(key, *names: str, days=(-1, 30), issuer=None, issuer_key=None, ca=False):
    """A certificate for host names; self-signed unless it has an issuer."""
    subject = name(names[0])
    algorithm = hashes.SHA256()
    signer = issuer_key or key
    if isinstance(signer, ed25519.Ed25519PrivateKey):
        algorithm = None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
    )
    return builder.sign(signer, algorithm)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def key_pem(key, password: bytes | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


def write_pair(folder: Path, stem: str, kind: str, *names: str, number=0, **rest):
    """A self-signed certificate and its key in a folder."""
    key = make_key(kind, number)
    files = CertificateFiles(folder / f"{stem}.pem", folder / f"{stem}.key")
    files.chain.write_bytes(pem(certificate(key, *names, **rest)))
    files.key.write_bytes(key_pem(key))
    return files


def accept(server: ServerTLS) -> SSL.Connection:
    """The server's side of a connection."""
    return server.connection()


@dataclass
class Client:
    """Python's own client, on another copy of OpenSSL than the server's."""

    context: ssl.SSLContext
    hostname: str | None = None
    session: ssl.SSLSession | None = None

    def __post_init__(self):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self.context.wrap_bio(
            self.incoming, self.outgoing, server_hostname=self.hostname, session=self.session
        )

    def shake(self, server: SSL.Connection) -> Client:
        """Both hands, and whatever the server sends after it (tickets)."""
        done = False
        for _ in range(6):
            if not done:
                try:
                    self.tls.do_handshake()
                    done = True
                except ssl.SSLWantReadError:
                    pass
            if octets := self.outgoing.read():
                server.bio_write(octets)
            try:
                server.do_handshake()
            except SSL.WantReadError:
                pass
            finally:
                self._take(server)
        assert done
        server.send(b"!")
        self._take(server)
        assert self.tls.read(1) == b"!"
        return self

    def _take(self, server: SSL.Connection):
        try:
            while True:
                self.incoming.write(server.bio_read(65536))
        except SSL.WantReadError:
            pass

    @property
    def shown(self) -> x509.Certificate:
        """The certificate that the server showed."""
        return x509.load_der_x509_certificate(self.tls.getpeercert(binary_form=True))

    @property
    def name(self) -> str:
        return self.shown.subject.rfc4514_string().removeprefix("CN=")


def client_context(version=None, ciphers=None) -> ssl.SSLContext:
    """One that checks nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def pyopenssl_client(version=None) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    connection = SSL.Connection(context)
    connection.set_connect_state()
    return connection


def shake_hands(client: SSL.Connection, server: SSL.Connection):
    """Two pyOpenSSL connections."""
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                one.do_handshake()
            try:
                while True:
                    other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass
