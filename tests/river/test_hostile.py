"""Hostile and broken peers, over real sockets: they are told so once, and nobody else notices."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from mailpost.wire.downgrade import downgraded

from .dialogue import POP3, SMTP, Dialogue
from .maildrop import collect, only_letter
from .office import PATIENCE, attempts

if TYPE_CHECKING:
    from .authority import CertifiedOffice
    from .office import Office

MIB = 1024 * 1024
SMALL = 4096
"""A receive window so small that the server soon feels that nobody reads."""

LINES = pytest.mark.parametrize("octets", [20_000, 200_000, 5_000_000])
BODY = b"Subject: meanwhile\r\n\r\nothers are served\r\n"


def send_what_can_be_sent(dialogue: Dialogue, octets: bytes) -> None:
    """Send, even to somebody who closes meanwhile."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        dialogue.send(octets)


class TLSPOP3(POP3):
    """A client of the POP3 port with implicit TLS."""

    def __init__(self, office: CertifiedOffice, user: str, *, window: int = 0) -> None:
        self._office = office
        super().__init__(office.pop3s, user, window=window)

    def begin(self) -> None:
        """Begin TLS, and log in under it."""
        self._input.close()
        self.socket = self._office.context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self._input = self.socket.makefile("rb", buffering=1 << 16)
        super().begin()


@LINES
@pytest.mark.parametrize("begin", [b"", b"MAIL FROM:<", b"NOOP "])
def test_an_endless_smtp_command(office: Office, octets: int, begin: bytes) -> None:
    """A line without end has one 500 that the peer can read, and the connection is closed."""
    before = office.memory("VmHWM")
    with SMTP(office.smtp) as peer:
        send_what_can_be_sent(peer, begin + b"a" * octets)
        assert peer.line().startswith(b"500 5.5.2")
        assert peer.rest() == b""
    assert office.memory("VmHWM") - before < 20 * MIB


@LINES
@pytest.mark.parametrize("begin", [b"", b"USER ", b"PASS "])
def test_an_endless_pop3_command(office: Office, octets: int, begin: bytes) -> None:
    """A line without end has one -ERR that the peer can read, and the connection is closed."""
    before = office.memory("VmHWM")
    with POP3(office.pop3) as peer:
        send_what_can_be_sent(peer, begin + b"a" * octets)
        assert peer.line().startswith(b"-ERR")
        assert peer.rest() == b""
    assert office.memory("VmHWM") - before < 20 * MIB


def test_smtp_replies_that_nobody_reads(office: Office) -> None:
    """100,000 pipelined NOOPs whose replies wait: others are served, memory is not; all are answered."""
    with SMTP(office.smtp, window=SMALL) as peer:
        flood(office, peer, 100_000, b"250 2.0.0 ok")


def test_pop3_replies_that_nobody_reads(office: Office) -> None:
    """The same for POP3."""
    with POP3(office.pop3, office.newcomer(), window=SMALL) as peer:
        flood(office, peer, 100_000, b"+OK ok")


def flood(office: Office, peer: Dialogue, count: int, reply: bytes) -> None:
    """Send NOOPs without reading; serve somebody else meanwhile; then read."""
    before = office.memory("VmHWM")
    sending = threading.Thread(target=peer.send, args=(b"NOOP\r\n" * count,), daemon=True)
    sending.start()
    for _ in range(10):
        user = office.newcomer()
        with SMTP(office.smtp) as sender:
            assert sender.deliver(BODY, user).startswith(b"250")
        assert only_letter(office.pop3, user).body == BODY
    assert office.memory("VmHWM") - before < 20 * MIB
    assert [peer.line() for _ in range(count)] == [reply] * count
    sending.join(10)
    assert not sending.is_alive()


