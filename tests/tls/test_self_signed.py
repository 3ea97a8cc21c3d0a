"""A certificate for an office that has none."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
from twisted.internet.task import Clock

from mailpost.tls import CertificateFiles, ServerTLS, TLSError, describe, make_self_signed

from .pki import NOW, Client, accept


def test_made_and_described(tmp_path):
    """For names and addresses, for two years and a quarter, for nobody else's eyes."""
    chain, key = make_self_signed(tmp_path, ["mx.example.org", "127.0.0.1", "[::1]"])
    described = describe(chain)
    assert described.names == ("mx.example.org", "127.0.0.1", "::1")
    assert described.self_signed
    assert described.key == "ECDSA secp256r1"
    assert timedelta(days=824) < described.not_after - NOW < timedelta(days=826)
    assert described.not_before < NOW
    assert {path.stat().st_mode & 0o777 for path in (chain, key)} == {0o600}


def test_a_client_that_trusts_it_verifies_it(tmp_path):
    """It is strict enough for a client that checks everything."""
    chain, key = make_self_signed(tmp_path, ["mx.example.org", "127.0.0.1"])
    context = ssl.create_default_context(cafile=chain)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ServerTLS([CertificateFiles(chain, key)], Clock())
    for hostname in ("mx.example.org", "127.0.0.1"):
        Client(context, hostname).shake(accept(server))
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(context, "other.example").shake(accept(server))


def test_a_long_name(tmp_path):
    """Longer than a common name can be."""
    long = ".".join(["a" * 60] * 3) + ".example"
    assert describe(make_self_signed(tmp_path, [long])[0]).names == (long,)


def test_nothing_is_overwritten(tmp_path):
    """Neither the certificate nor the key."""
    chain, key = make_self_signed(tmp_path, ["mx.example.org"])
    before = key.read_bytes()
    for path in (chain, key):
        with pytest.raises(TLSError, match="is there already"):
            make_self_signed(tmp_path, ["mx.example.org"])
        path.unlink()
        if path == chain:
            assert key.read_bytes() == before


def test_what_cannot_be_done_is_told(tmp_path):
    """A folder that is not there; a name that is none."""
    with pytest.raises(TLSError, match="cannot be written"):
        make_self_signed(tmp_path / "nowhere", ["mx.example.org"])
    with pytest.raises(TLSError, match="write it as xn--"):
        make_self_signed(tmp_path, ["bücher.example"])
