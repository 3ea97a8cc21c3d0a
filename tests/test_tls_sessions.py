"""TLS, logins, submission and LMTP through the shells, in memory: real TLS, nothing by itself."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from OpenSSL import SSL
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailpost.encrypted import EncryptedFactory
from mailpost.envelope import Destination
from mailpost.intake.listeners import LMTPFactory, SMTPFactory, SubmissionFactory
from mailpost.interfaces import ISender
from mailpost.limits import MAX_BUFFERED
from mailpost.outcome import Delivered, MaildropLocked, Refused, TemporaryFailure, TryLater
from mailpost.tls import ServerTLS
from mailpost.tls.security import Security
from mailpost.wire import reply
from mailpost.wire.sasl import encode_base64
from mailpost.wire.smtp import Settings
from tests.collection.office import Office as CollectionOffice
from tests.intake.office import ENVELOPE, HELLO, Delivery, Sorter, codes
from tests.memory import Peer
from tests.tls.pki import pyopenssl_client, write_pair

if TYPE_CHECKING:
    from pathlib import Path

    from mailpost.tls import CertificateFiles
    from tests.logbook import Logbook

pytestmark = pytest.mark.usefixtures("log")

PLAIN = encode_base64(b"\0alice\0secret")
WRONG = encode_base64(b"\0alice\0wrong")
LOGIN = b"AUTH PLAIN %b\r\n" % PLAIN
LETTER = b"Subject: hello\r\n\r\nHello.\r\n"


class TLSPeer(Peer):
    """A peer that can speak TLS."""

    tls: SSL.Connection | None = None

    def shake_hands(self) -> None:
        """Begin TLS."""
        self.tls = pyopenssl_client()
        for _ in range(4):
            with suppress(SSL.WantReadError):
                self.tls.do_handshake()
            self._exchange()
        assert self.tls.get_peer_finished() is not None

    def say(self, octets: bytes) -> None:
        if self.tls is None:
            super().say(octets)
        else:
            self.tls.sendall(octets)
            self._exchange()

    def heard(self) -> bytes:
        if self.tls is None:
            return super().heard()
        self._exchange()
        octets = b""
        try:
            while True:
                octets += self.tls.recv(65536)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:  # the office has closed: so does the peer
            self.tls.shutdown()
            self._exchange()
            self.leave(cleanly=True)
        return octets

    def _exchange(self) -> None:
        assert self.tls is not None
        with suppress(SSL.WantReadError):
            while True:
                super().say(self.tls.bio_read(65536))
        octets = super().heard()
        if octets:
            self.tls.bio_write(octets)


@implementer(ICredentialsChecker)
class Checker:
    """Knows alice, whose password is ``secret``, unless it was told otherwise."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.answer: Any = None
        self.asked: list[tuple[bytes, str]] = []

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append((credentials.username, credentials.peer))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if credentials.checkPassword(b"secret") and credentials.username == b"alice":
            return b"alice"
        raise UnauthorizedLogin


@implementer(IRealm, ISender)
class Realm:
    """Gives the one sender there is, who is ``alice@example.org``."""

    def requestAvatar(self, avatarId: object, mind: object, *interfaces: object) -> Any:
        assert interfaces == (ISender,)
        return ISender, self, lambda: None

    def may_send_as(self, sender: Any) -> bool:
        return str(sender) == "alice@example.org"


