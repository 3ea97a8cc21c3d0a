"""SASL: what is offered, PLAIN, LOGIN, OAUTHBEARER, XOAUTH2, and what holds for every mechanism."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.sasl import (
    CLEARTEXT,
    MECHANISMS,
    Checks,
    TokenTerms,
    decode_base64,
    encode_base64,
    offered,
    start,
)
from mailpost.wire.sasl_events import (
    Accepted,
    Challenge,
    KeysAsked,
    PasswordOffered,
    Reason,
    Rejected,
    TokenOffered,
)
from mailpost.wire.scram_keys import ScramKeys
from mailpost.wire.session import Question

ALL = Checks.PASSWORDS | Checks.KEYS | Checks.TOKENS
MALFORMED = Rejected(Reason.MALFORMED)
WRONG = Rejected(Reason.WRONG)
KEYS = ScramKeys(b"salt" * 4, 4096, b"s" * 32, b"k" * 32)
BINDINGS = {"tls-exporter": b"x" * 32}


# What is offered ----------------------------------------------------------------------------------


def test_offers_the_strongest_first():
    """Many clients take the first mechanism that they know."""
    assert offered(ALL, tls=True, binding=True, cleartext=False) == (
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "OAUTHBEARER",
        "XOAUTH2",
        "PLAIN",
        "LOGIN",
    )


def test_54_offers_nothing_without_tls_that_a_listener_could_use():
    """RFC 4954 §6: cleartext mechanisms are not offered before TLS, unless the keeper allows it."""
    bare = offered(ALL, tls=False, binding=False, cleartext=False)
    assert bare == ("SCRAM-SHA-256",)
    assert not CLEARTEXT.intersection(bare)
    assert set(offered(ALL, tls=False, binding=False, cleartext=True)) == CLEARTEXT | set(bare)


@pytest.mark.parametrize(
    ("checks", "mechanisms"),
    [
        (Checks.PASSWORDS, {"PLAIN", "LOGIN"}),
        (Checks.TOKENS, {"OAUTHBEARER", "XOAUTH2"}),
        (Checks.KEYS, {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}),
        (Checks(0), set()),
    ],
)
def test_offers_only_what_the_office_can_check(checks, mechanisms):
    """What is announced is true."""
    assert set(offered(checks, tls=True, binding=True, cleartext=False)) == mechanisms


def test_offers_no_binding_where_there_is_none():
    """Without something to bind to, SCRAM stays without its -PLUS."""
    assert "SCRAM-SHA-256-PLUS" not in offered(ALL, tls=True, binding=False, cleartext=False)


def test_every_mechanism_can_be_started_and_no_other():
    """A mechanism that is not ours is our own mistake here: the engines look it up first."""
    for mechanism in MECHANISMS:
        assert start(mechanism).mechanism == mechanism
    with pytest.raises(ValueError, match="CRAM-MD5"):
        start("CRAM-MD5")


# Base64 -------------------------------------------------------------------------------------------


@given(st.binary())
def test_what_is_encoded_is_decoded(octets):
    """Base64 both ways gives the same."""
    assert decode_base64(encode_base64(octets)) == octets


@pytest.mark.parametrize(
    "line",
    [b"=", b"Zg", b"Zg=", b"Zg===", b"=Zg=", b"Zm9v\n", b"Zm 9v", b"Zm9v!", b"Zh==", b"Zg==Zg==", b"Zm-_",
     b"\xff\xff\xff\xff", b"*"],
)  # fmt: skip
def test_50_base64_is_read_strictly(line):
    """RFC 4648 §3.3 and §3.5: no stray characters, the padding right, no bits behind the end."""
    assert decode_base64(line) is None


@given(st.binary(max_size=40))
def test_there_is_one_way_to_write_a_value(line):
    """Whatever is decoded would be encoded as it came."""
    octets = decode_base64(line)
    assert octets is None or encode_base64(octets) == line


# PLAIN --------------------------------------------------------------------------------------------


def test_plain_asks_about_name_and_password():
    """RFC 4616 §4: the example, with an initial response."""
    exchange = start("PLAIN")
    assert exchange.step(b"\0tim\0tanstaaftanstaaf") == PasswordOffered("tim", b"tanstaaftanstaaf")
    assert exchange.name == "tim"
    assert exchange.admit() == Accepted("tim")


def test_plain_without_an_initial_response_begins_with_an_empty_challenge():
    """RFC 4954 §4: the client goes first, so there is nothing to say."""
    exchange = start("PLAIN")
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(b"\0tim\0secret") == PasswordOffered("tim", b"secret")
    assert exchange.refuse() == WRONG


def test_the_office_may_call_them_by_another_name():
    """An account's name stands without the domain that was typed."""
    exchange = start("PLAIN")
    exchange.step(b"\0Alice@Example.org\0secret")
    assert exchange.admit("alice") == Accepted("alice")


