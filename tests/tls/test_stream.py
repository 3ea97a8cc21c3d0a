"""The server's side of TLS, in memory: cut as it likes, everything comes, in order and no more than that."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.task import Clock

from mailpost.tls import ServerTLS
from mailpost.tls.stream import MOST, Stream

from .pki import pyopenssl_client, write_pair
from .records import OldRecords, Records

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
RECORD = 16 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    return ServerTLS([write_pair(folder, "a", "ecdsa", "a.example")], Clock())


@pytest.fixture
def pair(server):
    return shaken(server)


def shaken(server, client=None):
    """A stream and its client, who have shaken hands."""
    stream, client = Stream(server.connection()), client or pyopenssl_client()
    for _ in range(4):
        with suppress(SSL.WantReadError):
            client.do_handshake()
        assert stream.receive(sent_by(client)) == b""
        if octets := stream.output():
            client.bio_write(octets)
    assert stream.shaken
    assert heard_by(client) == b""  # but the tickets
    return stream, client


def sent_by(client):
    octets = b""
    with suppress(SSL.WantReadError):
        while True:
            octets += client.bio_read(1 << 16)
    return octets


def heard_by(client, octets=b""):
    for start in range(0, len(octets), 1 << 16):
        client.bio_write(octets[start : start + (1 << 16)])
    heard = b""
    with suppress(SSL.WantReadError):
        while True:
            heard += client.recv(1 << 16)
    return heard


SAYING = st.lists(st.integers(0, 40_000), min_size=1, max_size=6)
CUTS = st.lists(st.integers(1, 70_000), min_size=1, max_size=8)


@VERSIONS
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(says=SAYING, cuts=CUTS)
def test_any_cut_of_what_comes(server, version, says, cuts):
    """Whatever records the peer makes, and however they are cut on their way: what it said, all of it."""
    stream, client = shaken(server, pyopenssl_client(version))
    said = b""
    for number, size in enumerate(says):
        piece = bytes([65 + number]) * size
        said += piece
        if piece:
            client.sendall(piece)
    wire, heard, number = sent_by(client), b"", 0
    while wire:
        cut = cuts[number % len(cuts)]
        heard += stream.receive(wire[:cut])
        wire, number = wire[cut:], number + 1
    assert heard == said
    assert stream.output() == b""
    assert not stream.over


@VERSIONS
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(says=st.lists(st.integers(0, 300_000) | st.just(MOST), min_size=1, max_size=4))
def test_any_size_of_what_is_sent(server, version, says):
    """Whatever is sent comes to the peer, in order, and nothing is left in OpenSSL's memory."""
    stream, client = shaken(server, pyopenssl_client(version))
    for number, size in enumerate(says):
        piece = bytes([65 + number]) * size
        assert heard_by(client, stream.send(piece)) == piece
        assert stream.output() == b""


@pytest.mark.parametrize("cut", [1, 7, 300])
def test_a_handshake_in_pieces(server, cut):
    """Hands are shaken octet by octet, if need be; what comes right behind is heard."""
    stream, client = Stream(server.connection()), pyopenssl_client()
    heard = b""
    for turn in range(3):
        with suppress(SSL.WantReadError):
            client.do_handshake()
            client.sendall(b"%d" % turn)
        wire = sent_by(client)
        for start in range(0, len(wire), cut):
            heard += stream.receive(wire[start : start + cut])
        if octets := stream.output():
            client.bio_write(octets)
    assert stream.shaken
    assert heard == b"12"


def test_many_records_are_one_piece(pair):
    """What came together is given on together, however small its records are."""
    stream, client = pair
    for _ in range(500):
        client.sendall(b"NOOP\r\n")
    assert stream.receive(sent_by(client)) == b"NOOP\r\n" * 500


def test_a_record_after_the_other(pair):
    """Records are as large as may be, and what is sent is not cut smaller than need be."""
    stream, _ = pair
    octets, sizes = stream.send(b"x" * (3 * RECORD + 1)), []
    while octets:
        assert octets[:3] == b"\x17\x03\x03"
        sizes.append(int.from_bytes(octets[3:5], "big"))
        octets = octets[5 + sizes[-1] :]
    assert [size - sizes[-1] + 1 for size in sizes] == [RECORD] * 3 + [1]