class Office:
    """An intake with a portal."""

    def __init__(
        self,
        security: Security | None = None,
        kind: type[SMTPFactory] = SMTPFactory,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.sorter, self.delivery, self.checker = Sorter(), Delivery(), Checker()
        self.factory = kind(
            Settings("post.example.org", **settings),
            self.sorter,
            self.delivery,
            self.clock,
            portal=Portal(Realm(), [self.checker]),
        )
        if security is not None:
            self.factory.security = security

    def peer(self, host: str = "192.0.2.1") -> TLSPeer:
        """Somebody who has connected and heard the greeting."""
        peer = TLSPeer(self.factory, self.clock, host)
        assert peer.heard().startswith(b"220 post.example.org ")
        return peer


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    """The office's certificate."""
    return write_pair(tmp_path, "a", "ecdsa", "post.example.org")


@pytest.fixture
def tls(files: CertificateFiles) -> ServerTLS:
    """The office's side of TLS."""
    return ServerTLS([files], Clock())


# STARTTLS and STLS --------------------------------------------------------------------------------


def test_smtp_41_44_a_letter_under_tls(tls: ServerTLS) -> None:
    """STARTTLS, a new hello, a letter: Received says ESMTPS, and STARTTLS is offered no more."""
    office = Office(Security(tls))
    peer = office.peer()
    assert b"250-STARTTLS\r\n" in peer.ask(HELLO)
    assert peer.ask(b"STARTTLS\r\n") == reply.BEGIN_TLS.octets
    peer.shake_hands()
    assert codes(peer.ask(ENVELOPE)) == ["503 5.5.1", "503 5.5.1"]
    assert b"STARTTLS" not in peer.ask(HELLO)
    heard = peer.ask(ENVELOPE + b"DATA\r\n" + LETTER + b".\r\n")
    assert codes(heard) == ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    (draft,) = office.delivery.kept
    assert draft.body == LETTER
    assert b"with ESMTPS id" in draft.copies[0].postmark
    assert codes(peer.ask(b"QUIT\r\n")) == ["221 2.0.0"]
    assert not peer.connected
    assert office.factory.connections == set()


@pytest.mark.parametrize("begun", [b"BDAT 5\r\none\r\n", b"", b"BDAT 0\r\n"])
def test_smtp_44_a_letter_begun_in_the_clear(tls: ServerTLS, begun: bytes) -> None:
    """What was begun before TLS is forgotten, the draft, too; so is who had logged in."""
    office = Office(Security(tls))
    peer = office.peer()
    peer.ask(HELLO + LOGIN + ENVELOPE.replace(b"carol@example.net", b"alice@example.org") + begun)
    peer.ask(b"STARTTLS\r\n")
    assert all(draft.aborted for draft in office.delivery.drafts)
    peer.shake_hands()
    heard = peer.ask(HELLO + ENVELOPE + b"DATA\r\n" + LETTER + b".\r\n")
    assert codes(heard)[1:] == ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    (draft,) = office.delivery.kept
    assert draft.body == LETTER
    assert b"with ESMTPS id" in draft.copies[0].postmark


def test_smtp_45_pipelined_in_the_clear(tls: ServerTLS) -> None:
    """Octets behind STARTTLS in the same segment are never run: not before TLS, and not under it."""
    office = Office(Security(tls))
    peer = office.peer()
    peer.ask(HELLO)
    evil = b"EHLO evil.example\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@example.org>\r\n"
    assert peer.ask(b"STARTTLS\r\n" + evil * 500) == reply.BEGIN_TLS.octets
    peer.shake_hands()
    assert peer.heard() == b""
    assert codes(peer.ask(b"RCPT TO:<alice@example.org>\r\n")) == ["503 5.5.1"]
    assert peer.protocol.session.helo == ""


def test_smtp_45_held_back_before_tls(tls: ServerTLS) -> None:
    """A peer that was held back meanwhile is read again: its handshake is heard."""
    office = Office(Security(tls))
    office.checker.answer = check = Deferred()
    peer = office.peer()
    peer.ask(HELLO)
    said = LOGIN + b"STARTTLS\r\n"
    peer.say(said + b"\n" * (MAX_BUFFERED + len(LOGIN) - len(said)))
    peer.say(b"")
    assert not peer.line.reading
    assert not peer.line.in_flight
    check.callback(b"alice")
    assert peer.heard() == reply.LOGGED_IN.octets + reply.BEGIN_TLS.octets
    assert peer.line.reading
    peer.shake_hands()
    assert codes(peer.ask(HELLO + ENVELOPE))[1:] == ["250 2.1.0", "250 2.1.5"]


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_smtp_44_a_handshake_in_pieces(tls: ServerTLS, cut: int) -> None:
    """STARTTLS and the handshake may come in pieces of any size."""
    office = Office(Security(tls))
    peer = office.peer()
    peer.ask(HELLO)
    for octet in b"STARTTLS\r\n":
        peer.say(bytes([octet]))
    assert peer.heard() == reply.BEGIN_TLS.octets
    say = peer.line.deliver

    def in_pieces() -> None:
        octets = bytes(peer.line.in_flight)
        for start in range(0, len(octets), cut):
            peer.line.in_flight[:] = octets[start : start + cut]
            say()

    peer.line.deliver = in_pieces
    peer.shake_hands()
    assert codes(peer.ask(HELLO + ENVELOPE))[1:] == ["250 2.1.0", "250 2.1.5"]


def test_smtp_45_in_the_clear_where_tls_should_be(tls: ServerTLS) -> None:
    """Octets in the clear after STARTTLS was answered end the connection, and are not run."""
    office = Office(Security(tls))
    peer = office.peer()
    peer.ask(HELLO + b"STARTTLS\r\n")
    heard = peer.ask(ENVELOPE + b"DATA\r\n" + LETTER + b".\r\n")
    assert b"250" not in heard
    assert not peer.connected
    assert office.delivery.kept == []
    assert office.factory.connections == set()


def test_smtp_46_no_tls() -> None:
    """A listener without a certificate neither offers TLS nor begins it."""
    peer = Office().peer()
    assert b"STARTTLS" not in peer.ask(HELLO)
    assert codes(peer.ask(b"STARTTLS\r\nNOOP\r\n")) == ["454 4.7.0", "250 2.0.0"]


def test_implicit_tls(files: CertificateFiles) -> None:
    """TLS from the first octet: the greeting comes under it, and STARTTLS is not offered."""
    office = Office()
    tls = ServerTLS([files], office.clock)
    office.factory.security = Security(tls, implicit=True, cleartext=False)
    peer = TLSPeer(EncryptedFactory(tls, office.factory), office.clock)
    peer.shake_hands()
    heard = peer.heard() + peer.ask(HELLO)
    assert heard.startswith(b"220 post.example.org ")
    assert b"STARTTLS" not in heard
    assert b"AUTH PLAIN LOGIN\r\n" in heard
    heard = peer.ask(LOGIN + ENVELOPE.replace(b"carol@example.net", b"alice@example.org"))
    assert codes(heard) == ["235 2.7.0", "250 2.1.0", "250 2.1.5"]
    peer.ask(b"DATA\r\n" + LETTER + b".\r\n")
    assert b"with ESMTPSA id" in office.delivery.kept[0].copies[0].postmark
    peer.ask(b"QUIT\r\n")
    assert not peer.connected


def test_an_end_under_tls(tls: ServerTLS) -> None:
    """The last words of an office that closes arrive under TLS, too."""
    office = Office(Security(tls))
    peer = office.peer()
    peer.ask(HELLO + b"STARTTLS\r\n")
    peer.shake_hands()
    office.factory.shut_down()
    assert codes(peer.heard()) == ["421 4.3.2"]
    assert not peer.connected


def test_pop3_27_stls_then_login(tls: ServerTLS) -> None:
    """STLS, then the login: no password before it, and what was pipelined behind it is not run."""
    office = CollectionOffice()
    office.factory.security = Security(tls, cleartext=False)
    peer = TLSPeer(office.factory, office.clock)
    peer.heard()
    assert b"STLS\r\n" in peer.ask(b"CAPA\r\n")
    assert peer.ask(b"USER alice\r\n").startswith(b"-ERR ")
    heard = peer.ask(b"STLS\r\nUSER eve\r\nPASS evil\r\nSTAT\r\n")
    assert heard == reply.POP_BEGIN_TLS.octets
    peer.shake_hands()
    assert peer.ask(b"PASS secret\r\n") == reply.POP_USER_FIRST.octets
    assert b"+OK 3 letters" in peer.ask(b"USER alice\r\nPASS secret\r\n")
    assert peer.ask(b"RETR 1\r\n").endswith(office.maildrop.letters[0] + b".\r\n")
    assert [asked[:2] for asked in office.checker.asked] == [(b"alice", b"secret")]
    assert peer.ask(b"DELE 1\r\nQUIT\r\n").count(b"+OK") == 2
    assert len(office.maildrop.letters) == 2
    assert not peer.connected


def test_pop3_28_auth() -> None:
    """AUTH asks the same portal as USER and PASS do."""
    office = CollectionOffice()
    peer = office.peer(inside=False)
    peer.heard()
    assert peer.ask(b"AUTH PLAIN %b\r\n" % WRONG).startswith(b"-ERR [AUTH] ")
    assert peer.ask(LOGIN).startswith(b"+OK 3 letters")
    assert office.checker.asked[-1] == (b"alice", b"secret", "192.0.2.1")


# AUTH ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said", "code"),
    [
        (None, PLAIN, "235 2.7.0"),
        (None, WRONG, "535 5.7.8"),
        (UnauthorizedLogin("nobody's business"), PLAIN, "535 5.7.8"),
        (MaildropLocked("moved out"), PLAIN, "525 5.7.13"),
        (TemporaryFailure("the register is closed"), PLAIN, "454 4.7.0"),
        (ZeroDivisionError(), PLAIN, "454 4.7.0"),
    ],
)
def test_smtp_56_login(answer: Any, said: bytes, code: str, log: Logbook) -> None:
    """The portal is asked, with the peer's address; what its trouble was the peer does not hear."""
    office = Office()
    office.checker.answer = answer
    peer = office.peer()
    peer.ask(HELLO)
    heard = peer.ask(b"AUTH PLAIN %b\r\nNOOP\r\n" % said)
    assert codes(heard) == [code, "250 2.0.0"]
    assert b"register" not in heard
    assert b"business" not in heard
    assert office.checker.asked == [(b"alice", "192.0.2.1")]
    assert len(log.take_failures(ZeroDivisionError)) == isinstance(answer, ZeroDivisionError)
    if code == "454 4.7.0":
        assert any(line.startswith("login of alice put off") for line in log.lines())


