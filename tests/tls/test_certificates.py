"""Certificates and keys, read and checked before they are used."""

from __future__ import annotations

import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from mailpost.tls import CertificateFiles, TLSError, describe
from mailpost.tls.certificates import read_pair

from .pki import NOW, certificate, key_pem, make_key, name, pem, write_pair


@pytest.mark.parametrize(
    ("kind", "described"),
    [("ecdsa", "ECDSA secp256r1"), ("rsa", "RSA 2048"), ("ed25519", "Ed25519")],
)
def test_a_pair_is_read_and_described(tmp_path, kind, described):
    """The three kinds of keys that TLS uses; names in lower case."""
    files = write_pair(tmp_path, "a", kind, "MX.example.org", "*.example.net")
    pair = read_pair(files)
    assert pair.kind == described.split(" ")[0]
    assert pair.description == describe(files.chain)
    assert pair.description.names == ("mx.example.org", "*.example.net")
    assert pair.description.key == described
    assert pair.description.self_signed
    assert pair.flaws(NOW) == []
    assert pair.pem == files.chain.read_bytes()


def test_both_may_be_in_one_file(tmp_path):
    """The key may stand before or behind its certificate."""
    key = make_key("ecdsa")
    file = tmp_path / "both.pem"
    for octets in (
        pem(certificate(key, "a.example")) + key_pem(key),
        key_pem(key) + pem(certificate(key, "a.example")),
    ):
        file.write_bytes(octets)
        assert read_pair(CertificateFiles(file, file)).description.names == ("a.example",)


def test_names_without_the_extension(tmp_path):
    """A certificate from another age has only a common name."""
    key = make_key("ecdsa")
    old = (
        x509.CertificateBuilder()
        .subject_name(name("old.example"))
        .issuer_name(name("Some CA"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "old.pem").write_bytes(pem(old))
    described = describe(tmp_path / "old.pem")
    assert described.names == ("old.example",)
    assert not described.self_signed


def test_flaws_that_do_not_keep_it_from_being_used(tmp_path):
    """Dates, and a chain out of order."""
    expired = read_pair(write_pair(tmp_path, "a", "ecdsa", "a.example", days=(-9, -2)))
    assert "expired on" in expired.flaws(NOW)[0]
    early = read_pair(write_pair(tmp_path, "b", "ecdsa", "a.example", days=(2, 9)))
    assert "is not valid before" in early.flaws(NOW)[0]
    files = write_pair(tmp_path, "c", "ecdsa", "a.example")
    stray = certificate(make_key("ecdsa", 1), "stray.example")
    files.chain.write_bytes(files.chain.read_bytes() + pem(stray))
    assert "not in order" in read_pair(files).flaws(NOW)[0]


def test_a_chain_in_order(tmp_path):
    """Each certificate's issuer follows it."""
    root_key, key = make_key("ecdsa", 1), make_key("ecdsa")
    root = certificate(root_key, "root", ca=True)
    leaf = certificate(key, "a.example", issuer=root, issuer_key=root_key)
    files = CertificateFiles(tmp_path / "a.pem", tmp_path / "a.key")
    files.chain.write_bytes(pem(leaf, root))
    files.key.write_bytes(key_pem(key))
    pair = read_pair(files)
    assert pair.flaws(NOW) == []
    assert len(pair.chain) == 2
    assert not pair.description.self_signed


def spoil_nothing_there(files):
    files.chain.unlink()


def spoil_no_key(files):
    files.key.unlink()


def spoil_folder(files):
    files.chain.unlink()
    files.chain.mkdir()


def spoil_other_key(files):
    files.key.write_bytes(key_pem(make_key("ecdsa", 1)))


def spoil_encrypted(files):
    files.key.write_bytes(key_pem(make_key("ecdsa"), b"secret"))


def spoil_rubbish(files):
    files.chain.write_bytes(b"rubbish")


def spoil_damaged(files):
    files.chain.write_bytes(files.chain.read_bytes().replace(b"A", b"B"))


def spoil_rubbish_key(files):
    files.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def spoil_dsa(files):
    files.key.write_bytes(key_pem(dsa.generate_private_key(1024)))


def spoil_short(files):
    short = rsa.generate_private_key(65537, 1024)
    files.chain.write_bytes(pem(certificate(short, "a.example")))
    files.key.write_bytes(key_pem(short))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_nothing_there, "there is no file {chain}: put the certificate there"),
        (spoil_no_key, "there is no file {key}: put the private key there"),
        (spoil_folder, "{chain} cannot be read (Is a directory)"),
        (spoil_other_key, "the key in {key} does not belong to the certificate in {chain}"),
        (spoil_encrypted, "the key in {key} is encrypted"),
        (spoil_rubbish, "{chain} holds no certificate that can be read"),
        (spoil_damaged, "{chain} holds no certificate that can be read"),
        (spoil_rubbish_key, "{key} holds no private key that can be read"),
        (spoil_dsa, "the key in {key} is of a kind that TLS does not use"),
        (spoil_short, "the RSA key in {key} has 1024 bits"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(tmp_path, spoil, told):
    """The file's name, what is wrong with it, what to do."""
    files = write_pair(tmp_path, "a", "ecdsa", "a.example")
    spoil(files)
    with pytest.raises(TLSError) as raised:
        read_pair(files)
    message = str(raised.value)
    assert message.startswith(told.format(chain=files.chain, key=files.key))
    assert ": " in message
    assert "\n" not in message


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_key_that_may_not_be_read(tmp_path):
    """The right is missing, and is what to give."""
    files = write_pair(tmp_path, "a", "ecdsa", "a.example")
    files.key.chmod(0)
    with pytest.raises(TLSError, match="may not be read: give the user"):
        read_pair(files)


def test_a_key_that_the_system_withholds(tmp_path, monkeypatch):
    """As above, for whoever runs the tests."""
    files = write_pair(tmp_path, "a", "ecdsa", "a.example")
    monkeypatch.setattr(
        "pathlib.Path.read_bytes", lambda path: (_ for _ in ()).throw(PermissionError(13, "no"))
    )
    with pytest.raises(TLSError, match="may not be read: give the user"):
        read_pair(files)
