"""Another POP3 server as a source; the session is poplib's, here with a server in memory."""

from __future__ import annotations

import hashlib
import io
import poplib
import ssl

import pytest

from mailpost.carrying import pop3
from mailpost.carrying.pop3 import POP3Source, Server
from mailpost.carrying.source import ServerError, SourceGone

LETTERS = {
    1: b"Subject: a\r\n\r\n.dot\r\n..\r\n",
    2: b"x" * 200_000 + b"\r\n.\r\n",
    3: b"bare\nLF\r\n",
}
CERTIFICATE = b"a certificate"


class Socket:
    def __init__(self, session):
        self.owner = session

    def getpeername(self):
        return (self.owner.peer, 110)

    def sendall(self, command):
        number = int(command.split()[1])
        self.owner.asked.append(command)
        letter = self.owner.letters.get(number)
        if letter is None:
            answer = b"-ERR it is locked\r\n"
        else:
            stuffed = b"\r\n".join(
                b"." + line if line.startswith(b".") else line for line in letter.split(b"\r\n")
            )
            answer = b"+OK\r\n" + stuffed + b".\r\n"
        file = self.owner.file
        place = file.tell()
        file.seek(0, io.SEEK_END)
        file.write(answer[: self.owner.cut])
        file.seek(place)


class TLSSocket(Socket, ssl.SSLSocket):
    def __init__(self, session):
        self.owner = session

    def __del__(self):
        pass

    def getpeercert(self, *, binary_form):
        return CERTIFICATE


class Session:
    """What poplib gives, and what the server behind it has."""

    def __init__(self, host, port, timeout, context=None):
        made.append(self)
        self.letters = dict(LETTERS)
        self.asked = []
        self.cut = None
        self.file = io.BytesIO()
        self.sock = Socket(self)
        self.port = port

    def capa(self):
        if self.offered is None:
            raise poplib.error_proto(b"-ERR what?")
        return {name: [] for name in self.offered}

    def stls(self, context):
        if self.untrusted and context.verify_mode != ssl.CERT_NONE:
            error = ssl.SSLCertVerificationError("no")
            error.verify_message = "self-signed certificate"
            raise error
        self.asked.append("STLS")
        self.sock = TLSSocket(self)

    def user(self, name):
        self.asked.append(name)

    def pass_(self, password):
        if password != "right":
            raise poplib.error_proto(b"-ERR no")

    def utf8(self):
        self.asked.append("UTF8")

    def uidl(self):
        if self.uidls is None:
            raise poplib.error_proto(b"-ERR no such command")
        return b"+OK", [b"%d %s" % pair for pair in self.uidls], 0

    def list(self):
        return b"+OK", [b"%d 10" % number for number, _ in self.uidls], 0

    def quit(self):
        self.asked.append("QUIT")

    def close(self):
        self.asked.append("close")


made: list[Session] = []


@pytest.fixture(autouse=True)
def server(monkeypatch):
    made.clear()
    for name, value in (
        ("offered", ()),
        ("peer", "127.0.0.1"),
        ("untrusted", False),
        ("uidls", [(1, b"a"), (2, b"b"), (3, b"b")]),
    ):
        monkeypatch.setattr(Session, name, value, raising=False)
    monkeypatch.setattr(poplib, "POP3", Session)
    monkeypatch.setattr(poplib, "POP3_SSL", Session)
    return monkeypatch


def source(password="right", **settings):
    return POP3Source(
        Server("alice", "Old.example.org", 110, implicit=False, password=password, **settings)
    )


def fetched(letter):
    letter.ask()
    return b"".join(letter.pieces())


def test_letters(server):
    """They come with their unique-ids, octet for octet but for bare LFs, lines of any length."""
    found = source()
    assert (found.count, found.octets) == (3, 30)
    letters = list(found.letters())
    assert [letter.uidl for letter in letters] == ["a", "b", "b"]
    assert len({letter.key for letter in letters}) == 3
    read = [fetched(letter) for letter in letters]
    assert read == [LETTERS[1], LETTERS[2], b"bare\r\nLF\r\n"]
    found.close()
    assert made[0].asked[-2:] == ["QUIT", "close"]
    assert not any(b"DELE" in asked for asked in made[0].asked if isinstance(asked, bytes))