def test_smtp_56_guessing() -> None:
    """Who guesses is sent away after so many wrong passwords; the next connection is welcome."""
    office = Office(max_errors=3)
    peer = office.peer()
    peer.ask(HELLO)
    heard = codes(peer.ask(b"AUTH PLAIN %b\r\n" % WRONG * 10))
    assert heard == ["535 5.7.8"] * 3 + ["421 4.7.0"]
    assert len(office.checker.asked) == 4
    assert peer.line.ending == "half-close"
    assert codes(office.peer().ask(HELLO + LOGIN))[-1] == "235 2.7.0"


def test_what_is_pipelined_behind_a_login_waits() -> None:
    """While the portal takes its time nothing more is taken; then all is answered in its order."""
    office = Office()
    office.checker.answer = check = Deferred()
    peer = office.peer()
    peer.ask(HELLO)
    assert peer.ask(LOGIN + b"NOOP\r\n") == b""
    check.callback(b"alice")
    assert codes(peer.heard()) == ["235 2.7.0", "250 2.0.0"]


def test_gone_during_a_login() -> None:
    """A peer that goes while its password is checked: the check is cancelled, and nothing is logged amiss."""
    office = Office()
    cancelled: list[object] = []
    office.checker.answer = Deferred(cancelled.append)
    peer = office.peer()
    peer.ask(HELLO + LOGIN)
    peer.leave()
    assert len(cancelled) == 1
    assert office.factory.connections == set()