@pytest.mark.parametrize(
    ("response", "step"),
    [
        (b"tim\0tim\0secret", PasswordOffered("tim", b"secret")),
        (b"ti\xc2\xadm\0tim\0secret", PasswordOffered("tim", b"secret")),
        (b"Kurt\0xipj3plmq\0secret", Rejected(Reason.NOT_THEIRS)),
        (b"\0\xe2\x85\xa8\0\xe2\x85\xa8", PasswordOffered("IX", b"\xe2\x85\xa8")),
        (b"\0" + b"n" * 255 + b"\0" + b"p" * 1024, PasswordOffered("n" * 255, b"p" * 1024)),
        (b"\0" + b"n" * 256 + b"\0p", MALFORMED),
        (b"\0n\0" + b"p" * 1025, MALFORMED),
        (b"", MALFORMED),
        (b"tim", MALFORMED),
        (b"tim\0secret", MALFORMED),
        (b"\0tim\0sec\0ret", MALFORMED),
        (b"\0\0secret", MALFORMED),
        (b"\0tim\0", MALFORMED),
        (b"\0tim\0sec\r\nret", MALFORMED),
        (b"\0tim\r\nQUIT\0secret", MALFORMED),
        (b"\0t\xffm\0secret", MALFORMED),
        (b"\0tim\0secr\xff", MALFORMED),
        (b"\0t\x07m\0secret", WRONG),
        (b"\0\xc2\xad\0secret", WRONG),
        (b"\0tim\0" + b"p" * 100_000, MALFORMED),
    ],
)
def test_plain_reads_strictly(response, step):
    """RFC 4616 §2: three parts of UTF-8, nobody for anybody else, no line ends, bounded."""
    assert start("PLAIN").step(response) == step


# LOGIN --------------------------------------------------------------------------------------------


def test_login_asks_for_name_and_password():
    """The prompts of draft-murchison-sasl-login-00 §2."""
    exchange = start("LOGIN")
    assert exchange.step(None) == Challenge(b"Username:")
    assert exchange.step(b"tim") == Challenge(b"Password:")
    assert exchange.step(b"sec ret") == PasswordOffered("tim", b"sec ret")
    assert exchange.admit() == Accepted("tim")


def test_login_takes_the_name_as_an_initial_response():
    """``AUTH LOGIN dGlt``, as many clients say."""
    exchange = start("LOGIN")
    assert exchange.step(b"tim") == Challenge(b"Password:")
    assert exchange.name == "tim"
    assert exchange.step(b"secret") == PasswordOffered("tim", b"secret")
    assert exchange.refuse() == WRONG


@pytest.mark.parametrize(
    "responses",
    [[b""], [b"a\0b"], [b"tim", b""], [b"tim", b"a\nb"], [b"tim", b"a\0b"], [b"\xff"], [b"tim", b"\xff"]],
)  # fmt: skip
def test_login_reads_strictly(responses):
    """The same rules as in PLAIN."""
    exchange = start("LOGIN")
    steps = [exchange.step(response) for response in responses]
    assert steps[-1] == MALFORMED


# OAUTHBEARER and XOAUTH2 --------------------------------------------------------------------------

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
BEARER = (
    b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
    b"auth=Bearer " + TOKEN.encode() + b"\x01\x01"
)
GOOGLE = b"user=someuser@example.com\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
TERMS = TokenTerms("mail", "https://id.example/.well-known/openid-configuration")


def test_oauthbearer_asks_about_the_token():
    """RFC 7628 §4.1: the example."""
    exchange = start("OAUTHBEARER")
    assert exchange.step(BEARER) == TokenOffered("user@example.com", TOKEN)
    assert exchange.admit("user") == Accepted("user")


def test_oauthbearer_says_why_a_token_was_refused():
    """RFC 7628 §3.2.2 and §4.3: a challenge in JSON, a dummy response, and then it has failed."""
    exchange = start("OAUTHBEARER", terms=TERMS)
    exchange.step(BEARER)
    challenge = exchange.refuse()
    assert isinstance(challenge, Challenge)
    assert json.loads(challenge.octets) == {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": "https://id.example/.well-known/openid-configuration",
    }
    assert exchange.step(b"\x01") == WRONG


