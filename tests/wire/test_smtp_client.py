"""The SMTP and LMTP client: against our own server, and against servers that ours is not."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.dsn import decode_unitext, encode_unitext, original_recipient
from mailpost.wire.login import Access, ProofGiven
from mailpost.wire.path import Address
from mailpost.wire.reply import Reply
from mailpost.wire.sasl import MECHANISMS, Checks, start
from mailpost.wire.sasl_client import Credentials
from mailpost.wire.sasl_events import Accepted, Challenge, KeysAsked, Rejected
from mailpost.wire.scram_keys import derive
from mailpost.wire.session import MASKED
from mailpost.wire.smtp import Settings, SMTPServer
from mailpost.wire.smtp_client import SMTPClient
from mailpost.wire.smtp_client_events import (
    BeginTLS,
    BodyWanted,
    Ended,
    LetterDone,
    Ready,
    Reason,
    TLSPolicy,
)
from mailpost.wire.smtp_client_letter import (
    NO_8BIT,
    NO_UTF8,
    TOO_LARGE,
    TOO_MANY,
    Letter,
    Recipient,
)
from tests.dialogues.office import LMTPOffice, SMTPOffice

from .cutting import cuts, pieces

SENDER = Address("carol", "example.net")
ALICE = Recipient(Address("alice", "example.org"))
BOB = Recipient(Address("bob", "example.org"))
NOBODY = Recipient(Address("nobody", "example.org"))
BODY = b"Subject: tea\r\n\r\n.\r\n..dots\r\nAt five.\r\n"
LOGIN = Credentials("alice", "open sesame")
KEYS = derive(b"open sesame", b"salt" * 4, 4096)
BINDINGS = {"tls-exporter": bytes(range(32))}


def letter(*recipients, **more):
    return Letter(SENDER, recipients or (ALICE,), **more)


class Shell:
    """A shell in memory: hands the letters in, one after the other, and says QUIT."""

    def __init__(self, client, letters=(), cut=()):
        self.client = client
        self.left = list(letters)
        self.cut = list(cut)
        self.body = []
        self.done = []
        self.ended = None
        self.switched = 0
        self.bindings = {}
        self.ready = None
        self.sent = b""

    def turn(self):
        """Act on all events; what is to be sent."""
        output = b""
        while True:
            event = self.client.next_event()
            octets = self.client.take_output()
            output += octets
            if event is None and not octets:
                self.sent += output
                return output
            if event is not None:
                self.act(event)

    def act(self, event):
        match event:
            case BeginTLS():
                self.switched += 1
                self.client.tls_begun(self.bindings)
            case BodyWanted():
                self.client.give(self.body.pop(0), last=not self.body)
            case LetterDone(outcomes=outcomes):
                self.done.append(outcomes)
                self.next()
            case Ready():
                self.ready = dict(event.extensions)
                self.next()
            case Ended():
                assert self.ended is None
                self.ended = event

    def next(self):
        if self.client.closed:
            return
        if not self.left:
            self.client.quit()
            return
        envelope, body = self.left.pop(0)
        self.body = [*pieces(body, self.cut), b""]
        self.client.send(envelope)


def pump(shell, office, at=()):
    """Let both sides speak until neither has anything to say, their octets cut at these places."""
    said = b""
    while True:
        heard, office.heard = office.heard, b""
        for piece in pieces(heard, list(at)) if heard else []:
            shell.client.receive(piece)
            said += shell.turn()
        if not said and not heard:
            return shell
        for piece in pieces(said, list(at)) if said else []:
            office.receive(piece)
        said = b""


def replies(done):
    return [outcome.reply.code if outcome.reply else None for outcome in done]


class Script:
    """A server that says what it is told to: a line for each that it hears, whatever that is."""

    def __init__(self, *says):
        self.says = list(says)
        self.heard = b""
        self.lines = []
        self.receive(b"", first=True)

    def receive(self, octets, *, first=False):
        lines = [b""] if first else octets.split(b"\r\n")[:-1]
        for line in lines:
            self.lines.append(line)
            if self.says:
                self.heard += self.says.pop(0)


HELLO = (b"220 a\r\n", b"250-a\r\n250 8BITMIME\r\n")


def scripted(*says, letters=(), **options):
    office = Script(*says)
    return pump(Shell(SMTPClient("c.example", **options), letters), office), office


# Against our own server ---------------------------------------------------------------------------


@settings(deadline=None)
@given(cuts(), cuts())
def test_letters_arrive_octet_for_octet_in_any_chunking(at, cut):
    """By BDAT, pipelined, two letters in a session, with and without a final CRLF."""
    office = SMTPOffice({})
    shell = Shell(SMTPClient("c.example"), [(letter(ALICE, BOB), BODY), (letter(), BODY[:-2])], cut)
    pump(shell, office, at)
    assert [body for _, _, body in office.kept] == [BODY, BODY[:-2]]
    assert [replies(done) for done in shell.done] == [[250, 250], [250]]
    assert shell.ended == Ended(Reason.QUIT)
    assert b"BDAT" in shell.sent


class Without(SMTPClient):
    """A client that does not know some extensions."""

    unknown = ("CHUNKING",)

    def _go_on(self):
        for keyword in self.unknown:
            self.extensions.pop(keyword, None)
        super()._go_on()


class Plainest(Without):
    unknown = ("CHUNKING", "PIPELINING")


@settings(deadline=None)
@given(cuts(), cuts(), st.sampled_from([Without, Plainest]))
def test_by_data_a_final_crlf_is_added(at, cut, client):
    office = SMTPOffice({})
    shell = Shell(client("c.example"), [(letter(), BODY), (letter(), BODY[:-2])], cut)
    pump(shell, office, at)
    assert [body for _, _, body in office.kept] == [BODY, BODY]
    assert shell.ended == Ended(Reason.QUIT)
    assert b"\r\nDATA\r\n" in shell.sent


@pytest.mark.parametrize("client", [SMTPClient, Without, Plainest])
def test_good_recipients_get_what_bad_ones_do_not(client):
    office = SMTPOffice({})
    letters = [(letter(NOBODY, ALICE), BODY), (letter(NOBODY), BODY), (letter(BOB), BODY)]
    shell = pump(Shell(client("c.example"), letters), office)
    assert [replies(done) for done in shell.done] == [[550, 250], [550], [250]]
    assert [body for _, _, body in office.kept] == [BODY, BODY]


@settings(deadline=None)
@given(cuts(), cuts())
def test_lmtp_has_a_reply_for_each_recipient(at, cut):
    office = LMTPOffice({"full maildrop": "bob"})
    shell = Shell(SMTPClient("c.example", lmtp=True), [(letter(ALICE, NOBODY, BOB), BODY)] * 2, cut)
    pump(shell, office, at)
    assert [replies(done)[:2] for done in shell.done] == [[250, 550]] * 2
    assert all(not done[2].reply.positive for done in shell.done)
    assert shell.ended == Ended(Reason.QUIT)


def test_starttls_then_a_login():
    office = SMTPOffice({"tls": "offered", "cleartext": "refused"})
    client = SMTPClient("c.example", policy=TLSPolicy.REQUIRED, credentials=LOGIN)
    shell = pump(Shell(client, [(letter(), BODY)]), office)
    assert (shell.switched, office.handshakes) == (1, 1)
    assert "STARTTLS" not in shell.ready
    assert office.session.user == "alice"
    assert replies(shell.done[0]) == [250]


def test_a_refused_store_is_told():
    shell = pump(Shell(SMTPClient("c.example"), [(letter(), BODY)] * 2), SMTPOffice({"store": ""}))
    assert [replies(done) for done in shell.done] == [[451], [451]]
    assert shell.ended == Ended(Reason.QUIT)


def test_a_letter_too_large_for_the_server_is_not_begun():
    shell = pump(
        Shell(SMTPClient("c.example"), [(letter(octets=101), BODY)]),
        SMTPOffice({"max_octets": "100"}),
    )
    assert [(one.reply, one.local) for one in shell.done[0]] == [(TOO_LARGE, True)]
    assert b"MAIL" not in shell.sent


def test_a_letter_that_grows_too_large_is_refused_by_the_server():
    shell = Shell(SMTPClient("c.example"), [(letter(), b"x" * 200)] * 2, range(0, 200, 9))
    pump(shell, SMTPOffice({"max_octets": "100"}))
    assert [replies(done) for done in shell.done] == [[552], [552]]
    assert shell.ended == Ended(Reason.QUIT)


class KeysOffice(SMTPOffice):
    """Our own engine with SCRAM in it, and with a TLS that can be bound to."""

    def __init__(self, *, tls):
        super().__init__({})
        self.heard = b""
        access = Access(tls=tls, cleartext=False, checks=Checks.KEYS)
        self.session = SMTPServer(Settings("post.example.org"), access)
        self.session.bindings = lambda: BINDINGS
        self.proofs = []
        self.session.greet()
        self.receive(b"")

    def act(self, event):
        match event:
            case KeysAsked():
                return self.session.give_keys([KEYS])
            case ProofGiven(keys=keys):
                self.proofs.append(keys)
                return self.session.answer(reply.LOGGED_IN if keys else reply.BAD_LOGIN)
        return super().act(event)


@pytest.mark.parametrize(
    ("tls", "mechanism"), [(True, b"SCRAM-SHA-256-PLUS"), (False, b"SCRAM-SHA-256")]
)
@settings(deadline=None, max_examples=20)
@given(cuts())
def test_scram_through_our_own_engine(tls, mechanism, at):
    office = KeysOffice(tls=tls)
    client = SMTPClient("c.example", tls=tls, bindings=BINDINGS if tls else {}, credentials=LOGIN)
    shell = pump(Shell(client, [(letter(), BODY)]), office, at)
    assert b"AUTH " + mechanism + b" " in shell.sent
    assert office.proofs == [KEYS]
    assert [body for _, _, body in office.kept] == [BODY]


def test_a_wrong_password_by_scram():
    client = SMTPClient("c.example", credentials=Credentials("alice", "guess"))
    office = KeysOffice(tls=False)
    assert pump(Shell(client), office).ended == Ended(Reason.LOGIN, reply.BAD_LOGIN)
    assert office.proofs == [None]


# The transcript -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("at", [(), (1, 5, 9)])
def test_what_both_sides_say_is_told(tls, at):
    """Each line, in its order, secrets masked; nothing of the letter. The server tells the same."""
    office = KeysOffice(tls=tls)
    client = SMTPClient("c.example", tls=tls, bindings=BINDINGS if tls else {}, credentials=LOGIN)
    told, servers = [], []
    client.transcript = lambda *line: told.append(line)
    office.session.transcript = lambda *line: servers.append(line)
    pump(Shell(client, [(letter(), BODY)]), office, at)
    assert told[0][1].startswith("220 ")
    assert told[1] == ("C", "EHLO c.example")
    said = [line for side, line in told if side == "C"]
    assert said == [line for side, line in servers if side == "C"]
    assert said[1:4] == [f"AUTH SCRAM-SHA-256{'-PLUS' * tls} {MASKED}", MASKED, MASKED]
    assert said[4:6] == ["MAIL FROM:<carol@example.net>", "RCPT TO:<alice@example.org>"]
    assert said[6:] == [f"BDAT {len(BODY)}", "BDAT 0 LAST", "QUIT"]
    heard = [line for side, line in told[1:] if side == "S"]
    assert heard == [line for side, line in servers if side == "S"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_no_secret_is_told(mechanism):
    """Neither a password nor a token, however it is wrapped, and whatever the server answers."""
    client = SMTPClient(
        "c.example",
        tls=True,
        bindings=BINDINGS if "PLUS" in mechanism else {},
        credentials=Credentials("alice", "open sesame", "token"),
    )
    told = []
    client.transcript = lambda *line: told.append(line)
    shell = pump(Shell(client), LoginScript(mechanism))
    shown = "\n".join(line for _, line in told)
    assert f"AUTH {mechanism} {MASKED}" in shown
    for line in shell.sent.split(b"\r\n")[1:-2]:
        secret = line.split(b" ")[2:] if line.startswith(b"AUTH ") else [line]
        assert not secret or len(secret[0]) < 4 or secret[0].decode() not in shown


def test_odd_replies_are_told_escaped():
    """Whatever a server says, the transcript can be read."""
    client = SMTPClient("c.example")
    told = []
    client.transcript = lambda *line: told.append(line)
    client.receive(b"220 \x1b[2J\xff\r\n")
    client.next_event()
    assert told == [("S", r"220 \x1b[2J\xff"), ("C", "EHLO c.example")]


# The hello ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 502])
def test_who_knows_no_ehlo_hears_helo(code):
    shell, office = scripted(b"220 a\r\n", b"%d what\r\n" % code, b"250 a\r\n", b"221 bye\r\n")
    assert office.lines[1:] == [b"EHLO c.example", b"HELO c.example", b"QUIT"]
    assert shell.ready == {}


def test_a_refused_greeting_is_told():
    shell, office = scripted(b"554 5.7.1 no\r\n", b"221 bye\r\n")
    assert shell.ended == Ended(Reason.REFUSED, Reply(554, "5.7.1", "no"))
    assert office.lines[1:] == [b"QUIT"]


@pytest.mark.parametrize("at", range(3))
def test_421_ends_it_anywhere(at):
    says = [*HELLO, b"250 ok\r\n"][:at]
    shell, _ = scripted(*says, b"421 4.3.2 closing\r\n", letters=[(letter(), BODY)])
    assert shell.ended == Ended(Reason.CLOSED, Reply(421, "4.3.2", "closing"))
    assert [replies(done) for done in shell.done] == ([[None]] if at == 2 else [])


def test_tls_that_is_required_and_not_offered():
    shell, _ = scripted(*HELLO, b"221 bye\r\n", policy=TLSPolicy.REQUIRED)
    assert shell.ended == Ended(Reason.NO_TLS)


def test_tls_that_is_refused():
    says = (b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"454 4.7.0 no\r\n")
    shell, _ = scripted(*says, b"221 bye\r\n", policy=TLSPolicy.REQUIRED)
    assert shell.ended == Ended(Reason.NO_TLS, Reply(454, "4.7.0", "no"))
    shell, _ = scripted(*says, b"221 bye\r\n")
    assert shell.ended == Ended(Reason.QUIT)


def test_tls_that_is_never_wanted():
    _, office = scripted(b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", policy=TLSPolicy.NEVER)
    assert office.lines[1:] == [b"EHLO c.example", b"QUIT"]


@pytest.mark.parametrize("behind", [b"250 AUTH PLAIN\r\n", b"2", b"250-a\r\n"])
def test_octets_behind_the_220_are_an_injection(behind):
    shell, _ = scripted(b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"220 go\r\n" + behind)
    assert shell.ended.reason is Reason.PROTOCOL
    assert shell.switched == 0


def test_octets_in_the_clear_before_the_switch_are_an_injection():
    client = SMTPClient("c.example")
    client.receive(b"220 a\r\n")
    assert client.next_event() is None
    client.receive(b"250-a\r\n250 STARTTLS\r\n")
    assert client.next_event() is None
    client.receive(b"220 go\r\n")
    assert isinstance(client.next_event(), BeginTLS)
    client.receive(b"250 x\r\n")
    assert client.next_event().reason is Reason.PROTOCOL


def test_what_was_announced_before_tls_is_forgotten():
    says = (b"220 a\r\n", b"250-a\r\n250-DSN\r\n250 STARTTLS\r\n", b"220 go\r\n", b"250 a\r\n")
    shell, _ = scripted(*says)
    assert shell.ready == {}


# The login ----------------------------------------------------------------------------------------


class LoginScript(Script):
    """A server with one mechanism: 334 and base64 around an exchange."""

    def __init__(self, mechanism, *, lies=False):
        self.exchange = start(mechanism, bindings=BINDINGS if "PLUS" in mechanism else {})
        self.lies = lies
        super().__init__(b"220 a\r\n", b"250-a\r\n250 AUTH %b\r\n" % mechanism.encode())

    def receive(self, octets, *, first=False):
        if self.says or first:
            super().receive(octets, first=first)
            return
        line = octets.removesuffix(b"\r\n")
        self.lines.append(line)
        if line in {b"QUIT", b"*"}:
            self.heard += b"221 bye\r\n" if line == b"QUIT" else b"501 given up\r\n"
            return
        initial = line.split(b" ")[2:] if line.startswith(b"AUTH ") else [line]
        step = self.exchange.step(
            b64decode(initial[0].strip(b"=") and initial[0]) if initial else None
        )
        while not isinstance(step, Challenge | Accepted | Rejected):
            step = (
                self.exchange.give([KEYS]) if isinstance(step, KeysAsked) else self.exchange.admit()
            )
        if isinstance(step, Challenge):
            said = (
                b"v=" + b64encode(bytes(32))
                if self.lies and step.octets[:2] == b"v="
                else step.octets
            )
            self.heard += b"334 " + b64encode(said) + b"\r\n"
        else:
            self.heard += b"235 in\r\n" if isinstance(step, Accepted) else b"535 5.7.8 no\r\n"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_logs_in(mechanism):
    client = SMTPClient(
        "c.example",
        tls=True,
        bindings=BINDINGS if "PLUS" in mechanism else {},
        credentials=Credentials("alice", "open sesame", "token"),
    )
    shell = pump(Shell(client), LoginScript(mechanism))
    assert shell.ready == {"AUTH": mechanism}
    assert shell.ended == Ended(Reason.QUIT)


def test_a_long_initial_response_waits_for_its_challenge():
    """RFC 4954 §4: a command line has 512 octets."""
    client = SMTPClient("c.example", tls=True, credentials=Credentials("alice", "x" * 500))
    office = LoginScript("PLAIN")
    shell = pump(Shell(client), office)
    assert office.lines[2] == b"AUTH PLAIN"
    assert shell.ended == Ended(Reason.QUIT)


def test_a_server_that_does_not_know_the_keys_is_left():
    client = SMTPClient("c.example", credentials=LOGIN)
    office = LoginScript("SCRAM-SHA-256", lies=True)
    shell = pump(Shell(client), office)
    assert shell.ended.reason is Reason.DISTRUST
    assert shell.ready is None
    assert office.lines[-2:] == [b"*", b"QUIT"]


def test_a_success_before_the_proof_is_not_believed():
    says = (
        b"220 a\r\n",
        b"250-a\r\n250 AUTH SCRAM-SHA-256\r\n",
        b"235 welcome\r\n",
        b"221 bye\r\n",
    )
    shell, _ = scripted(*says, credentials=LOGIN)
    assert shell.ended.reason is Reason.DISTRUST


@pytest.mark.parametrize("challenge", [b"334 !\r\n", b"334-\r\n334 \r\n", b"334 YQ=\r\n"])
def test_a_challenge_that_is_none_is_given_up(challenge):
    says = (b"220 a\r\n", b"250-a\r\n250 AUTH LOGIN\r\n", challenge, b"501 ok\r\n", b"221 bye\r\n")
    shell, office = scripted(*says, credentials=LOGIN, cleartext=True)
    assert office.lines[3:] == [b"*", b"QUIT"]
    assert shell.ended.reason is Reason.DISTRUST


def test_no_password_in_the_clear():
    says = (b"220 a\r\n", b"250-a\r\n250 AUTH PLAIN LOGIN\r\n", b"221 bye\r\n")
    shell, office = scripted(*says, credentials=LOGIN)
    assert shell.ended.reason is Reason.NO_MECHANISM
    assert office.lines[2:] == [b"QUIT"]


def test_a_wrong_password_is_told():
    office = SMTPOffice({})
    client = SMTPClient("c.example", credentials=Credentials("alice", "guess"), cleartext=True)
    assert pump(Shell(client), office).ended == Ended(Reason.LOGIN, reply.BAD_LOGIN)


# The envelope -------------------------------------------------------------------------------------

ALL = (
    b"250-a\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 LIMITS RCPTMAX=2\r\n"
)


def test_parameters_are_said_where_they_are_known():
    who = Recipient(ALICE.address, ("SUCCESS", "DELAY"), "a+b=c@example.org")
    full = letter(who, octets=99, eight_bit=True, utf8=True, ret="HDRS", envid="x y")
    says = [b"220 a\r\n", ALL, *[b"250 ok\r\n"] * 2, b"354 go\r\n", b"250 ok\r\n"]
    _, office = scripted(*says, letters=[(full, b"x\r\n")])
    assert office.lines[2:5] == [
        b"MAIL FROM:<carol@example.net> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+20y",
        b"RCPT TO:<alice@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb+3Dc@example.org",
        b"DATA",
    ]


def test_an_original_recipient_beyond_ascii():
    """ORCPT in the form that every server takes (RFC 6533 §3), and our own server reads it back."""
    who = Recipient(ALICE.address, (), "j\u00f6+\u2014@ex\u00e4mple.org")
    says = [b"220 a\r\n", ALL, *[b"250 ok\r\n"] * 2, b"354 go\r\n", b"250 ok\r\n"]
    _, office = scripted(*says, letters=[(letter(who), b"x\r\n")])
    said = rb"utf-8;j\x{F6}\x{2B}\x{2014}@ex\x{E4}mple.org"
    assert office.lines[3] == b"RCPT TO:<alice@example.org> ORCPT=" + said
    read = original_recipient(said.decode(), utf8=False)
    assert decode_unitext(read.address) == who.original


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20))
def test_unitext_is_read_back(text):
    """What is written as utf-8-addr-xtext is US-ASCII, and read as it was."""
    assert encode_unitext(text).isascii()
    assert decode_unitext(encode_unitext(text)) == text


def test_parameters_are_not_said_where_they_are_unknown():
    who = Recipient(ALICE.address, ("NEVER",), "a@example.org")
    says = [*HELLO, *[b"250 ok\r\n"] * 2, b"354 go\r\n", b"250 ok\r\n"]
    _, office = scripted(*says, letters=[(letter(who, octets=9, ret="FULL", envid="x"), b"x\r\n")])
    assert office.lines[2:4] == [b"MAIL FROM:<carol@example.net>", b"RCPT TO:<alice@example.org>"]


def test_what_the_server_cannot_take_is_refused_here():
    umlaut = Recipient(Address("j\u00f6rg", "example.org"))
    plain = (b"220 a\r\n", b"250 a\r\n", b"221 bye\r\n")
    for envelope, answer in [
        (letter(umlaut), NO_UTF8),
        (letter(utf8=True), NO_UTF8),
        (letter(eight_bit=True), NO_8BIT),
    ]:
        shell, office = scripted(*plain, letters=[(envelope, BODY)])
        assert [(one.reply, one.local) for one in shell.done[0]] == [(answer, True)]
        assert office.lines[2:] == [b"QUIT"]


def test_no_more_recipients_than_rcptmax():
    """RFC 9422 §4: the rest is for another letter."""
    says = [b"220 a\r\n", ALL, *[b"250 ok\r\n"] * 3, b"354 go\r\n", b"250 ok\r\n"]
    shell, _ = scripted(*says, letters=[(letter(ALICE, BOB, NOBODY), b"x\r\n")])
    assert replies(shell.done[0]) == [250, 250, TOO_MANY.code]
    assert [one.local for one in shell.done[0]] == [False, False, True]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recipient(Address("a\r\nRSET", "example.org")),
        lambda: Recipient(Address("a", "example.org> SIZE=1")),
        lambda: Recipient(Address("a\0", "example.org")),
        lambda: Recipient(ALICE.address, ("OFTEN",)),
        lambda: Recipient(ALICE.address, ("NEVER", "DELAY")),
        lambda: Recipient(ALICE.address, (), "x\r\ny"),
        lambda: Recipient(ALICE.address, (), "x" * 494),
        lambda: Recipient(ALICE.address, (), "\u00f6"),
        lambda: Recipient(ALICE.address, (), "\u00f6@x\r\ny"),
        lambda: Recipient(ALICE.address, (), "\u00f6" * 30 + "@" + "\u00e4" * 60),
        lambda: letter(envid="x" * 101),
        lambda: Letter(Address("a", "b\r\nRSET"), (ALICE,)),
        lambda: Letter(SENDER, ()),
        lambda: letter(envid="x\n"),
        lambda: letter(ret="ALL"),
        lambda: SMTPClient("c\r\nRSET"),
    ],
)
def test_no_command_can_be_smuggled_in(make):
    with pytest.raises(ValueError, match=r"."):
        make()


# The letter ---------------------------------------------------------------------------------------

PIPELINED = b"250-a\r\n250 PIPELINING\r\n"


def test_the_envelope_is_one_write_where_pipelining_is_offered():
    client = SMTPClient("c.example")
    shell = Shell(client, [(letter(ALICE, BOB), BODY)])
    client.receive(b"220 a\r\n")
    shell.turn()
    client.receive(PIPELINED)
    assert shell.turn().count(b"\r\n") == 4


def test_a_354_for_nobody_is_ended_with_nothing():
    """RFC 2920 §3.1."""
    says = (b"220 a\r\n", PIPELINED, b"250 ok\r\n", b"550 no\r\n", b"354 go\r\n", b"554 none\r\n")
    shell, office = scripted(*says, b"221 bye\r\n", letters=[(letter(), BODY)])
    assert office.lines[4:] == [b"DATA", b".", b"QUIT"]
    assert replies(shell.done[0]) == [550]


@pytest.mark.parametrize(
    "body", [b"a\nb\r\n", b"a\rb\r\n", b"a\r", b"\n", b"a\r\r\n", b"caf\xc3\xa9\r\n"]
)
@pytest.mark.parametrize("cut", [(), range(9)])
def test_what_may_not_be_sent_is_the_callers_error(body, cut):
    office = SMTPOffice({})
    shell = Shell(SMTPClient("c.example"), [(letter(), body)], cut)
    with pytest.raises(ValueError, match=r"bare CR or LF|8-bit"):
        pump(shell, office)
    shell.turn()
    assert shell.ended.reason is Reason.BAD_LETTER
    assert replies(shell.done[0]) == [None]
    assert office.kept == []


def test_no_piece_is_wanted_while_output_waits():
    client = SMTPClient("c.example")
    for said in (b"220 a\r\n", b"250 a\r\n"):
        client.receive(said)
        event = client.next_event()
    assert isinstance(event, Ready)
    client.send(letter())
    for said in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        assert client.next_event() is None
        client.take_output()
        client.receive(said)
    assert isinstance(client.next_event(), BodyWanted)
    client.give(b"x\r\n")
    assert client.next_event() is None
    assert client.take_output() == b"x\r\n"
    assert isinstance(client.next_event(), BodyWanted)
    client.lost()
    assert replies(client.next_event().outcomes) == [None]
    assert client.next_event() == Ended(Reason.LOST)


def test_a_refused_sender_is_the_outcome_of_all():
    says = (b"220 a\r\n", b"250 a\r\n", b"550 5.7.1 not you\r\n", b"221 bye\r\n")
    shell, office = scripted(*says, letters=[(letter(ALICE, BOB), BODY)])
    assert replies(shell.done[0]) == [550, 550]
    assert office.lines[3:] == [b"QUIT"]


def test_a_refused_chunk_is_the_end_of_the_letter():
    """No further piece is wanted, and RSET makes place for the next letter (RFC 3030 §2)."""
    client = SMTPClient("c.example")
    events = []

    def hear(octets):
        client.receive(octets)
        while (event := client.next_event()) is not None:
            events.append(event)
        return client.take_output()

    hear(b"220 a\r\n")
    hear(b"250-a\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
    client.send(letter())
    assert hear(b"").count(b"\r\n") == 2
    hear(b"250 ok\r\n250 ok\r\n")
    for _ in range(2):
        assert isinstance(events.pop(), BodyWanted)
        client.give(b"x\r\n")
        assert client.take_output() == b"BDAT 3\r\nx\r\n"
        hear(b"")
    assert hear(b"452 4.3.1 full\r\n") == b""
    assert isinstance(events[-1], BodyWanted)
    client.give(b"nobody hears this\r\n", last=True)
    assert client.take_output() == b""
    assert hear(b"503 5.5.1 what\r\n") == b"RSET\r\n"
    hear(b"250 ok\r\n")
    assert [one.reply for one in events[-1].outcomes] == [Reply(452, "4.3.1", "full")]
    client.quit()
    assert client.take_output() == b"QUIT\r\n"


def test_chunks_are_not_sent_without_end():
    """With PIPELINING some may be unanswered; without it each awaits its reply."""
    for extensions, most in ((b"250-PIPELINING\r\n", 8), (b"", 1)):
        client = SMTPClient("c.example")
        says = (b"220 a\r\n", b"250-a\r\n" + extensions + b"250 CHUNKING\r\n")
        for said in says:
            client.receive(said)
            event = client.next_event()
        assert isinstance(event, Ready)
        client.send(letter())
        for _ in range(2):
            assert client.next_event() is None
            client.take_output()
            client.receive(b"250 ok\r\n")
        given_ = 0
        while isinstance(client.next_event(), BodyWanted):
            client.give(b"x\r\n")
            client.take_output()
            given_ += 1
        assert given_ == most


def test_a_name_that_saslprep_forbids():
    says = (b"220 a\r\n", b"250-a\r\n250 AUTH SCRAM-SHA-256\r\n", b"221 bye\r\n")
    shell, _ = scripted(*says, credentials=Credentials("a\u202eb", "x"))
    assert shell.ended.reason is Reason.LOGIN


# Hostile servers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    [
        (b"220 a\r\n250 too soon\r\n250 again\r\n",),
        (b"220 a\r\n", b"250 a\r\n250 MAIL is fine\r\n"),
        (*HELLO, b"354 what\r\n"),
        (*HELLO, b"250 ok\r\n", b"250 ok\r\n", b"250 kept without DATA\r\n"),
        (*HELLO, b"250 ok\r\n", b"250 ok\r\n250 more\r\n"),
        (b"garbage\r\n",),
        (b"220 " + b"x" * 100_000,),
    ],
)
def test_replies_out_of_place_end_the_session(says):
    shell, _ = scripted(*says, letters=[(letter(), BODY)])
    assert shell.ended.reason is Reason.PROTOCOL
    assert all(replies(done) == [None] for done in shell.done)


def test_a_refused_rset_ends_the_session_with_its_outcomes_told():
    says = (b"250 ok\r\n", b"250 ok\r\n", b"554 no\r\n", b"550 no RSET\r\n")
    shell, _ = scripted(*HELLO, *says, letters=[(letter(), BODY)])
    assert shell.ended.reason is Reason.PROTOCOL
    assert replies(shell.done[0]) == [554]


def test_lmtp_has_no_354_for_nobody():
    """RFC 2033 §4.2: there would be no reply to wait for."""
    says = (b"220 a\r\n", PIPELINED, b"250 ok\r\n", b"550 no\r\n", b"354 go\r\n")
    shell, _ = scripted(*says, letters=[(letter(), BODY)], lmtp=True)
    assert shell.ended.reason is Reason.PROTOCOL
    assert replies(shell.done[0]) == [550]


_SAID = st.sampled_from(
    [
        b"220 a\r\n",
        b"250 ok\r\n",
        b"250-a\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE 9\r\n",
        b"250-a\r\n250 PIPELINING\r\n",
        b"250-a\r\n250 STARTTLS\r\n",
        b"250-a\r\n250 AUTH LOGIN PLAIN SCRAM-SHA-256\r\n",
        b"334 \r\n",
        b"235 in\r\n",
        b"354 go\r\n",
        b"550 5.1.1 no\r\n",
        b"451 later\r\n",
        b"421 bye\r\n",
        b"250-",
        b"\0\r\n",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(_SAID, max_size=16), cuts(), st.booleans())
def test_no_server_confuses_it(says, at, lmtp):
    """Whatever it says: an end or a wait, outcomes for each letter once, and never more than was asked."""
    client = SMTPClient("c.example", lmtp=lmtp, credentials=LOGIN, cleartext=True)
    shell = Shell(client, [(letter(ALICE, BOB), BODY)] * 2)
    pump(shell, Script(b"220 a\r\n", *says), at)
    client.lost()
    shell.turn()
    assert shell.ended is not None
    assert len(shell.done) + len(shell.left) <= 2
    assert all(len(done) == 2 for done in shell.done)
    for outcome in (one for done in shell.done for one in done):
        assert outcome.reply is None or outcome.reply.code // 100 in {2, 4, 5}


def test_misuse_is_told():
    client = SMTPClient("c.example")
    for misuse in (
        client.quit,
        client.tls_begun,
        lambda: client.send(letter()),
        lambda: client.give(b""),
    ):
        with pytest.raises(RuntimeError):
            misuse()
    assert client.patience == 300