@pytest.mark.parametrize("well", [True, False])
def test_gone_during_a_login_that_cannot_be_cancelled(well: bool, log: Logbook) -> None:  # noqa: FBT001
    """The same where the check goes on all the same, and ends well or badly later."""
    office = Office()

    class Stubborn(Deferred[bytes]):
        def cancel(self) -> None:
            pass

    office.checker.answer = check = Stubborn()
    peer = office.peer()
    peer.ask(HELLO + LOGIN)
    peer.leave()
    if well:
        check.callback(b"alice")
    else:
        check.errback(ZeroDivisionError())
    assert office.factory.connections == set()
    assert len(log.take_failures(ZeroDivisionError)) == (not well)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("192.0.2.1", False), ("2001:db8::1", False), ("127.0.0.1", True), ("::1", True), ("", True)],
)
def test_smtp_54_cleartext(tls: ServerTLS, host: str, allowed: bool) -> None:  # noqa: FBT001
    """Where it is refused no password is said without TLS, but on this machine it may always be."""
    office = Office(Security(tls, cleartext=False))
    peer = office.peer(host)
    assert (b"AUTH" in peer.ask(HELLO)) is allowed
    assert codes(peer.ask(LOGIN)) == ["235 2.7.0" if allowed else "538 5.7.11"]
    assert len(office.checker.asked) == allowed


def test_nobody_to_ask() -> None:
    """Without a portal no login is offered."""
    office = Office()
    factory = SMTPFactory(
        Settings("post.example.org"), office.sorter, office.delivery, office.clock
    )
    peer = Peer(factory, office.clock)
    assert b"AUTH" not in peer.ask(HELLO)
    assert codes(peer.ask(LOGIN)) == ["504 5.5.4"]