@pytest.mark.parametrize("response", [b"", BEARER, b"anything"])
def test_oauthbearer_fails_whatever_answers_the_complaint(response):
    """RFC 7628 §3.2.3: the server fails the exchange; a second token is no way in."""
    exchange = start("OAUTHBEARER")
    exchange.step(BEARER)
    assert exchange.refuse() == Challenge(b'{"status": "invalid_token"}')
    assert exchange.step(response) == WRONG


def test_a_client_without_a_token_learns_where_to_get_one():
    """An empty authorization is answered like a bad token."""
    exchange = start("OAUTHBEARER", terms=TERMS)
    challenge = exchange.step(b"n,,\x01auth=\x01\x01")
    assert isinstance(challenge, Challenge)
    assert b"openid-configuration" in challenge.octets
    assert exchange.step(b"\x01") == WRONG


def test_a_token_may_tell_by_itself_whose_it_is():
    """RFC 7628 §3.1: without an authorization identity; but somebody must say who it is then."""
    exchange = start("OAUTHBEARER")
    assert exchange.step(b"n,,\x01auth=Bearer abc\x01\x01") == TokenOffered("", "abc")
    assert exchange.admit("alice") == Accepted("alice")
    exchange = start("OAUTHBEARER")
    exchange.step(b"n,,\x01auth=Bearer abc\x01\x01")
    with pytest.raises(RuntimeError):
        exchange.admit()


@pytest.mark.parametrize(
    ("response", "step"),
    [
        (b"y,,\x01auth=bearer  abc \x01\x01", TokenOffered("", "abc")),
        (b"n,a=a=2Cb=3Dc,\x01AUTH=Bearer abc\x01\x01", TokenOffered("a,b=c", "abc")),
        (b"n,,\x01auth=Bearer " + b"t" * 9000 + b"\x01\x01", TokenOffered("", "t" * 9000)),
        (b"n,,\x01auth=Bearer " + b"t" * 9300 + b"\x01\x01", MALFORMED),
        (b"p=tls-unique,,\x01auth=Bearer abc\x01\x01", MALFORMED),
        (b"n,a=a=2cb,\x01auth=Bearer abc\x01\x01", MALFORMED),
        (b"n,a=a=b,\x01auth=Bearer abc\x01\x01", MALFORMED),
        (b"n,,auth=Bearer abc\x01\x01", MALFORMED),
        (b"n,,\x01auth=Bearer abc\x01", MALFORMED),
        (b"n,,\x01auth=Bearer abc", MALFORMED),
        (b"n,,\x01host=a\x01\x01", MALFORMED),
        (b"n,,\x01\x01", MALFORMED),
        (b"n,,\x01auth=Bearer abc\x01auth=Bearer def\x01\x01", MALFORMED),
        (b"n,,\x01auth=Bearer abc\x01Auth=Bearer def\x01\x01", MALFORMED),
        (b"n,,\x01auth=Bearer abc\x01\x01rest", MALFORMED),
        (b"n,,\x01auth=Bearer a\r\nc\x01\x01", MALFORMED),
        (b"n,,\x01auth=Bearer a\0c\x01\x01", MALFORMED),
        (b"n,,\x01auth=Bearer \xc3\xa9\x01\x01", MALFORMED),
        (b"n,,\x01=x\x01auth=Bearer abc\x01\x01", MALFORMED),
        (b"\x01", MALFORMED),
        (b"", MALFORMED),
    ],
)
def test_oauthbearer_reads_strictly(response, step):
    """RFC 7628 §3.1: header, pairs, their end; each key once, no channel binding, no line ends."""
    assert start("OAUTHBEARER").step(response) == step


@pytest.mark.parametrize(
    "authorization", [b"", b"Basic abc", b"Bearer", b"Bearer a b", b"Bearer a,b"]
)
def test_what_is_no_bearer_token_is_refused_like_a_bad_one(authorization):
    """RFC 6750 §2.1 says what a token is made of."""
    step = start("OAUTHBEARER").step(b"n,,\x01auth=" + authorization + b"\x01\x01")
    assert step == Challenge(b'{"status": "invalid_token"}')


def test_xoauth2_asks_about_the_token_and_complains_in_its_own_words():
    """Google's protocol: the challenge carries an HTTP status, the client answers with nothing."""
    exchange = start("XOAUTH2", terms=TERMS)
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(GOOGLE) == TokenOffered("someuser@example.com", TOKEN)
    challenge = exchange.refuse()
    assert isinstance(challenge, Challenge)
    assert json.loads(challenge.octets) == {"status": "401", "schemes": "bearer", "scope": "mail"}
    assert exchange.step(b"") == WRONG


