"""SCRAM-SHA-256 and -PLUS: the vector of RFC 7677, an independent client, and whoever cheats."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient, ScramException

from mailpost.wire.sasl import start
from mailpost.wire.sasl_events import Accepted, Challenge, KeysAsked, Reason, Rejected
from mailpost.wire.scram import fresh_nonce
from mailpost.wire.scram_keys import ScramKeys, derive

MALFORMED = Rejected(Reason.MALFORMED)
WRONG = Rejected(Reason.WRONG)
UNBOUND = Rejected(Reason.UNBOUND)
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = derive(b"pencil", SALT, 4096)
EXPORTER = {"tls-exporter": bytes(range(32))}
UNIQUE = {"tls-unique": bytes(range(12))}


def keys(password: str, salt: bytes = SALT, iterations: int = 4096) -> ScramKeys:
    return derive(password.encode(), salt, iterations)


def converse(client, exchange, *kept):
    """Let scramp's client speak with an exchange; the steps that it came to."""
    steps = [exchange.step(client.get_client_first().encode())]
    if isinstance(steps[-1], KeysAsked):
        steps.append(exchange.give(kept))
        client.set_server_first(steps[-1].octets.decode())
        steps.append(exchange.step(client.get_client_final().encode()))
    if isinstance(steps[-1], Challenge):
        client.set_server_final(steps[-1].octets.decode())
        steps.append(exchange.step(b""))
    return steps


def final_of(first: bytes, server_first: bytes, binding: bytes, kept: bytes = b"pencil") -> bytes:
    """A client's last message, made by the book (RFC 5802 §3)."""
    parts = dict(part.split(b"=", 1) for part in server_first.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", kept, b64decode(parts[b"s"]), int(parts[b"i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = b"c=" + b64encode(binding) + b",r=" + parts[b"r"]
    bare = first.split(b",", 2)[2]
    message = b",".join((bare, server_first, without_proof))
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return without_proof + b",p=" + b64encode(proof)


# The vector ---------------------------------------------------------------------------------------


def vector():
    return start("SCRAM-SHA-256", nonce=lambda: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")


FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


def test_speaks_as_in_rfc_7677():
    """RFC 7677 §3: the whole example, octet for octet."""
    exchange = vector()
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(FIRST) == KeysAsked("user")
    assert exchange.give([PENCIL]) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert exchange.step(FINAL) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert exchange.step(b"") == Accepted("user", PENCIL)


def test_nothing_but_silence_follows_our_signature():
    """The client has only to see it; whatever it says more is no part of the exchange."""
    exchange = vector()
    exchange.step(FIRST)
    exchange.give([PENCIL])
    exchange.step(FINAL)
    assert exchange.step(b"x") == MALFORMED


# An independent client ----------------------------------------------------------------------------


def test_lets_a_client_in_and_proves_itself():
    """scramp checks our signature."""
    client = ScramClient(["SCRAM-SHA-256"], "alice", "correct horse")
    ours = keys("correct horse")
    assert converse(client, start("SCRAM-SHA-256"), ours)[-1] == Accepted("alice", ours)


def test_refuses_a_wrong_password():
    """The proof does not fit the keys."""
    client = ScramClient(["SCRAM-SHA-256"], "alice", "wrong")
    assert converse(client, start("SCRAM-SHA-256"), keys("correct horse"))[-1] == WRONG


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_device_s_password_will_do_and_its_keys_are_told(which):
    """One salt and count for all of a user's passwords; the end says whose it was."""
    devices = [keys(password) for password in ("phone", "laptop", "cabin")]
    client = ScramClient(["SCRAM-SHA-256"], "alice", ("phone", "laptop", "cabin")[which])
    step = converse(client, start("SCRAM-SHA-256"), *devices)[-1]
    assert isinstance(step, Accepted)
    assert step.keys is devices[which]


def test_binds_to_a_connection_of_tls_1_2():
    """RFC 5929 §3: tls-unique, as the caller gives it."""
    binding = ("tls-unique", UNIQUE["tls-unique"])
    client = ScramClient(["SCRAM-SHA-256-PLUS"], "alice", "pencil", channel_binding=binding)
    step = converse(client, start("SCRAM-SHA-256-PLUS", bindings=UNIQUE), PENCIL)[-1]
    assert step == Accepted("alice", PENCIL)


def test_binds_to_a_connection_of_tls_1_3():
    """RFC 9266: tls-exporter; scramp does not know it, so the messages are made by hand."""
    exchange = start("SCRAM-SHA-256-PLUS", bindings=EXPORTER)
    first = b"p=tls-exporter,,n=alice,r=abc"
    exchange.step(first)
    server_first = exchange.give([PENCIL]).octets
    final = final_of(first, server_first, b"p=tls-exporter,," + EXPORTER["tls-exporter"])
    assert isinstance(exchange.step(final), Challenge)
    assert exchange.step(b"") == Accepted("alice", PENCIL)


def test_a_binding_to_another_connection_is_refused():
    """Somebody between two connections can pass on a proof, but not make it fit."""
    theirs = ("tls-unique", b"z" * 12)
    client = ScramClient(["SCRAM-SHA-256-PLUS"], "alice", "pencil", channel_binding=theirs)
    steps = converse(client, start("SCRAM-SHA-256-PLUS", bindings=UNIQUE), PENCIL)
    assert steps[-1] == UNBOUND


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40),
    st.binary(min_size=12, max_size=40),
    st.integers(4096, 5000),
)
def test_any_name_password_salt_and_count(name, password, salt, iterations):
    """What a client can write, we can read: commas and equal signs in names too."""
    client = ScramClient(["SCRAM-SHA-256"], name, password)
    ours = keys(password, salt, iterations)
    assert converse(client, start("SCRAM-SHA-256"), ours)[-1] == Accepted(name, ours)


