"""Bans in memory: which address comes under which."""

from __future__ import annotations

import sys
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.bans import Ban, Bans, address_of, named


def ban(network: str, until: float | None = None, *, by_hand: bool = True) -> Ban:
    return Ban(ip_network(network), until, 0, "", by_hand)


def test_an_address_and_its_network() -> None:
    """A network of any size is found by each address in it, and by no other."""
    bans = Bans()
    for network in ("192.0.2.7", "198.51.100.0/24", "2001:db8::/48", "2001:db9::1/128"):
        bans.add(ban(network))
    inside = ["192.0.2.7", "198.51.100.0", "198.51.100.255", "2001:db8:0:ffff::1", "2001:db9::1"]
    outside = ["192.0.2.6", "192.0.2.8", "198.51.101.0", "2001:db8:1::", "2001:db9::2", "::1"]
    assert all(bans.on(ip_address(one), 0) for one in inside)
    assert not any(bans.on(ip_address(one), 0) for one in outside)
    assert len(bans) == len(list(bans)) == 4


def test_the_end_of_a_ban() -> None:
    """It ends when its time has come, and is forgotten then; one for ever stays."""
    bans = Bans()
    bans.add(ban("192.0.2.7", 100))
    bans.add(ban("192.0.2.8"))
    assert bans.on(ip_address("192.0.2.7"), 99.9)
    assert bans.on(ip_address("192.0.2.7"), 100) is None
    assert len(bans) == 1
    assert bans.on(ip_address("192.0.2.8"), sys.float_info.max)


def test_one_that_is_over_hides_no_other() -> None:
    """The address is over, the network around it is not."""
    bans = Bans()
    bans.add(ban("192.0.2.7", 100))
    bans.add(ban("192.0.2.0/24"))
    found = bans.on(ip_address("192.0.2.7"), 200)
    assert found is not None
    assert found.network == ip_network("192.0.2.0/24")


def test_room_is_for_the_guard_s_own() -> None:
    """The oldest of its own gives way, and never one by hand."""
    bans = Bans(room=2)
    bans.add(ban("192.0.2.1"))
    for number in range(2, 9):
        bans.add(ban(f"192.0.2.{number}", by_hand=False))
    assert sorted(str(one.network) for one in bans) == [
        "192.0.2.1/32",
        "192.0.2.7/32",
        "192.0.2.8/32",
    ]
    bans.add(ban("192.0.2.7"))  # it is by hand now
    bans.add(ban("192.0.2.9", by_hand=False))
    assert len(bans) == 4


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_addresses(peer: str, address: str) -> None:
    """IPv4 is IPv4, however it was carried."""
    assert address_of(peer) == ip_address(address)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_names(network: str, name: str) -> None:
    """One address of IPv4 stands without its prefix."""
    assert named(ip_network(network)) == name


NETWORKS = st.builds(
    lambda number, length: IPv4Network((number, length), strict=False),
    st.integers(0, 63).map(lambda number: (192 << 24) + number),
    st.integers(24, 32),
) | st.builds(
    lambda number, length: IPv6Network((number, length), strict=False),
    st.integers(0, 63).map(lambda number: (0x20010DB8 << 96) + number),
    st.integers(120, 128),
)


@given(
    st.lists(st.tuples(NETWORKS, st.integers(0, 3), st.booleans(), st.booleans()), max_size=30),
    st.integers(0, 63),
    st.integers(0, 3),
)
def test_as_a_list_would_have_it(
    steps: list[tuple[IPv4Network | IPv6Network, int, bool, bool]], number: int, now: int
) -> None:
    """Whatever is banned and lifted: an address is banned where some network in force has it."""
    bans, plain = Bans(), {}
    for network, until, by_hand, lift in steps:
        if lift:
            bans.remove(network)
            plain.pop(network, None)
        else:
            plain[network] = Ban(network, until, 0, "", by_hand)
            bans.add(plain[network])
    assert {one.network: one for one in bans} == plain
    for address in (ip_address((192 << 24) + number), ip_address((0x20010DB8 << 96) + number)):
        there = any(address in one.network and not one.over(now) for one in plain.values())
        assert (bans.on(address, now) is not None) is there
    bans.replace(plain.values())
    assert {one.network: one for one in bans} == plain
    for network in plain:
        bans.remove(network)
    assert not bans._tables
    assert not bans._own
