"""SCRAM and bearer tokens as SMTP and POP3 frame them, octet by octet or at once."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient

from mailpost.wire import reply
from mailpost.wire.login import Access, LoginOffered, ProofGiven
from mailpost.wire.pop3 import POP3Server
from mailpost.wire.sasl import Checks, TokenTerms
from mailpost.wire.sasl_events import KeysAsked, TokenOffered
from mailpost.wire.scram_keys import derive
from mailpost.wire.session import SessionEnded
from mailpost.wire.smtp import Settings, SMTPServer

from .cutting import cuts, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

SALT = bytes(range(16))
KEYS = derive(b"open sesame", SALT, 4096)
UNIQUE = {"tls-unique": bytes(range(12))}
ALL = Checks.PASSWORDS | Checks.KEYS | Checks.TOKENS
TERMS = TokenTerms("mail", "https://id.example.org/.well-known/openid-configuration")


class Empty:
    """A maildrop without letters."""

    sizes = ()

    def uidl(self, index: int) -> bytes:
        raise IndexError(index)


class Wire:
    """A session and what it says; POP3's words stand for SMTP's as well.

    :ivar asked: the question that is open.
    """

    def __init__(self, protocol: str, checks: Checks = ALL, **access: bool) -> None:
        how = Access(checks=checks, tokens=TERMS, **access)
        self.smtp = protocol == "smtp"
        self.session: SMTPServer | POP3Server
        if self.smtp:
            self.session = SMTPServer(Settings("post.example.org", max_errors=3), how)
            self.say(b"EHLO client.example.net")
        else:
            self.session = POP3Server("post.example.org", 3, how)
        self.asked: object = None

    def say(self, line: bytes, at: list[int] | None = None) -> bytes:
        """Say a line; what is answered to it."""
        for piece in pieces(line + b"\r\n", at or []):
            self.session.receive(piece)
            event = self.session.next_event()
            assert event is None or isinstance(event, SessionEnded) or piece
            if event is not None:
                self.asked = event
        return self.session.take_output()

    def respond(self, octets: bytes, at: list[int] | None = None) -> bytes:
        """Respond to a challenge; the next challenge's octets, or the answer's line."""
        heard = self.say(b64encode(octets), at)
        mark = b"334 " if self.smtp else b"+ "
        return b64decode(heard[len(mark) :]) if heard.startswith(mark) else heard

    def admit(self, name: str = "") -> bytes:
        """Answer the login with yes."""
        if isinstance(self.session, SMTPServer):
            self.session.admit(name)
        else:
            self.session.admit(Empty(), name)
        return self.session.take_output()

    def refuse(self) -> bytes:
        """Answer it with no."""
        if isinstance(self.session, SMTPServer):
            self.session.answer(reply.BAD_LOGIN)
        else:
            self.session.refuse(reply.POP_BAD_LOGIN)
        return self.session.take_output()

    def later(self) -> bytes:
        """Answer that nobody can tell."""
        if isinstance(self.session, SMTPServer):
            self.session.answer(reply.LOGIN_LATER)
        else:
            self.session.refuse(reply.POP_TRY_LATER)
        return self.session.take_output()

    @property
    def user(self) -> str:
        """Who is logged in."""
        if isinstance(self.session, SMTPServer):
            return self.session.user
        return self.session.name if self.session.state.value == "transaction" else ""

    WRONG = (b"535 5.7.8", b"-ERR [AUTH]")

    def is_wrong(self, heard: bytes) -> bool:
        """Whether that is the answer to a wrong login."""
        return heard.startswith(self.WRONG)


protocols = pytest.mark.parametrize("protocol", ["smtp", "pop3"])


def prove(wire: Wire, password: str, at: list[int] | None = None, plus: bool = False) -> bytes:  # noqa: FBT001, FBT002
    """Log in as alice, up to the last message of the client; what is answered to it."""
    mechanism = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
    binding = ("tls-unique", UNIQUE["tls-unique"]) if plus else None
    client = ScramClient([mechanism], "alice", password, channel_binding=binding)
    assert wire.say(b"AUTH " + mechanism.encode(), at).strip() in (b"334", b"+")
    wire.respond(client.get_client_first().encode(), at)
    assert wire.asked == KeysAsked("alice")
    wire.session.give_keys([KEYS])
    challenge = wire.session.take_output()
    client.set_server_first(b64decode(challenge.split(b" ", 1)[1]).decode())
    heard = wire.respond(client.get_client_final().encode(), at)
    if heard.startswith(b"v="):
        client.set_server_final(heard.decode())
    return heard


@protocols
@given(at=cuts())
def test_scram_ends_in_a_question(protocol: str, at: list[int]) -> None:
    """RFC 5802: the proof, the server's own, nothing; then the office is asked who that is."""
    wire = Wire(protocol)
    assert prove(wire, "open sesame", at).startswith(b"v=")
    assert wire.respond(b"", at) == b""
    assert wire.asked == ProofGiven("alice", KEYS)
    assert not wire.user
    assert wire.admit("alice#phone").startswith((b"235 2.7.0", b"+OK"))
    assert wire.user == "alice#phone"