def test_xoauth2_says_nothing_of_a_scope_that_is_not_asked_for():
    """What is not known is not told."""
    exchange = start("XOAUTH2")
    exchange.step(GOOGLE)
    assert exchange.refuse() == Challenge(b'{"status": "401", "schemes": "bearer"}')


@pytest.mark.parametrize(
    "response",
    [b"", b"user=a", b"auth=Bearer x\x01\x01", b"user=\x01auth=Bearer x\x01\x01",
     b"user=a\x01auth=Bearer x\x01", b"user=a\x01auth=Bearer x\x01\x01\x01"],
)  # fmt: skip
def test_xoauth2_reads_strictly(response):
    """The name first, then the authorization."""
    assert start("XOAUTH2").step(response) == MALFORMED


# Every mechanism ----------------------------------------------------------------------------------

LIKELY = [
    b"", b"\0a\0b", b"alice", b"n,,", b"y,,", b"p=tls-exporter,,", b"n,a=alice,", b"n=alice,r=abc", b"\x01",
    b"auth=Bearer abc\x01\x01", b"user=a\x01", b"c=biws,r=abcNONCE", b",p=", b"A" * 43 + b"=", b"\r\n", b"\0",
    b"=2C", b"m=x,", b"\xff", b"x" * 3000,
]  # fmt: skip
responses = st.lists(st.sampled_from(LIKELY) | st.binary(max_size=20), max_size=4).map(b"".join)


@given(
    st.sampled_from(MECHANISMS),
    st.booleans(),
    st.lists(st.none() | responses, min_size=1, max_size=6),
    st.booleans(),
)
def test_no_response_raises(mechanism, bound, heard, yes):
    """Whatever a peer sends ends in a step, and every exchange ends."""
    exchange = start(mechanism, bindings=BINDINGS if bound else {}, nonce=lambda: "NONCE")
    step = exchange.step(heard[0])
    for response in heard[1:]:
        if isinstance(step, KeysAsked):
            step = exchange.give([KEYS])
        elif isinstance(step, Question):
            step = exchange.admit("alice") if yes else exchange.refuse()
        if isinstance(step, Accepted | Rejected):
            with pytest.raises(RuntimeError):
                exchange.step(b"")
            return
        assert isinstance(step, Challenge)
        step = exchange.step(response or b"")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_response_is_bounded(mechanism):
    """RFC 4954 §4.1: 12,288 octets of base64 at the most, and far less where less will do."""
    assert start(mechanism).step(b"a" * 9217) == MALFORMED


def test_no_repr_tells_a_secret():
    """Values are logged and shown in tracebacks."""
    shown = repr(
        [
            PasswordOffered("tim", b"hush"),
            TokenOffered("tim", "hush"),
            ScramKeys(b"salt", 4096, b"hush", b"hush"),
            Accepted("tim", ScramKeys(b"salt", 4096, b"hush", b"hush")),
        ]
    )
    assert "hush" not in shown
    assert "tim" in shown


def test_going_on_out_of_turn_is_our_own_mistake():
    """Who drives an exchange answers what was asked, and only that, and stops at its end."""
    exchange = start("PLAIN")
    with pytest.raises(RuntimeError):
        exchange.admit()
    exchange = start("PLAIN")
    exchange.step(None)
    with pytest.raises(RuntimeError):
        exchange.step(None)
    exchange.step(b"\0tim\0secret")
    with pytest.raises(RuntimeError):
        exchange.step(b"\0tim\0secret")
    with pytest.raises(RuntimeError):
        exchange.give([KEYS])


@pytest.mark.parametrize(
    "end", [lambda exchange: exchange.admit(), lambda exchange: exchange.refuse()]
)
def test_nothing_follows_the_end(end):
    """An exchange is used once."""
    exchange = start("PLAIN")
    exchange.step(b"\0tim\0secret")
    end(exchange)
    with pytest.raises(RuntimeError):
        exchange.step(b"\0tim\0secret")
    with pytest.raises(RuntimeError):
        exchange.admit()


def test_questions_wait_like_those_of_the_engines():
    """So that an engine can hand them on to its shell as they are."""
    for question in (PasswordOffered("a", b"b"), TokenOffered("a", "b"), KeysAsked("a")):
        assert isinstance(question, Question)
