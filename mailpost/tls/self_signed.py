"""A certificate for an office that has none from an authority (yet).

``mailpost init`` makes one, so that no office begins without TLS. Programs that check certificates have to
be told to trust it; mail servers among themselves do not check them (RFC 7435).
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailpost.tls.certificates import TLSError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VALID_DAYS = 825
"""How long it is valid: as long as Apple's programs take at most."""

_MAX_COMMON_NAME = 64  # RFC 5280 appendix A.1, ub-common-name


def make_self_signed(folder: Path, hostnames: Sequence[str]) -> tuple[Path, Path]:
    """Make a certificate and its key.

    Its key is ECDSA on P-256. Both files, ``certificate.pem`` and ``key.pem``, are for their owner alone.

    :param folder: where to put them; it is there.
    :param hostnames: host names and IP addresses it is for, one or more.
    :returns: the certificate's path and the key's.
    :raises TLSError: a file is there already, or cannot be written, or a name is none.
    """
    paths = folder / "certificate.pem", folder / "key.pem"
    for path in paths:
        if path.exists():
            raise TLSError(f"{path} is there already: move it away to make a new one")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, hostnames)
    _write(
        paths[1],
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write(paths[0], certificate.public_bytes(serialization.Encoding.PEM))
    return paths


def _self_signed(key: ec.EllipticCurvePrivateKey, hostnames: Sequence[str]) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostnames[0][:_MAX_COMMON_NAME])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a client's clock may be late
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in hostnames]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(name.strip("[]")))
    try:
        return x509.DNSName(name)
    except ValueError:
        raise TLSError(f'"{name}" has letters outside ASCII: write it as xn--...') from None


def _write(path: Path, octets: bytes) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(octets)
            stream.flush()
            os.fsync(file)
    except OSError as error:
        raise TLSError(
            f"{path} cannot be written ({error.strerror}): name a folder that can"
        ) from None