def test_secrets_are_in_no_log(tls: ServerTLS, log: Logbook) -> None:
    """With transcripts on, neither password nor base64 of it is written anywhere, whatever became of it."""
    collection = CollectionOffice()
    office = Office(Security(tls))
    for factory in (office.factory, collection.factory):
        factory.transcripts = True
    name, secret = encode_base64(b"alice"), encode_base64(b"secret")
    two_lines = b"AUTH LOGIN\r\n%b\r\n%b\r\n" % (name, secret)
    for answer in (None, UnauthorizedLogin(), TemporaryFailure("closed"), ZeroDivisionError()):
        office.checker.answer = collection.checker.answer = answer
        for said in (LOGIN, two_lines, b"AUTH PLAIN %b\x01\r\n" % PLAIN):
            office.peer().ask(HELLO + said)
            peer = collection.peer(inside=False)
            peer.ask(said)
            peer.leave()
        collection.peer(inside=False).ask(b"USER alice\r\nPASS secret\r\n")
    failures = log.take_failures(ZeroDivisionError)
    told = "\n".join(
        [*log.lines(), *(failure.getTraceback() for failure in failures), repr(log.events)]
    )
    assert "AUTH PLAIN ********" in told
    for word in (PLAIN, secret):
        assert word.decode() not in told
    assert not re.search(r"\bsecret\b", told)


# Submission ---------------------------------------------------------------------------------------

OWN = ENVELOPE.replace(b"carol@example.net", b"alice@example.org")


def author() -> tuple[Office, TLSPeer]:
    """An office for its own users, and somebody who has said hello."""
    office = Office(kind=SubmissionFactory, needs_login=True)
    peer = office.peer()
    peer.ask(HELLO)
    return office, peer


def test_submission_without_login() -> None:
    """Nothing is taken before the login: 530."""
    office, peer = author()
    assert codes(peer.ask(OWN)) == ["530 5.7.0", "503 5.5.1"]
    assert codes(peer.ask(b"AUTH PLAIN %b\r\n" % WRONG + OWN))[1:] == ["530 5.7.0", "503 5.5.1"]
    assert codes(peer.ask(LOGIN + OWN)) == ["235 2.7.0", "250 2.1.0", "250 2.1.5"]
    assert office.delivery.drafts == []


def test_submission_with_anothers_address() -> None:
    """Who has logged in sends in their own name, or in nobody's: 553 5.7.1."""
    _, peer = author()
    peer.ask(LOGIN)
    heard = codes(peer.ask(ENVELOPE + b"MAIL FROM:<>\r\nRSET\r\n" + OWN))
    expected = ["553 5.7.1", "503 5.5.1", "250 2.1.0", "250 2.0.0", "250 2.1.0", "250 2.1.5"]
    assert heard == expected


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        (b"Subject: x\r\n", {"Date", "Message-ID"}),
        (b"Date: today\r\n", {"Message-ID"}),
        (b"message-id: <1@x>\r\nSubject: x\r\n", {"Date"}),
        (b"message-id: <1@x>\r\nDATE: today\r\n", set()),
    ],
)
@pytest.mark.parametrize("kind", [SubmissionFactory, SMTPFactory])
def test_what_a_letter_lacks(header: bytes, missing: set[str], kind: type[SMTPFactory]) -> None:
    """Date and Message-ID are added to an author's letter, beside its body; to nobody else's."""
    office = Office(kind=kind)
    peer = office.peer()
    peer.ask(HELLO + LOGIN + OWN + b"RCPT TO:<bob@example.org>\r\nDATA\r\n")
    assert codes(peer.ask(header + b"\r\nDate: in the body\r\n.\r\n")) == ["250 2.0.0"]
    (draft,) = office.delivery.kept
    assert draft.body == header + b"\r\nDate: in the body\r\n"
    assert len(draft.copies) == 2
    for copy in draft.copies:
        lines = copy.postmark.decode("ascii").split("\r\n")
        added = {
            line.split(":")[0]: line for line in lines if re.match("(?i)date:|message-id:", line)
        }
        assert set(added) == (missing if kind is SubmissionFactory else set())
        if "Message-ID" in added:
            assert added["Message-ID"] == f"Message-ID: <{draft.envelope.trace}@post.example.org>"
        assert b"with ESMTPA id" in copy.postmark
        assert copy.postmark.endswith(b"\r\n")
        assert b"\r\n\r\n" not in copy.postmark


# LMTP ---------------------------------------------------------------------------------------------


