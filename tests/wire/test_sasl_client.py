"""The client's mechanisms against the server's, and against servers that cheat."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

import pytest

from mailpost.wire.sasl import MECHANISMS, start
from mailpost.wire.sasl_client import Credentials, Distrust, begin, choose
from mailpost.wire.sasl_events import (
    Accepted,
    Challenge,
    KeysAsked,
    PasswordOffered,
    Reason,
    Rejected,
    TokenOffered,
)
from mailpost.wire.scram_keys import derive

ALICE = Credentials("al=i,ce", "open sesame", "abc.def==")
BINDINGS = {"tls-exporter": bytes(range(32))}
KEYS = derive(b"open sesame", b"salt" * 4, 4096)


def converse(client, server, *, right=True):
    """Let client and server speak to the end; the server's last step."""
    step = server.step(client.initial)
    while not isinstance(step, Accepted | Rejected):
        match step:
            case Challenge():
                step = server.step(client.respond(step.octets))
            case KeysAsked():
                step = server.give([KEYS])
            case PasswordOffered(password=password):
                assert password == ALICE.password.encode()
                step = server.admit() if right else server.refuse()
            case TokenOffered(token=token):
                assert token == ALICE.token
                step = server.admit() if right else server.refuse()
    return step


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_is_let_in_by_our_server(mechanism):
    server = start(mechanism, bindings=BINDINGS if "PLUS" in mechanism else {})
    client = begin(mechanism, ALICE, bindings=BINDINGS if "PLUS" in mechanism else {})
    step = converse(client, server)
    assert isinstance(step, Accepted)
    assert step.name == ALICE.name
    assert client.complete


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"])
def test_a_refusal_is_heard_to_its_end(mechanism):
    assert converse(begin(mechanism, ALICE), start(mechanism), right=False) == Rejected(
        Reason.WRONG
    )


def test_a_wrong_password_is_no_success():
    client = begin("SCRAM-SHA-256", Credentials("alice", "guess"))
    assert converse(client, start("SCRAM-SHA-256")) == Rejected(Reason.WRONG)
    assert not client.complete


@pytest.mark.parametrize(
    ("offered", "bindings", "flag"),
    [
        (("SCRAM-SHA-256",), {}, b"n,,"),
        (("SCRAM-SHA-256",), BINDINGS, b"y,,"),
        (("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"), BINDINGS, b"n,,"),
    ],
)
def test_the_flag_tells_what_was_offered(offered, bindings, flag):
    """RFC 5802 §6: y only where a binding is known here and none was offered there."""
    assert begin("SCRAM-SHA-256", ALICE, offered=offered, bindings=bindings).initial.startswith(
        flag
    )


def test_a_hidden_binding_is_found_out():
    client = begin("SCRAM-SHA-256", ALICE, offered=["SCRAM-SHA-256"], bindings=BINDINGS)
    server = start("SCRAM-SHA-256", bindings=BINDINGS)
    assert server.step(client.initial) == Rejected(Reason.DOWNGRADED)


def test_rfc_7677_example():
    """RFC 7677 §3, octet for octet."""
    client = begin(
        "SCRAM-SHA-256", Credentials("user", "pencil"), nonce=lambda: "rOprNGfwEbeRWgbNEkqO"
    )
    assert client.initial == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    assert client.respond(b"r=" + nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") == (
        b"c=biws,r=" + nonce + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert client.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    assert client.complete
    with pytest.raises(Distrust):
        client.respond(b"")


@pytest.mark.parametrize(
    "first",
    [
        b"r=abc,s=c2FsdA==,i=4096",  # nothing added to our nonce
        b"r=xyzabc,s=c2FsdA==,i=4096",
        b"r=abcd,s=c2FsdA==,i=1",
        b"r=abcd,s=c2FsdA==,i=999999999",
        b"r=abcd,s=c2FsdA=,i=4096",
        b"m=x,r=abcd,s=c2FsdA==,i=4096",
        b"e=other-error",
        b"",
    ],
)
def test_a_cheating_first_message_is_not_answered(first):
    client = begin("SCRAM-SHA-256", ALICE, nonce=lambda: "abc")
    with pytest.raises(Distrust):
        client.respond(first)
    assert not client.complete


@pytest.mark.parametrize("final", [b"v=" + b64encode(bytes(32)), b"e=invalid-proof", b"", b"v=!"])
def test_a_server_without_the_keys_is_not_believed(final):
    client = begin("SCRAM-SHA-256", ALICE, nonce=lambda: "abc")
    client.respond(b"r=abcd,s=c2FsdA==,i=4096")
    with pytest.raises(Distrust):
        client.respond(final)
    assert not client.complete


def test_the_binding_is_in_the_last_message():
    client = begin("SCRAM-SHA-256-PLUS", ALICE, bindings=BINDINGS, nonce=lambda: "abc")
    final = client.respond(b"r=abcd,s=c2FsdA==,i=4096")
    bound = b64decode(re.match(b"c=([^,]+),", final)[1])
    assert bound == b"p=tls-exporter,," + BINDINGS["tls-exporter"]


@pytest.mark.parametrize(
    ("credentials", "cleartext", "bindings", "chosen"),
    [
        (ALICE, True, BINDINGS, "SCRAM-SHA-256-PLUS"),
        (ALICE, True, {}, "SCRAM-SHA-256"),
        (Credentials("a", token="t"), True, {}, "OAUTHBEARER"),
        (Credentials("a", token="t"), False, {}, None),
        (Credentials("a"), True, {}, None),
        (Credentials("a", "x", mechanisms=("LOGIN", "PLAIN")), True, BINDINGS, "PLAIN"),
        (Credentials("a", "x", mechanisms=("PLAIN",)), False, BINDINGS, None),
    ],
)
def test_the_strongest_that_the_credentials_allow(credentials, cleartext, bindings, chosen):
    assert choose(MECHANISMS, credentials, cleartext=cleartext, bindings=bindings) == chosen


def test_no_password_in_the_clear():
    assert choose(["PLAIN", "LOGIN"], ALICE, cleartext=False) is None
    assert choose(["LOGIN", "PLAIN"], ALICE, cleartext=True) == "PLAIN"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"name": "a", "password": "b\r\n"},
        {"name": "a", "token": "t\x01"},
    ],
)
def test_credentials_cannot_carry_commands(wrong):
    with pytest.raises(ValueError, match=r"name|token"):
        Credentials(**wrong)


def test_what_cannot_be_begun():
    for mechanism in ("CRAM-MD5", "SCRAM-SHA-256-PLUS"):
        with pytest.raises(ValueError, match="cannot be begun"):
            begin(mechanism, ALICE)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2"])
def test_endless_challenges_are_given_up(mechanism):
    client = begin(mechanism, ALICE)

    def answer_all():
        for _ in range(3):
            client.respond(b"")

    with pytest.raises(Distrust):
        answer_all()
