"""An authority of the tests' own, and an office with every kind of door whose certificate it has signed.

Programs that check certificates are told to trust the authority, as they would a real one, and nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .office import EncryptedOffice, free_ports

if TYPE_CHECKING:
    from pathlib import Path

HOSTNAME = "mx.example.org"

_DOORS = """
[[listen]]
protocol = "smtp"
endpoint = "tcp:{starttls}:interface=127.0.0.1"
tls = "starttls"

[[listen]]
protocol = "submission"
endpoint = "tcp:{submission}:interface=127.0.0.1"
tls = "starttls"

[[listen]]
protocol = "submission"
endpoint = "tcp:{submissions}:interface=127.0.0.1"
tls = "implicit"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{stls}:interface=127.0.0.1"
tls = "starttls"

[[listen]]
protocol = "pop3"
endpoint = "tcp:{pop3s}:interface=127.0.0.1"
tls = "implicit"

[[certificate]]
chain = "certificate.pem"
key = "key.pem"
"""


class Authority:
    """Signs certificates.

    :param file: where its own certificate is put.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the tests' authority")])
        usage = _usage(key_cert_sign=True, crl_sign=True)
        own = (
            self._begin(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        file.write_bytes(self._sign(own))

    def certify(self, folder: Path, *names: str) -> None:
        """Put a certificate for host names and addresses, and its key, in the place of those of a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        where = x509.UniformResourceIdentifier("http://ca.example.org/revoked.crl")
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = (
            self._begin(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(server, critical=False)
            .add_extension(x509.SubjectAlternativeName(list(map(_named, names))), critical=False)
            .add_extension(
                x509.CRLDistributionPoints([x509.DistributionPoint([where], None, None, None)]),
                critical=False,
            )
        )
        (folder / "certificate.pem").write_bytes(self._sign(certificate))
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _begin(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        mine = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(mine), critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _usage(**granted: bool) -> x509.KeyUsage:
    kinds = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**dict.fromkeys(kinds, False) | granted)


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class CertifiedOffice(EncryptedOffice):
    """An office whose certificate an authority has signed.

    :ivar starttls: the port of SMTP with STARTTLS.
    :ivar submission: that of submission with STARTTLS; ``submissions`` with implicit TLS, as port 465.
    :ivar stls: that of POP3 with STLS; ``pop3s`` with implicit TLS, as port 995.
    :ivar certificate: the authority's own, for those who are to trust it.
    :param more: further doors, as TOML.
    """

    def __init__(self, folder: Path, more: str = "", **settings: str) -> None:
        super().__init__(folder, **settings)
        ports = free_ports(5)
        self.starttls, self.submission, self.submissions, self.stls, self.pop3s = ports
        authority = Authority(folder / "ca.pem")
        authority.certify(folder, HOSTNAME, "localhost", "127.0.0.1", "::1")
        self.certificate = str(authority.file)
        with self.config.open("a") as file:
            file.write(_DOORS.format(**vars(self)) + more)
