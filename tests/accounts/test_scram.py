"""The keys of SCRAM: made, kept as text, checked, and made up for those who do not exist."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient, ScramMechanism

from mailpost.accounts.passwords import BadPassword
from mailpost.accounts.scram import (
    ITERATIONS,
    BadKeys,
    KeyMaker,
    decode,
    device_digest,
    device_password,
    encode,
    fitting,
    keys_to_keep,
)
from mailpost.wire.sasl import start
from mailpost.wire.sasl_events import Accepted, Challenge, Reason, Rejected
from mailpost.wire.scram_keys import ScramKeys, derive

SECRET = bytes(range(32))
MAKER = KeyMaker(SECRET)


def log_in(maker: KeyMaker, name: str, password: str, kept: list[ScramKeys]):
    """Let scramp's client log in with SCRAM; the last step."""
    client = ScramClient(["SCRAM-SHA-256"], name, password)
    exchange = start("SCRAM-SHA-256")
    exchange.step(client.get_client_first().encode())
    client.set_server_first(exchange.give(maker.known(name, kept)).octets.decode())
    step = exchange.step(client.get_client_final().encode())
    if isinstance(step, Challenge):
        client.set_server_final(step.octets.decode())
        step = exchange.step(b"")
    return step


# Making -------------------------------------------------------------------------------------------


def test_makes_the_keys_that_an_independent_library_makes():
    """RFC 5802 §3, by scramp."""
    keys = MAKER.make("alice", "correct horse")
    salt, stored_key, server_key, iterations = ScramMechanism("SCRAM-SHA-256").make_auth_info(
        "correct horse", iteration_count=keys.iterations, salt=keys.salt
    )
    assert (bytes(salt), stored_key, server_key) == (keys.salt, keys.stored_key, keys.server_key)
    assert int(iterations) == ITERATIONS


def test_lets_a_device_in():
    """A password's keys are all that the office needs to keep."""
    keys = MAKER.make("alice", "correct horse")
    assert log_in(MAKER, "alice", "correct horse", [keys]) == Accepted("alice", keys)


def test_all_passwords_of_an_account_share_salt_and_count():
    """SCRAM tells them before it knows which password comes; also when the office's count has risen."""
    first = MAKER.make("alice", "phone")
    second = MAKER.make("alice", "laptop")
    third = KeyMaker(SECRET, 5000).make("alice", "cabin", beside=[first])
    assert {(keys.salt, keys.iterations) for keys in (first, second, third)} == {
        (first.salt, ITERATIONS)
    }
    assert log_in(MAKER, "alice", "cabin", [first, second, third]) == Accepted("alice", third)


def test_accounts_and_offices_differ_in_their_salts():
    """One table of guesses serves for one account only."""
    salts = {
        maker.make(name, "secret").salt
        for maker in (MAKER, KeyMaker(b"z" * 32))
        for name in ("alice", "bob")
    }
    assert len(salts) == 4
    assert all(len(salt) == 16 for salt in salts)


@pytest.mark.parametrize("password", ["", "\u00ad", "a\nb", "a\0b", "\u0221", "\u0627a"])
def test_makes_no_keys_of_what_no_client_could_send(password):
    """RFC 4013: prepared as a stored string, and not empty then."""
    with pytest.raises(BadPassword) as caught:
        MAKER.make("alice", password)
    assert "a\nb" not in str(caught.value)


def test_a_password_typed_in_another_form_is_the_same():
    """A composed letter on one keyboard is a letter and an accent on another."""
    keys = MAKER.make("alice", "caf\u00e9\u00a0noir")
    assert fitting([keys], "cafe\u0301 noir".encode()) is keys
    assert log_in(MAKER, "alice", "caf\u00e9 noir", [keys]) == Accepted("alice", keys)


@pytest.mark.parametrize(("secret", "iterations"), [(b"short", 4096), (SECRET, 4095), (SECRET, 0)])
def test_refuses_a_weak_office(secret, iterations):
    """RFC 7677 §4: 4096 iterations at least; a key that cannot be guessed."""
    with pytest.raises(ValueError, match="at least"):
        KeyMaker(secret, iterations)


def test_a_device_s_password_is_long_and_can_be_typed():
    """28 of 32 letters and digits that look alike to nobody: 140 bits."""
    passwords = {device_password() for _ in range(200)}
    assert len(passwords) == 200
    assert all(re.fullmatch(r"([a-km-np-z2-9]{4}-){6}[a-km-np-z2-9]{4}", one) for one in passwords)
    assert len(set("".join(passwords))) == 33


# Who exists ---------------------------------------------------------------------------------------


def test_nobody_can_tell_who_exists():
    """The same unknown name has the same salt each time, from every worker, after every restart."""
    exchange = [start("SCRAM-SHA-256", nonce=lambda: "NONCE") for _ in range(3)]
    said = []
    for one, maker, kept in (
        (exchange[0], MAKER, []),
        (exchange[1], KeyMaker(SECRET), []),
        (exchange[2], MAKER, [MAKER.make("mallory", "secret")]),
    ):
        one.step(b"n,,n=mallory,r=abc")
        said.append(one.give(maker.known("mallory", kept)))
    assert said[0] == said[1]
    # Nor does it change when the name comes to exist.
    assert said[0] == said[2]