@protocols
def test_scram_binds_to_tls(protocol: str) -> None:
    """RFC 5802 §6: the -PLUS variant is offered where there is something to bind to, and only there."""
    wire = Wire(protocol, tls=True)
    assert "SCRAM-SHA-256-PLUS" not in wire.session.mechanisms
    wire.session.bindings = lambda: UNIQUE
    assert wire.session.mechanisms[0] == "SCRAM-SHA-256-PLUS"
    assert prove(wire, "open sesame", plus=True).startswith(b"v=")


@protocols
def test_who_hides_the_binding_is_found_out(protocol: str) -> None:
    """RFC 5802 §6: flag y says that the client was shown no -PLUS, and it was offered."""
    wire = Wire(protocol, tls=True)
    wire.session.bindings = lambda: UNIQUE
    wire.say(b"AUTH SCRAM-SHA-256")
    assert wire.is_wrong(wire.respond(b"y,,n=alice,r=abcdef"))


@protocols
def test_a_wrong_proof_is_answered_when_the_office_wants(protocol: str) -> None:
    """The engine finds out by itself, and asks when to say so: guessing is slowed down."""
    wire = Wire(protocol)
    assert prove(wire, "open barley") == b""
    assert wire.asked == ProofGiven("alice", None)
    assert wire.is_wrong(wire.refuse())


@protocols
def test_keys_that_cannot_be_had(protocol: str) -> None:
    """The store cannot be read: try later, and the session goes on."""
    wire = Wire(protocol)
    wire.say(b"AUTH SCRAM-SHA-256")
    wire.respond(b"n,,n=alice,r=abcdef")
    assert wire.later().startswith((b"454 4.7.0", b"-ERR [SYS/TEMP]"))
    assert wire.say(b"NOOP" if wire.smtp else b"CAPA").startswith((b"250", b"+OK"))


OAUTH = [
    (b"OAUTHBEARER", b"n,a=alice,\x01auth=Bearer abc\x01\x01", b'"invalid_token"'),
    (b"XOAUTH2", b"user=alice\x01auth=Bearer abc\x01\x01", b'"401"'),
]


@protocols
@pytest.mark.parametrize(("mechanism", "response", "_status"), OAUTH)
@given(at=cuts())
def test_a_token_is_a_question(
    protocol: str, mechanism: bytes, response: bytes, _status: bytes, at: list[int]
) -> None:
    """RFC 7628: with the initial response, in any cutting."""
    wire = Wire(protocol)
    assert wire.say(b"AUTH " + mechanism + b" " + b64encode(response), at) == b""
    assert wire.asked == TokenOffered("alice", "abc")
    assert wire.admit().startswith((b"235 2.7.0", b"+OK"))
    assert wire.user == "alice"