def test_a_letter_that_nobody_reads(office: Office) -> None:
    """RETR of 20 MiB, again and again, to somebody who does not read: memory is bounded, others go on."""
    user = office.newcomer()
    body = b"Subject: long\r\n\r\n" + (b"x" * 70 + b"\r\n") * (20 * MIB // 72)
    with SMTP(office.smtp) as sender:
        assert sender.deliver(body, user).startswith(b"250")
    before = office.memory("VmHWM")
    with POP3(office.pop3, user, window=SMALL) as peer:
        peer.send(b"RETR 1\r\n" * 50)
        for _ in range(10):
            other = office.newcomer()
            with SMTP(office.smtp) as sender:
                assert sender.deliver(BODY, other).startswith(b"250")
            assert only_letter(office.pop3, other).body == BODY
        assert office.memory("VmHWM") - before < 20 * MIB


def test_a_letter_that_nobody_reads_under_tls(certified: CertifiedOffice) -> None:
    """The same under TLS: no more is encrypted than goes out. In memory the letter is whole at no time."""
    user = certified.newcomer()
    before = certified.memory("VmHWM")
    body = b"Subject: long\r\n\r\n" + (b"x" * 70 + b"\r\n") * (20 * MIB // 72)
    with smtplib.SMTP("127.0.0.1", certified.starttls, timeout=PATIENCE) as sender:
        sender.starttls(context=certified.context)
        assert sender.sendmail("sender@example.net", f"{user}@example.org", body) == {}
    with Meanwhile(certified) as others, TLSPOP3(certified, user, window=SMALL) as peer:
        peer.send(b"RETR 1\r\n" * 50)
        others.go_round()
        others.go_round()
        assert certified.memory("VmHWM") - before < 20 * MIB
    with TLSPOP3(certified, user) as reader:
        assert reader.retrieve(1).endswith(body)


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n\x85.\r\n",
        b"\r\r\n.\r\n\n",
    ],
    ids=repr,
)
def test_nothing_is_smuggled(office: Office, end: bytes) -> None:
    """What only looks like the end of a letter never makes two of one: it is one letter, or refused."""
    user, victim = office.newcomer(), office.newcomer("victim")
    inner = (
        b"MAIL FROM:<ceo@example.org>\r\nRCPT TO:<%b@example.org>\r\nDATA\r\n"
        b"Subject: smuggled\r\n\r\nobey\r\n" % victim.encode()
    )
    with SMTP(office.smtp) as peer:
        peer.envelope(user)
        peer.send(b"Subject: outer\r\n\r\ntext" + end + inner + b".\r\n")
        reply = peer.reply()
        assert reply[:3] in {b"250", b"554"}
        send_what_can_be_sent(peer, b"QUIT\r\n")
        peer.rest()
    assert collect(office.pop3, victim) == []
    letters = collect(office.pop3, user)
    assert len(letters) == (reply[:3] == b"250")
    assert all(inner in letter.body for letter in letters)


@pytest.mark.parametrize("port", ["smtp", "pop3"])
def test_octets_that_are_no_protocol(office: Office, port: str) -> None:
    """Any octets at all: errors, then the end, and the office serves the next one."""
    with Dialogue(getattr(office, port)) as peer:
        peer.line()
        send_what_can_be_sent(peer, b"".join(bytes([n]) * 3 + b"\r\n" for n in range(256)) * 4)
        told = peer.rest().splitlines()
        assert told
        assert all(line[:1] in {b"4", b"5", b"-"} for line in told)
    user = office.newcomer()
    with SMTP(office.smtp) as sender:
        assert sender.deliver(BODY, user).startswith(b"250")
    assert only_letter(office.pop3, user).body == BODY


class Meanwhile:
    """A well-behaved sender and collector, again and again while somebody else misbehaves.

    After the block every round trip was answered, each within ``SECONDS``, and there was more than one.
    """

    SECONDS = 10.0  # a stall would last for ever; machines that test are slow

    def __init__(self, office: Office) -> None:
        self.office = office
        self.user = office.newcomer()
        self.took: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Self:
        self.memory = self.office.memory("VmRSS")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(3 * self.SECONDS)
        assert not self._thread.is_alive(), "a round trip never ended"
        assert len(self.took) > 1
        assert max(self.took) < self.SECONDS
        assert self.office.memory("VmRSS") - self.memory < 20 * MIB

    def go_round(self) -> None:
        """Wait for one more round trip."""
        before = len(self.took)
        assert any(len(self.took) > before for _ in attempts(self.SECONDS))

    def _go_on(self) -> None:
        while not self._over.is_set() or len(self.took) < 2:
            began = time.monotonic()
            with SMTP(self.office.smtp) as sender:
                assert sender.deliver(BODY, self.user).startswith(b"250")
            with POP3(self.office.pop3, self.user) as collector:
                assert collector.retrieve(1).endswith(BODY)
                assert collector.ask("DELE 1").startswith(b"+OK")
                assert collector.ask("QUIT").startswith(b"+OK")
            self.took.append(time.monotonic() - began)
            self._over.wait(0.05)


def test_a_hundred_megabytes_without_an_end(office: Office) -> None:
    """100 MB in one command: one 500, and nobody else waits, and nothing grows."""
    with Meanwhile(office), SMTP(office.smtp) as peer:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                peer.send(b"a" * MIB)
        assert peer.line().startswith(b"500 5.5.2")