def test_a_client_finds_out_a_server_without_the_keys():
    """Our signature is made of the server key: whoever has only the stored key cannot pose as us."""
    client = ScramClient(["SCRAM-SHA-256"], "alice", "pencil")
    posing = ScramKeys(PENCIL.salt, PENCIL.iterations, PENCIL.stored_key, bytes(32))
    with pytest.raises(ScramException):
        converse(client, start("SCRAM-SHA-256"), posing)


# Channel binding flags ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "bindings", "header", "step"),
    [
        ("SCRAM-SHA-256", {}, b"n,,", KeysAsked("u")),
        ("SCRAM-SHA-256", {}, b"y,,", KeysAsked("u")),
        ("SCRAM-SHA-256", {}, b"p=tls-unique,,", MALFORMED),
        ("SCRAM-SHA-256", EXPORTER, b"n,,", KeysAsked("u")),
        ("SCRAM-SHA-256", EXPORTER, b"y,,", Rejected(Reason.DOWNGRADED)),
        ("SCRAM-SHA-256", EXPORTER, b"p=tls-exporter,,", MALFORMED),
        ("SCRAM-SHA-256-PLUS", EXPORTER, b"p=tls-exporter,,", KeysAsked("u")),
        ("SCRAM-SHA-256-PLUS", EXPORTER, b"p=tls-unique,,", UNBOUND),
        ("SCRAM-SHA-256-PLUS", EXPORTER, b"p=tls-server-end-point,,", UNBOUND),
        ("SCRAM-SHA-256-PLUS", EXPORTER, b"n,,", MALFORMED),
        ("SCRAM-SHA-256-PLUS", EXPORTER, b"y,,", MALFORMED),
        ("SCRAM-SHA-256-PLUS", {}, b"p=tls-exporter,,", UNBOUND),
    ],
)
def test_the_flag_fits_mechanism_and_connection(mechanism, bindings, header, step):
    """RFC 5802 §6: also a client from whom somebody hides the binding is found out, by its y."""
    assert start(mechanism, bindings=bindings).step(header + b"n=u,r=abc") == step


@pytest.mark.parametrize(
    ("flag", "binding", "bindings"),
    [(b"n", b"", {}), (b"y", b"", {}), (b"p=tls-exporter", bytes(range(32)), EXPORTER)],
)
def test_the_header_is_proven_as_it_was_sent(flag, binding, bindings):
    """RFC 5802 §5.1, c=: whoever changes the flag on its way is found out."""
    mechanism = "SCRAM-SHA-256-PLUS" if bindings else "SCRAM-SHA-256"
    for sent, ends in ((flag + b",a=u,", Challenge), (b"n,,", Rejected)):
        exchange = start(mechanism, bindings=bindings)
        first = flag + b",a=u,n=u,r=abc"
        exchange.step(first)
        server_first = exchange.give([PENCIL]).octets
        step = exchange.step(final_of(first, server_first, sent + binding))
        assert isinstance(step, ends)
        assert ends is Challenge or step == UNBOUND