@protocols
@pytest.mark.parametrize(("mechanism", "response", "status"), OAUTH)
def test_a_refused_token_is_told_why(
    protocol: str, mechanism: bytes, response: bytes, status: bytes
) -> None:
    """RFC 7628 §3.2.3: a challenge that says why; what the client says to it does not matter."""
    wire = Wire(protocol)
    wire.say(b"AUTH " + mechanism + b" " + b64encode(response))
    challenge = wire.refuse()
    assert status in b64decode(challenge.split(b" ", 1)[1])
    assert wire.is_wrong(wire.respond(b"\x01"))
    assert not wire.user
    wire.say(b"AUTH " + mechanism + b" " + b64encode(response))
    assert wire.later().startswith((b"454 4.7.0", b"-ERR [SYS/TEMP]"))
    assert wire.say(b"AUTH " + mechanism + b" " + b64encode(response)) == b""


@protocols
def test_wrong_logins_are_counted(protocol: str) -> None:
    """As wrong commands are: after so many the session ends, by whichever mechanism."""
    wire = Wire(protocol)
    for _ in range(3):
        prove(wire, "open barley")
        assert wire.is_wrong(wire.refuse())
    prove(wire, "open barley")
    heard = wire.refuse()
    assert heard.startswith((b"421 4.7.0", b"-ERR too many errors"))
    assert wire.session.closed


@protocols
@pytest.mark.parametrize("checks", [Checks(0), *Checks, ALL])
def test_offers_what_can_be_checked(protocol: str, checks: Checks) -> None:
    """What is announced is true, and the rest is refused as unknown."""
    wire = Wire(protocol, checks, tls=True)
    listed = wire.say(b"EHLO again" if wire.smtp else b"CAPA").decode()
    for mechanism, needed in {
        "SCRAM-SHA-256": Checks.KEYS,
        "OAUTHBEARER": Checks.TOKENS,
        "XOAUTH2": Checks.TOKENS,
        "PLAIN": Checks.PASSWORDS,
    }.items():
        assert (mechanism in listed) is bool(needed & checks)
        if not needed & checks:
            assert wire.say(f"AUTH {mechanism}".encode()).startswith((b"504 5.5.4", b"-ERR"))
            wire = Wire(protocol, checks, tls=True)


def lines() -> Iterator[st.SearchStrategy[bytes]]:
    """What a client may say while it logs in, sensible and not."""
    yield st.sampled_from([b"*", b"=", b"", b"AUTH SCRAM-SHA-256", b"AUTH XOAUTH2", b"AUTH PLAIN"])
    yield st.sampled_from([b64encode(r) for _, r, _ in OAUTH])
    yield st.sampled_from([b64encode(b"n,,n=alice,r=abc"), b64encode(b"c=biws,r=abc,p=YWJj")])
    yield st.binary(max_size=40).map(b64encode)
    yield st.binary(max_size=20)


@protocols
@given(
    said=st.lists(st.one_of(*lines()), max_size=12), mood=st.lists(st.integers(0, 2), min_size=1)
)
def test_nothing_said_breaks_a_login(protocol: str, said: list[bytes], mood: list[int]) -> None:
    """Whatever is said, and whatever is answered: nothing raised, and nobody in who was not admitted."""
    wire = Wire(protocol)
    admitted = False
    for number, line in enumerate(said):
        if wire.session.closed:
            break
        wire.asked = None
        wire.say(line)
        if isinstance(wire.asked, KeysAsked):
            wire.session.give_keys([KEYS])
        elif isinstance(wire.asked, LoginOffered | TokenOffered | ProofGiven):
            answer = mood[number % len(mood)]
            proven = not isinstance(wire.asked, ProofGiven) or wire.asked.keys is not None
            if answer == 0 and proven:
                wire.admit()
                admitted = True
            elif answer == 1:
                wire.refuse()
            else:
                wire.later()
        wire.session.take_output()
        assert bool(wire.user) is admitted