def relay(**settings: Any) -> tuple[Office, TLSPeer]:
    """An office behind a relay, and the relay, which has named four recipients."""
    office = Office(kind=LMTPFactory, **settings)
    office.delivery.at_once = False
    office.sorter.answers["al"] = Destination(1, "alice@example.org")
    peer = office.peer()
    peer.ask(b"LHLO relay.example.org\r\n" + ENVELOPE)
    names = (b"no@x", b"bob@x", b"al@x", b"bob@example.org")
    heard = peer.ask(b"".join(b"RCPT TO:<%b>\r\n" % name for name in names))
    assert codes(heard) == ["550 5.1.1", "250 2.1.5", "250 2.1.5", "250 2.1.5"]
    return office, peer


@pytest.mark.parametrize("bob", [Delivered(), TryLater(reply.DISK_FULL), Refused(reply.TOO_LARGE)])
def test_smtp_77_a_reply_for_each(bob: Any) -> None:
    """One reply for each RCPT that was accepted, each its own; who was named twice has one copy."""
    office, peer = relay()
    assert codes(peer.ask(b"DATA\r\n" + LETTER + b".\r\nNOOP\r\n")) == ["354"]
    (draft,) = office.delivery.kept
    assert not draft.atomic
    assert [copy.maildrop for copy in draft.copies] == [1, 2]
    assert b"with LMTP id" in draft.copies[0].postmark
    draft.committed.callback([Delivered(), bob])
    kept = b"250 2.0.0 kept as %b\r\n" % draft.envelope.trace.encode()
    his = kept if isinstance(bob, Delivered) else bob.reply.octets
    assert peer.heard() == kept + his + kept + his + reply.OK.octets


def test_smtp_77_trouble_is_told_to_each(log: Logbook) -> None:
    """Where delivery is broken each recipient is answered 451, and the session goes on."""
    office, peer = relay()
    peer.ask(b"DATA\r\n" + LETTER + b".\r\nNOOP\r\n")
    office.delivery.kept[0].committed.errback(ZeroDivisionError())
    assert codes(peer.heard()) == ["451 4.3.0"] * 4 + ["250 2.0.0"]
    assert len(log.take_failures(ZeroDivisionError)) == 1


def test_smtp_77_refused_at_its_end() -> None:
    """A letter that cannot be taken is refused for each recipient; none of it is kept."""
    office, peer = relay(max_octets=10)
    heard = peer.ask(b"BDAT 20 LAST\r\n" + b"x" * 20 + b"NOOP\r\n")
    assert codes(heard) == ["552 5.3.4"] * 4 + ["250 2.0.0"]
    assert office.delivery.kept == []


# Chunks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "final"), [(b"no end", False), (b"end\r\n", True), (b"", True)])
def test_smtp_70_final_crlf(body: bytes, final: bool) -> None:  # noqa: FBT001
    """A letter in chunks is kept as it came, and that its last line has no end is told to the store."""
    office = Office()
    peer = office.peer()
    peer.ask(HELLO + ENVELOPE)
    heard = peer.ask(b"BDAT 3\r\na\r\nBDAT %d LAST\r\n%b" % (len(body), body))
    assert codes(heard) == ["250 2.0.0", "250 2.0.0"]
    (draft,) = office.delivery.kept
    assert draft.body == b"a\r\n" + body
    assert draft.traits.final_crlf is final


def test_smtp_71_rset_between_chunks() -> None:
    """RSET between chunks forgets the draft."""
    office = Office()
    peer = office.peer()
    peer.ask(HELLO + ENVELOPE + b"BDAT 3\r\na\r\nRSET\r\n")
    assert [draft.aborted for draft in office.delivery.drafts] == [True]
    assert office.delivery.kept == []


def test_smtp_74_utf8() -> None:
    """A letter with SMTPUTF8 says so in Received, and to the store; its postmark is UTF-8."""
    office = Office()
    peer = office.peer()
    sender = "jörg@exämple.net"
    peer.ask(HELLO + f"MAIL FROM:<{sender}> SMTPUTF8\r\n".encode())
    peer.ask(b"RCPT TO:<alice@example.org>\r\nDATA\r\n")
    assert codes(peer.ask(b"Subject: \xc3\xb6\r\n\r\n.\r\n")) == ["250 2.0.0"]
    (draft,) = office.delivery.kept
    assert draft.traits.utf8
    assert str(draft.envelope.reverse_path) == sender
    postmark = draft.copies[0].postmark.decode()
    assert postmark.startswith(f"Return-Path: <{sender}>\r\n")
    assert "with UTF8SMTP id" in postmark
