"""Passwords: kept as argon2id, remembered as a digest."""

from __future__ import annotations

import pytest
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from argon2.low_level import Type

from mailpost.accounts.passwords import DUMMY, BadPassword, Remembered, encode, matches


@pytest.fixture(scope="module")
def encoded():
    return encode("ein Gehe\u00edmnis, mit Leerzeichen ".encode())


def test_kept_and_checked(encoded):
    """The right password matches, another does not; spaces and UTF-8 count as they are."""
    assert matches(encoded, "ein Gehe\u00edmnis, mit Leerzeichen ".encode())
    assert not matches(encoded, "ein Gehe\u00edmnis, mit Leerzeichen".encode())


@pytest.mark.parametrize("which", ["dummy", "new"])
def test_parameters(encoded, which):
    """A kept password is argon2id with 19 MiB and two passes; so is the dummy, and costs the same."""
    found = extract_parameters(DUMMY if which == "dummy" else encoded)
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (
        Type.ID,
        19 * 1024,
        2,
        1,
    )


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (b"", "empty"),
        (b"x" * 249, "at most 248 octets, not 249"),
        (b"a\0b", "control"),
        (b"a\r", "control"),
        (b"\x7f", "control"),
    ],
)
def test_no_password(password, reason):
    """What could not be sent by PASS (RFC 2449 §4) cannot become a password."""
    with pytest.raises(BadPassword, match=reason):
        encode(password)


def test_another_kind_of_hash():
    """What is no argon2 hash is not a wrong password, but a failure."""
    with pytest.raises(InvalidHashError):
        matches("$1$salt$md5", b"x")


def test_remembered():
    """What was right is known again: for this user, this stored hash and this password."""
    memory = Remembered()
    memory.add("alice", "hash", b"secret")
    assert memory.knows("alice", "hash", b"secret")
    assert not memory.knows("alice", "hash", b"Secret")
    assert not memory.knows("alice", "another", b"secret")
    assert not memory.knows("bob", "hash", b"secret")
    assert not memory.knows("alice", "hash\0secret", b"")


def test_remembers_no_password():
    """No password is held in memory, and another process's digests are others."""
    one, other = Remembered(), Remembered()
    one.add("alice", "hash", b"secret")
    other.add("alice", "hash", b"secret")
    assert "secret" not in repr(vars(one))
    assert not set(one._digests) & set(other._digests)


def test_forgets_what_was_not_used_for_longest():
    """Memory is bounded; what is used stays."""
    memory = Remembered(2)
    memory.add("a", "h", b"1")
    memory.add("b", "h", b"2")
    assert memory.knows("a", "h", b"1")
    memory.add("c", "h", b"3")
    assert len(memory) == 2
    assert memory.knows("a", "h", b"1")
    assert not memory.knows("b", "h", b"2")