def test_nothing_is_fetched_unasked(server):
    """A letter that is known already costs no RETR."""
    list(source().letters())
    assert not [asked for asked in made[0].asked if isinstance(asked, bytes)]


def test_a_letter_that_is_refused(server):
    """It is that letter's trouble alone."""
    found = source()
    del made[0].letters[2]
    first, second, third = found.letters()
    with pytest.raises(OSError, match="locked"):
        fetched(second)
    assert fetched(first) == LETTERS[1]
    assert fetched(third) == b"bare\r\nLF\r\n"


def test_several_asked_for_ahead(server):
    """Where the server has PIPELINING; answers come in the order of the questions, whatever they are."""
    assert source().ahead == 1
    server.setattr(Session, "offered", ("PIPELINING",))
    found = source()
    assert found.ahead > 1
    del made[-1].letters[2]
    letters = list(found.letters())
    for letter in letters:
        letter.ask()
    assert b"".join(letters[0].pieces()) == LETTERS[1]
    with pytest.raises(OSError, match="locked"):
        list(letters[1].pieces())
    found.close()
    assert "QUIT" not in made[-1].asked
    assert b"".join(letters[2].pieces()) == b"bare\r\nLF\r\n"


@pytest.mark.parametrize("cut", [0, 3, 30])
def test_a_server_that_hangs_up(server, cut):
    """The source has gone; no good bye is said into the void."""
    found = source()
    made[0].cut = cut
    letter = next(found.letters())
    with pytest.raises(SourceGone, match=r"Old\.example\.org"):
        fetched(letter)
    found.close()
    assert "QUIT" not in made[0].asked


def test_a_network_that_fails(server):
    """So has it then."""
    found = source()
    server.setattr(Socket, "sendall", lambda *_: (_ for _ in ()).throw(TimeoutError("timed out")))
    with pytest.raises(SourceGone, match="timed out"):
        fetched(next(found.letters()))


def test_encryption(server):
    """From beyond this machine the password goes under TLS, unless it is said otherwise."""
    server.setattr(Session, "peer", "192.0.2.1")
    with pytest.raises(ServerError, match="no encryption at port 110: try pop3s"):
        source()
    assert made[0].asked == ["close"]
    source(cleartext=True)
    server.setattr(Session, "offered", ("STLS", "UTF8"))
    source()
    assert made[-1].asked == ["STLS", "UTF8", "alice"]


def test_a_certificate_that_is_not_trusted(server):
    """It is told which it is, and that one alone is taken when it is named; no password was sent."""
    server.setattr(Session, "peer", "192.0.2.1")
    server.setattr(Session, "offered", ("STLS",))
    server.setattr(Session, "untrusted", True)
    shown = hashlib.sha256(CERTIFICATE).hexdigest()
    with pytest.raises(ServerError, match=f"self-signed certificate\n.*--fingerprint {shown}"):
        source()
    assert "alice" not in [word for session in made for word in session.asked]
    assert source(fingerprint=shown.upper()).count == 3
    with pytest.raises(ServerError, match="another certificate"):
        source(fingerprint="00" * 32)
    with pytest.raises(ServerError, match="cannot be used"):
        source(authority="/nonexistent")


def test_servers_that_will_not_do(server):
    """A wrong password, and no unique-ids."""
    with pytest.raises(ServerError, match=r"Old\.example\.org:110: -ERR no"):
        source(password="wrong")
    server.setattr(Session, "offered", None)
    server.setattr(Session, "uidls", None)
    with pytest.raises(ServerError, match="does not list its letters with unique-ids"):
        source()
    assert made[-1].asked[-1] == "close"


def test_nobody_there(server):
    """It is said where nobody is."""
    server.setattr(
        pop3, "_connect", lambda _: (_ for _ in ()).throw(ConnectionRefusedError("refused"))
    )
    with pytest.raises(ServerError, match=r"Old\.example\.org:110: refused"):
        source()
