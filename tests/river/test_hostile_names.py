"""What hostile peers try in names, addresses and arguments, over real sockets: refused, and escaped."""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from .dialogue import POP3, SMTP, Dialogue
from .maildrop import collect
from .office import PASSWORD, Office, attempts

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD = {
    "NUL": b"\0",
    "CR": b"\r",
    "TAB": b"\t",
    "BEL": b"\x07",
    "DEL": b"\x7f",
    "an escape": b"\x1b[31;1m",
    "a title": b"\x1b]0;owned\x07",
    "8-bit": b"\xff",
    "half of UTF-8": b"\xc3",
    "a C1 control": b"\xc2\x9b2J",
    "right to left": "\u202e".encode(),
}
NAMES = [
    "../%s",
    "/etc/passwd",
    "..%%2f%s",
    "%%2e%%2e/%s",
    "\uff0e\uff0e/%s",
    "%s\0",
    "%s%%00",
    "%s ",
    " %s",
    "%s.",
    "x" * 300,
    "%s" + "x" * 300,
    "%s@elsewhere.example",
    "%s@example.org@example.org",
    "%s@example.org\0.example",
]
TRICKS = [
    "%s%%elsewhere.example@example.org",
    "elsewhere.example!%s",
    "elsewhere.example!%s@example.org",
    '"%s@elsewhere.example"@example.org',
    "@example.org:%s@elsewhere.example",
    "%s@elsewhere.example@example.org",
    "%s@example.org@elsewhere.example",
    "%s@[127.0.0.1]",
    "%s@[192.0.2.1]",
    "%s@[IPv6:::1]",
    "%s@localhost",
    "%s@example.org.",
    "%s@example.org%%elsewhere.example",
    "%s@elsewhere.example,%s@example.org",
    "%s",
]


def lookalikes(user: str) -> list[str]:
    """The name in letters that look like its own."""
    return [user.replace("s", "\u0455"), user.replace("u", "\u1d1c"), user.replace("-", "\u2010")]


class Verbose:
    """An office that logs every line of every session, and somebody in it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.user = office.newcomer()
        self._seen = office.log_file.stat().st_size

    def said(self, count: int) -> str:
        """What it has logged since, once so many sessions have ended."""
        for _ in attempts():
            octets = self.office.log_file.read_bytes()[self._seen :]
            if len(re.findall(rb" (?:intake|collection) (?:from|by) [^\n]* s\n", octets)) >= count:
                return octets.decode()
        raise AssertionError


@pytest.fixture(scope="module")
def verbose_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office with ``serve --verbose``."""
    office = Office(tmp_path_factory.mktemp("verbose") / "office")
    serve = [sys.executable, "-m", "mailpost", "--config", str(office.config), "serve", "--verbose"]
    office.start(serve)
    yield office
    assert office.stop() == 0
    assert "Traceback" not in office.log


@pytest.fixture
def verbose(verbose_office: Office) -> Verbose:
    """The same, and somebody new."""
    return Verbose(verbose_office)


def is_fit_to_be_read(log: str) -> None:
    """Not one octet that a terminal would obey, and no password."""
    assert log
    assert all(line.isprintable() for line in log.split("\n"))
    assert PASSWORD not in log


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_octets_in_smtp(verbose: Verbose, odd: bytes) -> None:
    """In every argument: an error each time, never a shortened argument, and the session goes on."""
    office = verbose.office
    user = verbose.user
    with SMTP(office.smtp, ehlo=False) as peer:
        for command in (
            b"EHLO a%bb",
            b"HELO a%bb",
            b"%bNOOP",
            b"NO%bOP",
            b"VRFY us%ber",
        ):
            said = command.replace(b"%b", odd)
            assert peer.ask(said)[:3] in {b"500", b"501", b"553"}, said
        assert peer.ask(b"EHLO client.example").startswith(b"250")
        for command in (b"MAIL FROM:<a%b@x.example>", b"MAIL FROM:<a@x%b.example>"):
            said = command.replace(b"%b", odd)
            assert peer.ask(said)[:3] in {b"500", b"501", b"553", b"555"}, said
        assert peer.ask(b"MAIL FROM:<a@x.example>").startswith(b"250")
        for rcpt in (
            b"%b%%b@example.org",
            b"%%b%b@example.org",
            b"%b@exam%%bple.org",
            b"%b@example.org%%b",
        ):
            said = b"RCPT TO:<" + (rcpt % user.encode()).replace(b"%b", odd) + b">"
            assert peer.ask(said)[:3] in {b"500", b"501", b"550", b"553"}, said
        assert peer.ask(b"DATA")[:3] in {b"503", b"554"}
    is_fit_to_be_read(verbose.said(1))
    assert collect(office.pop3, user) == []


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_octets_in_pop3(verbose: Verbose, odd: bytes) -> None:
    """The same for POP3, before the login and after it."""
    office, user = verbose.office, verbose.user
    with POP3(office.pop3) as peer:
        for said in (
            b"USER " + user.encode() + odd,
            odd + b"CAPA",
            b"LANG " + odd,
            b"AUTH PL" + odd,
        ):
            peer.send(said + b"\r\n")
            assert peer.line().startswith(b"-ERR"), said
        peer.send(b"PASS " + PASSWORD.encode() + b"\r\n")
        assert peer.line().startswith(b"-ERR"), "a shortened name was taken down"
    with POP3(office.pop3) as peer:
        peer.send(b"USER %b\r\nPASS %b%b\r\n" % (user.encode(), PASSWORD.encode(), odd))
        assert peer.line().startswith(b"+OK")
        assert peer.line().startswith(b"-ERR"), "a shortened password was right"
    with POP3(office.pop3, user) as peer:
        for said in (b"RETR 1" + odd, b"TOP 1 " + odd, b"DELE " + odd + b"1", b"UIDL 1" + odd):
            peer.send(said + b"\r\n")
            assert peer.line().startswith(b"-ERR"), said
        peer.ok("QUIT")
    is_fit_to_be_read(verbose.said(3))