@pytest.mark.parametrize("octets", [20_000, 200_000, 5_000_000])
@pytest.mark.parametrize("port", ["smtp", "pop3"])
def test_an_endless_response_to_a_challenge(office: Office, port: str, octets: int) -> None:
    """A line of AUTH without end has one error, and the connection is closed."""
    with Meanwhile(office), Dialogue(getattr(office, port)) as peer:
        peer.line()
        peer.send(b"EHLO client.example\r\n" if port == "smtp" else b"")
        while port == "smtp" and peer.line()[3:4] == b"-":
            pass
        peer.send(b"AUTH LOGIN\r\n" if port == "smtp" else b"AUTH PLAIN\r\n")
        assert peer.line().startswith((b"334 ", b"+ "))
        send_what_can_be_sent(peer, b"a" * octets)
        assert peer.line().startswith((b"500 5.5.2", b"-ERR"))
        assert peer.rest() == b""


def test_a_line_end_inside_a_response(office: Office) -> None:
    """What stands behind a CRLF in a response to AUTH is a command of its own, after the login failed."""
    with SMTP(office.smtp) as peer:
        assert peer.ask(b"AUTH PLAIN").startswith(b"334")
        peer.send(b"AGFs\r\nNOOP\r\naWNl\r\n")
        answers = [peer.reply()[:9] for _ in range(3)]
        assert answers[0] in {b"535 5.7.8", b"501 5.5.2"}
        assert answers[1:] == [b"250 2.0.0", b"500 5.5.2"]


def test_500_connections_that_drip(office: Office) -> None:
    """500 peers send an octet now and then: others are served, and each of them is when it is done."""
    with contextlib.ExitStack() as doors, Meanwhile(office) as others:
        drips = [doors.enter_context(Dialogue(office.smtp)) for _ in range(500)]
        for drip in drips:
            assert drip.line().startswith(b"220")
        for octet in b"NOOP":
            for drip in drips:
                drip.send(bytes([octet]))
            others.go_round()
        for drip in drips:
            drip.send(b"\r\n")
        assert [drip.line() for drip in drips] == [b"250 2.0.0 ok"] * 500


def test_a_tls_hello_that_never_comes(certified: CertifiedOffice) -> None:
    """300 peers who begin TLS and say nothing, or one octet: others are served, with TLS as without."""
    with contextlib.ExitStack() as doors, Meanwhile(certified) as others:
        for port in (certified.submissions, certified.pop3s):
            silent = [doors.enter_context(Dialogue(port)) for _ in range(100)]
            for one in silent[::2]:
                one.send(b"\x16")
        for _ in range(100):
            peer = doors.enter_context(SMTP(certified.starttls))
            assert peer.ask(b"STARTTLS").startswith(b"220")
        others.go_round()
        with (
            socket.create_connection(("127.0.0.1", certified.pop3s), Meanwhile.SECONDS) as door,
            certified.context.wrap_socket(door, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.recv(3) == b"+OK"
        others.go_round()


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(10_000)
)


NESTED_UTF8 = NESTED.replace(b"\r\n\r\n", "\r\nContent-Description: ö\r\n\r\n".encode())


@pytest.mark.parametrize(
    "body",
    [
        b"X-Line: one of many\r\n" * 500_000 + b"\r\nend\r\n",
        NESTED + b"\r\nend\r\n",
        "X-Line: one of mäny\r\n".encode() * 50_000 + b"\r\nend\r\n",
        NESTED_UTF8 + b"\r\nend\r\n",
    ],
    ids=[
        "500,000 header lines",
        "10,000 nested parts",
        "50,000 header lines with UTF-8",
        "10,000 nested parts with UTF-8",
    ],
)
def test_a_letter_that_would_tire_a_parser(office: Office, body: bytes) -> None:
    """It is kept as it came and collected as it was kept, by TOP as well; nobody else waits."""
    plain = downgraded(body)
    user = office.newcomer()
    with Meanwhile(office):
        with SMTP(office.smtp) as sender:
            assert sender.deliver(body, user).startswith(b"250")
        with POP3(office.pop3, user) as collector:
            ((_, size),) = collector.listing("LIST")
            letter = collector.retrieve(1)
            assert letter.endswith(plain)
            assert len(letter) == int(size)
            collector.ok("TOP 1 0")
            assert len(collector.lines()) > 3