# The first message --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (b"n,,n=u,r=abc,x=extension,y=another", KeysAsked("u")),
        (b"n,a=u,n=u,r=abc", KeysAsked("u")),
        (b"n,a=admin,n=u,r=abc", Rejected(Reason.NOT_THEIRS)),
        (b"n,,n=a=2Cb=3D2C,r=abc", KeysAsked("a,b=2C")),
        (b"n,,n=\xe2\x85\xa8,r=abc", KeysAsked("IX")),
        (b"n,,n=" + b"=2C" * 255 + b",r=" + b"x" * 512, KeysAsked("," * 255)),
        (b"n,,n=" + b"=2C" * 256 + b",r=abc", MALFORMED),
        (b"n,,n=u,r=" + b"x" * 513, MALFORMED),
        (b"n,,m=ext,n=u,r=abc", MALFORMED),
        (b"n,,n=,r=abc", MALFORMED),
        (b"n,,n=u,r=", MALFORMED),
        (b"n,,n=u", MALFORMED),
        (b"n,,r=abc,n=u", MALFORMED),
        (b"n,,n=a=2cb,r=abc", MALFORMED),
        (b"n,,n=a=,r=abc", MALFORMED),
        (b"n,,n=u,r=a b", MALFORMED),
        (b"n,,n=u,r=abc,", MALFORMED),
        (b"n,,n=u,r=abc,x", MALFORMED),
        (b"n,,n=u,r=abc,x=\xff", MALFORMED),
        (b"n,a=,n=u,r=abc", MALFORMED),
        (b"n,u,n=u,r=abc", MALFORMED),
        (b"F,n,,n=u,r=abc", MALFORMED),
        (b"p=,,n=u,r=abc", MALFORMED),
        (b"n,,n=u\r\n,r=abc", MALFORMED),
        (b"n,,n=u\0,r=abc", MALFORMED),
        (b"n,,n=\xff,r=abc", MALFORMED),
        (b"n,,n=\x07,r=abc", WRONG),
        (b"", MALFORMED),
    ],
)
def test_the_first_message_is_read_strictly(message, step):
    """RFC 5802 §7: the grammar; a mandatory extension is refused, others are passed over."""
    assert start("SCRAM-SHA-256").step(message) == step


# The last message ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "step"),
    [
        (FINAL.replace(b"k0,", b"k1,"), MALFORMED),
        (FINAL.replace(b"r=rOpr", b"r=rOpr,r=rOpr"), MALFORMED),
        (FINAL.replace(b"biws", b"eSws"), UNBOUND),
        (FINAL.replace(b"biws", b"biw"), MALFORMED),
        (FINAL.replace(b"biws", b""), MALFORMED),
        (FINAL.replace(b"p=dHzb", b"p=dHzc"), WRONG),
        (FINAL.replace(b",p=", b",x=y,p="), WRONG),  # the proof is over the extension too
        (FINAL.replace(b"ndVQ=", b"ndVQ"), MALFORMED),
        (FINAL.replace(b"ndVQ=", b"ndVR="), MALFORMED),
        (FINAL.partition(b",p=")[0], MALFORMED),
        (FINAL.partition(b",p=")[0] + b",p=", MALFORMED),
        (FINAL.partition(b",p=")[0] + b",p=" + b64encode(bytes(31)), MALFORMED),
        (FINAL + b",x=y", MALFORMED),
        (FINAL.replace(b",p=", b",x=\xff,p="), MALFORMED),
        (b"c=biws", MALFORMED),
        (b"", MALFORMED),
        (FINAL + b"\r\n", MALFORMED),
    ],
)
def test_the_last_message_is_read_strictly(wrong, step):
    """RFC 5802 §5.1 and §7: nonce, binding and proof each in their one form, the proof last."""
    exchange = vector()
    exchange.step(FIRST)
    exchange.give([PENCIL])
    assert exchange.step(wrong) == step


@given(st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
def test_no_last_message_raises_or_gets_in(octets):
    """Arbitrary octets after the keys are a refusal."""
    exchange = vector()
    exchange.step(FIRST)
    exchange.give([PENCIL])
    assert isinstance(exchange.step(octets), Rejected)


def test_a_proof_cannot_be_said_again():
    """A recorded exchange is worth nothing: our nonce is another each time."""
    exchange = start("SCRAM-SHA-256")
    exchange.step(FIRST)
    exchange.give([PENCIL])
    assert isinstance(exchange.step(FINAL), Rejected)
    assert len({fresh_nonce() for _ in range(100)}) == 100


# Our side -----------------------------------------------------------------------------------------


def test_keys_are_of_one_salt_and_count():
    """The server says one salt before it knows which password comes; anything else is our mistake."""
    for wrong in ([], [PENCIL, keys("x", b"another salt")], [PENCIL, keys("x", SALT, 5000)]):
        exchange = start("SCRAM-SHA-256")
        exchange.step(FIRST)
        with pytest.raises(RuntimeError):
            exchange.give(wrong)


def test_may_be_refused_instead_of_given_keys():
    """A banned user, or an office too busy."""
    exchange = start("SCRAM-SHA-256")
    exchange.step(FIRST)
    assert exchange.refuse() == WRONG
    exchange = start("SCRAM-SHA-256")
    exchange.step(FIRST)
    with pytest.raises(RuntimeError):
        exchange.admit()