@pytest.mark.parametrize("trick", TRICKS)
def test_no_relay(office: Office, trick: str) -> None:
    """No way of writing an address leads out of the house, nor to somebody whom it does not name."""
    user = office.newcomer()
    address = trick.replace("%s", user).replace("%%", "%")
    with SMTP(office.smtp) as peer:
        assert peer.ask(b"MAIL FROM:<eve@elsewhere.example>").startswith(b"250")
        assert peer.ask(f"RCPT TO:<{address}>".encode())[:3] in {b"550", b"501"}
        assert peer.ask(b"DATA")[:3] in {b"503", b"554"}
    assert collect(office.pop3, user) == []


@pytest.mark.parametrize("made", [*NAMES, *range(3)], ids=ascii)
def test_names_that_are_somebody_else(office: Office, made: str | int) -> None:
    """Paths, encoded dots, look-alikes, endless names: nobody's, at the login and as a recipient."""
    user = office.newcomer("us")
    name = lookalikes(user)[made] if isinstance(made, int) else made.replace("%s", user)
    name = name.replace("%%", "%")
    with POP3(office.pop3) as peer:
        peer.ok("UTF8")
        peer.send(f"USER {name}\r\nPASS {PASSWORD}\r\n".encode())
        answers = [peer.line()[:4], peer.line()[:4]]
        # Blanks around a name are no part of it: that is how it is typed.
        assert answers[1] == (b"+OK " if name.strip(" ") == user else b"-ERR")
    plain = b64encode(f"\0{name}\0{PASSWORD}".encode())
    with Dialogue(office.pop3) as peer:
        peer.line()
        peer.send(b"AUTH PLAIN %b\r\n" % plain)
        assert peer.line().startswith(b"-ERR")
    with SMTP(office.smtp) as peer:
        assert peer.ask(b"MAIL FROM:<> SMTPUTF8").startswith(b"250")
        reply = peer.ask(f"RCPT TO:<{name}@example.org>".encode())
        assert reply[:3] in {b"500", b"501", b"550", b"553"}
    assert collect(office.pop3, user) == []


def test_a_name_that_is_typed_wide(office: Office) -> None:
    """What SASLprep makes one name is one name, by USER as by AUTH (RFC 6856 §2.2, RFC 4616 §2)."""
    user = office.newcomer("us")
    wide = user.replace("u", "\uff55")
    for said in (b"UTF8\r\n", b""):
        with POP3(office.pop3) as peer:
            peer.send(said + f"USER {wide}\r\nPASS {PASSWORD}\r\n".encode())
            assert [peer.line()[:3] for _ in range(said.count(b"\n") + 2)][-1] == b"+OK"
    with POP3(office.pop3) as peer:
        response = b64encode(f"\0{wide}\0{PASSWORD}".encode())
        peer.ok(f"AUTH PLAIN {response.decode()}")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_line_ends_inside_responses(office: Office, mechanism: str) -> None:
    """CR, LF and NUL within what base64 wraps are no line's end and no end of a name: the login fails."""
    user = office.newcomer()
    for end in ("\r\n", "\n", "\r", "\0", "\r\nQUIT\r\n"):
        first = {
            "PLAIN": f"\0{user}{end}\0{PASSWORD}",
            "LOGIN": f"{user}{end}",
            "SCRAM-SHA-256": f"n,,n={user}{end},r=abcdef",
        }[mechanism]
        with POP3(office.pop3) as peer:
            peer.send(f"AUTH {mechanism} {b64encode(first.encode()).decode()}\r\n".encode())
            answer = peer.line()
            if mechanism == "LOGIN" and answer.startswith(b"+ "):
                peer.send(b64encode(PASSWORD.encode()) + b"\r\n")
                answer = peer.line()
            assert answer.startswith(b"-ERR"), (end, answer)
            peer.ok("CAPA")
        with SMTP(office.smtp) as sender:
            answer = sender.ask(f"AUTH {mechanism} {b64encode(first.encode()).decode()}".encode())
            if mechanism == "LOGIN" and answer.startswith(b"334"):
                answer = sender.ask(b64encode(PASSWORD.encode()))
            assert answer[:3] in {b"535", b"501"}, (end, answer)
            assert sender.ask(b"NOOP").startswith(b"250")


def test_a_line_end_inside_a_response_of_pop3(office: Office) -> None:
    """What stands behind a CRLF in a response is a command of its own, after the login failed."""
    with POP3(office.pop3) as peer:
        assert peer.ask("AUTH PLAIN").startswith(b"+ ")
        peer.send(b"AGFs\r\nCAPA\r\n")
        assert peer.line().startswith(b"-ERR")
        assert peer.line().startswith(b"+OK")
        assert b"UIDL" in peer.lines()