# Ends ---------------------------------------------------------------------------------------------


@VERSIONS
def test_the_peer_closes(server, version):
    """What came before close_notify is heard, what comes behind it is not; ours can still be sent."""
    stream, client = shaken(server, pyopenssl_client(version))
    client.sendall(b"bye")
    client.shutdown()
    assert stream.receive(sent_by(client) + b"\x17\x03\x03\0\1x") == b"bye"
    assert stream.over
    assert stream.receive(b"more") == b""
    stream.close(b"good bye")
    client.bio_write(stream.output())
    assert client.recv(100) == b"good bye"
    with pytest.raises(SSL.ZeroReturnError):
        client.recv(1)


@VERSIONS
def test_we_close(server, version):
    """close_notify is said once, behind everything else; nothing is sent after it."""
    stream, client = shaken(server, pyopenssl_client(version))
    stream.close(b"221 bye")
    client.bio_write(stream.output())
    assert client.recv(100) == b"221 bye"
    with pytest.raises(SSL.ZeroReturnError):
        client.recv(1)
    assert stream.send(b"too late") == b""
    stream.close(b"too late")
    assert stream.output() == b""


@pytest.mark.parametrize("begin", [b"", b"EHLO a.example\r\n", bytes(100), b"\x16\x03\x01\xff\xff"])
def test_what_is_no_tls(server, begin):
    """It is over at once; the peer is told why, if there is a word for it. No error stays behind."""
    stream = Stream(server.connection())
    assert stream.receive(begin) == b""
    assert stream.over is bool(begin)
    assert not stream.shaken
    assert stream.output()[:1] in (b"", b"\x15")
    stream.close(b"in the clear")
    assert stream.output() == b""
    assert lib.ERR_peek_error() == 0


@VERSIONS
def test_a_record_that_was_changed(server, version):
    """bad_record_mac is told; what came before it is heard, and nothing is sent any more but that."""
    stream, client = shaken(server, pyopenssl_client(version))
    client.sendall(b"good")
    good = sent_by(client)
    client.sendall(b"evil")
    evil = sent_by(client)
    heard = stream.receive(good + evil[:-1] + bytes([evil[-1] ^ 1]))
    assert heard == b"good"
    assert stream.over
    with pytest.raises(SSL.Error, match="bad record mac"):
        heard_by(client, stream.output())
    assert stream.send(b"x") == b""
    assert lib.ERR_peek_error() == 0


def test_an_error_that_others_have_left(pair):
    """OpenSSL's errors are the thread's: one that is not ours does not end a connection."""
    stream, client = pair
    client.sendall(b"NOOP")
    octets = sent_by(client)
    lib.ERR_put_error(20, 0, 1, b"elsewhere", 1)
    assert lib.ERR_peek_error()
    assert stream.receive(octets) == b"NOOP"
    assert not stream.over
    lib.ERR_put_error(20, 0, 1, b"elsewhere", 1)
    assert heard_by(client, stream.send(b"250")) == b"250"


# What TLS itself has to say -----------------------------------------------------------------------


def test_new_keys_are_answered(server):
    """KeyUpdate with a request is answered by ours (RFC 8446 §4.6.3), and both go on under new keys."""
    records = Records()
    stream, client = shaken(server, records.client)
    assert stream.receive(records.application(b"old keys")) == b"old keys"
    for _ in range(100):
        said = stream.receive(records.key_update() + records.application(b"new keys"))
        assert said == b"new keys"
        assert heard_by(client, stream.output() + bytes(stream.send(b"as well"))) == b"as well"


def test_renegotiation_is_no_way_out(server):
    """On TLS 1.2 every new hello is answered by a warning, and the connection goes on."""
    records = OldRecords()
    stream, _ = shaken(server, records.client)
    for _ in range(3):
        assert stream.receive(records.hello()) == b""
        assert not stream.over
        assert stream.output()[:1] == b"\x15"
    assert stream.send(b"still here")
