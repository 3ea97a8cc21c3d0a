"""Certificates and their keys: read, checked, described.

Everything that may be wrong with the files is found here,
before anything of them is used, and told in one sentence that says what to do (RFC 5280 §4).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_MIN_RSA_BITS = 2048  # RFC 9325 §4.5; OpenSSL refuses less

_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class TLSError(Exception):
    """A certificate or its key cannot be used; the message is a sentence that says what to do."""


@dataclass(frozen=True)
class CertificateFiles:
    """Where a certificate is, as PEM.

    :ivar chain: the certificate, then those that lead to a root, each signed by the next.
    :ivar key: its private key, not encrypted; may be the same file.
    """

    chain: Path
    key: Path


@dataclass(frozen=True)
class Description:
    """A certificate, for people.

    :ivar names: the host names and IP addresses it is for; a host name may begin with ``*.``.
    :ivar key: such as ``ECDSA secp256r1`` or ``RSA 2048``.
    """

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    self_signed: bool
    key: str

    def flaw(self, now: datetime) -> str | None:
        """What a client will not like about its dates."""
        if now > self.not_after:
            return f"expired on {self.not_after:%Y-%m-%d}"
        if now < self.not_before:
            return f"is not valid before {self.not_before:%Y-%m-%d %H:%M} UTC"
        return None


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its chain and its key, known to belong together.

    :ivar chain: the certificate itself comes first.
    """

    path: Path
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey
    description: Description

    @property
    def kind(self) -> str:
        """``RSA``, ``ECDSA`` or ``Ed25519``: a TLS server has room for one of each."""
        return self.description.key.partition(" ")[0]

    @property
    def pem(self) -> bytes:
        """The chain, as OpenSSL reads it."""
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.chain)

    def flaws(self, now: datetime) -> list[str]:
        """What is wrong with it but does not keep it from being used, ready for the log."""
        flaws = []
        if (flaw := self.description.flaw(now)) is not None:
            flaws.append(f"the certificate in {self.path} {flaw}: renew it")
        if any(one.issuer != above.subject for one, above in pairwise(self.chain)):
            flaws.append(
                f"the chain in {self.path} is not in order: put the certificate first, "
                "then those that lead to the root, each before its issuer"
            )
        return flaws


# Reading ------------------------------------------------------------------------------------------


def read_pair(files: CertificateFiles) -> KeyPair:
    """Read a certificate and its key, and check that they belong together.

    :raises TLSError: they cannot be used; says what to do.
    """
    chain = _read_chain(files.chain)
    key = _read_key(files.key)
    if _public(key) != _public(chain[0]):
        raise TLSError(
            f"the key in {files.key} does not belong to the certificate in {files.chain}: "
            "name the key that the certificate was made for"
        )
    return KeyPair(files.chain, chain, key, _describe(chain[0]))


def describe(path: Path) -> Description:
    """Tell what a certificate is.

    :param path: a PEM file; its first certificate counts.
    :raises TLSError: it cannot be read.
    """
    return _describe(_read_chain(path)[0])


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise TLSError(f"there is no file {path}: put the {what} there as PEM") from None
    except PermissionError:
        raise TLSError(
            f"{path} may not be read: give the user that mailpost runs as the right to read the {what}"
        ) from None
    except OSError as error:
        raise TLSError(
            f"{path} cannot be read ({error.strerror}): put the {what} there as PEM"
        ) from None


def _read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    octets = _read(path, "certificate")
    try:
        chain = tuple(x509.load_pem_x509_certificates(octets))
        _describe(chain[0])  # the extensions are parsed when asked for
    except _UNREADABLE:
        raise TLSError(
            f"{path} holds no certificate that can be read: "
            "it is to begin with -----BEGIN CERTIFICATE-----"
        ) from None
    return chain


def _read_key(path: Path) -> PrivateKey:
    octets = _read(path, "private key")
    try:
        key = serialization.load_pem_private_key(octets, None)
    except TypeError:
        raise TLSError(
            f"the key in {path} is encrypted, and nobody is there to type its password: "
            f"decrypt it with openssl pkey -in {path} -out NEW-FILE"
        ) from None
    except _UNREADABLE:
        raise TLSError(
            f"{path} holds no private key that can be read: "
            "it is to begin with -----BEGIN PRIVATE KEY-----"
        ) from None
    if not isinstance(key, PrivateKey):
        raise TLSError(f"the key in {path} is of a kind that TLS does not use: make an ECDSA key")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _MIN_RSA_BITS:
        raise TLSError(
            f"the RSA key in {path} has {key.key_size} bits, too few to be trusted: "
            f"make one of {_MIN_RSA_BITS} or more, or an ECDSA key"
        )
    return key


def _public(of: PrivateKey | x509.Certificate) -> bytes:
    return of.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _describe(certificate: x509.Certificate) -> Description:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        # Clients have looked at nothing else for years (RFC 9525 §2); still it is what was meant.
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        told = [str(one.value) for one in common]
    else:
        told = names.get_values_for_type(x509.DNSName)
        told += [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    return Description(
        tuple(name.lower() for name in told),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        _is_self_signed(certificate),
        _name_key(certificate.public_key()),
    )


def _is_self_signed(certificate: x509.Certificate) -> bool:
    with suppress(ValueError, TypeError, InvalidSignature):
        certificate.verify_directly_issued_by(certificate)
        return True
    return False


def _name_key(key: object) -> str:
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {key.curve.name}"
        case _:
            return type(key).__name__.removesuffix("PublicKey")