def test_no_password_fits_made_up_keys():
    """Who does not exist cannot log in, neither by SCRAM nor by PLAIN."""
    assert log_in(MAKER, "mallory", "secret", []) == Rejected(Reason.WRONG)
    assert fitting(MAKER.known("mallory", []), b"secret") is None
    assert fitting(MAKER.known("mallory", []), b"") is None


def test_made_up_keys_are_of_the_name():
    """Two unknown names look as different as two known ones."""
    (one,), (other,) = MAKER.known("mallory", []), MAKER.known("trudy", [])
    assert not {one.salt, one.stored_key, one.server_key} & {
        other.salt,
        other.stored_key,
        other.server_key,
    }


def test_an_account_s_own_keys_are_given_as_they_are():
    """Nothing is made up for who exists."""
    kept = [MAKER.make("alice", "phone")]
    assert MAKER.known("alice", kept) is kept


# Checking a password ------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1, 2, None])
def test_finds_whose_password_it_is(which):
    """PLAIN and USER with a device's password."""
    words = ["phone", "laptop", "cabin"]
    kept = [MAKER.make("alice", word) for word in words]
    offered = b"nothing" if which is None else words[which].encode()
    assert fitting(kept, offered) is (None if which is None else kept[which])


@pytest.mark.parametrize("password", [b"", b"\xff", b"a\0b", b"\xc2\xad", b"x" * 10_000])
def test_any_octets_may_be_offered(password):
    """What is no password fits nothing."""
    assert fitting([MAKER.make("alice", "phone")], password) is None


def test_no_password_is_no_password():
    """Even if keys of the empty password were ever kept."""
    assert fitting([derive(b"", b"salt" * 4, ITERATIONS)], b"") is None


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=50))
def test_checking_never_raises(password):
    """Whatever a peer offers is an answer."""
    keys = MAKER.make("alice", "phone")
    assert (fitting([keys], password) is keys) == (password == b"phone")


# Keeping ------------------------------------------------------------------------------------------


def test_keeps_keys_as_rfc_5803_writes_them():
    """The vector of RFC 7677, as text that PostgreSQL would take too."""
    text = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    keys = decode(text)
    assert fitting([keys], b"pencil") is keys
    assert encode(keys) == text


@given(
    st.binary(min_size=1, max_size=40),
    st.integers(1000, 999_999_999),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
def test_keys_come_back_as_they_were_kept(salt, iterations, stored_key, server_key):
    """decode(encode(keys)) == keys."""
    keys = ScramKeys(salt, iterations, stored_key, server_key)
    assert decode(encode(keys)) == keys


GOOD = encode(MAKER.make("alice", "phone"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$argon2id$v=19$m=19456,t=2,p=1$c08$HPC",
        GOOD + "x",
        GOOD + "\n",
        GOOD[:-4],
        GOOD.replace("65536", "065536"),
        GOOD.replace("65536", "\u066536"),
        GOOD.replace("65536", "-1"),
        GOOD.replace("65536", "9" * 30),
        GOOD.replace("SHA-256", "SHA-1"),
        GOOD.replace("=", ""),
        GOOD.replace("$", "\u20ac", 1),
        re.sub(r":[^$]+\$", ":caf\u00e9$", GOOD),
        re.sub(r":[^$]+\$", ":=$", GOOD),
        re.sub(r":[^:]+$", ":AAAA", GOOD),
    ],
)
def test_damaged_text_is_refused_and_not_quoted(text):
    """A store that was tampered with is found out; the log does not get the keys."""
    with pytest.raises(BadKeys) as caught:
        decode(text)
    assert "HPC" not in str(caught.value)
    assert GOOD[-20:] not in str(caught.value)


# Devices and main passwords -----------------------------------------------------------------------


def test_a_device_s_password_is_known_by_a_keyed_digest():
    """The same for every worker; another for another account, office or password."""
    digest = device_digest(SECRET, "alice", b"abcd-efgh")
    assert digest == device_digest(SECRET, "alice", b"abcd-efgh")
    others = {
        device_digest(SECRET, "bob", b"abcd-efgh"),
        device_digest(b"z" * 32, "alice", b"abcd-efgh"),
        device_digest(SECRET, "alice", b"abcd-efgi"),
        device_digest(SECRET, "alice", b""),
    }
    assert len(others | {digest}) == 5
    assert len(digest) == 32


def test_main_password_s_keys_as_they_are_kept():
    """They are those that SCRAM checks."""
    keys = decode(keys_to_keep(MAKER, "alice", "caf\u00e9 noir".encode()))
    assert keys == MAKER.make("alice", "caf\u00e9 noir")


@pytest.mark.parametrize("password", [b"caf\xe9", "\u0221".encode(), "\u0627a".encode()])
def test_a_password_that_scram_has_no_form_for(password):
    """It has no keys, and may still be a password."""
    assert keys_to_keep(MAKER, "alice", password) is None
