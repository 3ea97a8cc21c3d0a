"""Changing the aliases: what would not do is refused, and what is worth knowing is told."""

from __future__ import annotations

import pytest

from mailpost.sorting import addresses, aliases
from mailpost.store import Alias, BadAddress, Domain
from tests.store.conftest import Office

DOMAINS = ("example.org", "xn--bcher-kva.example")


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    for name in ("alice", "bob", "carol"):
        office.accounts.add(name)
    yield office
    office.store.close()


def add(office, alias, *targets):
    named, wanted = addresses.alias_address(alias), [addresses.address(one) for one in targets]
    return office.store.addresses.change(lambda r: aliases.add(r, DOMAINS, named, wanted))


def remove(office, alias, *targets):
    named, wanted = addresses.alias_address(alias), [addresses.address(one) for one in targets]
    return office.store.addresses.change(lambda r: aliases.remove(r, DOMAINS, named, wanted))


def rows(office):
    return [tuple(one) for one in office.store.addresses.aliases()]


def refused(office, alias, *targets):
    before = rows(office)
    with pytest.raises(BadAddress) as told:
        add(office, alias, *targets)
    assert rows(office) == before
    return str(told.value)


def test_add(office):
    """Targets are added to those that are there."""
    assert add(office, "Info@example.org", "alice") == []
    assert add(office, "info@example.org", "bob@b\u00fccher.example", "alice") == []
    assert add(office, "@example.org", "info@example.org") == []
    assert rows(office) == [
        ("example.org", "", "info@example.org"),
        ("example.org", "info", "alice"),
        ("example.org", "info", "bob@xn--bcher-kva.example"),
    ]


def test_what_is_refused(office):
    """Each with what is wrong; nothing of it is left, also not the targets that would have done."""
    assert "no domain of this office" in refused(office, "info@else.example", "alice")
    assert "nothing is sent on" in refused(office, "info", "alice", "me@else.example")
    assert "alic is nobody's" in refused(office, "info", "alice", "alic")
    assert "info is nobody's" in refused(office, "info", "info")
    with pytest.raises(BadAddress, match="domain by domain"):
        office.store.addresses.change(
            lambda r: aliases.add(r, DOMAINS, addresses.Address("", ""), [])
        )


def test_circles(office):
    """A circle is refused, and named; a copy to somebody else is none."""
    add(office, "a", "alice")
    add(office, "b@example.org", "a")
    add(office, "c", "b@example.org")
    told = refused(office, "a", "c")
    assert "a leads in a circle: a -> c -> b@example.org -> a" in told
    add(office, "alice", "alice", "bob")
    assert "circle" in refused(office, "bob", "alice")


def test_a_circle_by_removal(office):
    """What an address falls back to must not lead to itself either."""
    add(office, "x@example.org", "alice")
    add(office, "y", "x@example.org")
    add(office, "x", "y")
    with pytest.raises(BadAddress, match="circle"):
        remove(office, "x@example.org")
    assert len(rows(office)) == 3
    remove(office, "x")
    assert remove(office, "x@example.org") == [
        "y still leads to x@example.org, which is nobody's now"
    ]


def test_other_meanings_are_told(office):
    """Whoever puts an account or another alias aside is told."""
    (told,) = add(office, "alice", "bob")
    assert "alice is an account" in told
    assert add(office, "bob", "bob", "carol") == []
    account, everywhere = add(office, "alice@example.org", "alice")
    assert "mail for alice@example.org goes to the alias, and not to alice" in account
    assert everywhere == (
        "alice is an alias in every domain, but not for alice@example.org from now on"
    )
    office.store.addresses.change(lambda r: r.set_domain(Domain("shop.example", accounts=False)))
    assert add(office, "carol@shop.example", "alice") == []
    add(office, "info@shop.example", "alice")
    assert add(office, "info", "bob") == ["info@shop.example is an alias of its own, and stays so"]


def test_remove(office):
    """Some targets, or all; what is not there is told."""
    add(office, "team", "alice", "bob")
    assert remove(office, "else") is None
    with pytest.raises(BadAddress, match="carol is no target of team"):
        remove(office, "team", "alice", "carol")
    assert remove(office, "team", "bob") == []
    assert rows(office) == [("", "team", "alice")]
    add(office, "all@example.org", "team@example.org", "carol")
    assert remove(office, "team", "alice") == [
        "all@example.org still leads to team@example.org, which is nobody's now"
    ]


def test_what_an_account_leaves_behind(office):
    """Aliases that led to it, and to nobody else by that name."""
    add(office, "info", "alice@example.org", "bob")
    add(office, "sales", "alice")
    office.accounts.remove("alice")
    survey = aliases.Survey(office.store.addresses, DOMAINS)
    assert survey.dangling(office.store.addresses.aliases_of("alice")) == [
        "info still leads to alice@example.org, which is nobody's now",
        "sales still leads to alice, which is nobody's now",
    ]
    office.store.addresses.change(lambda r: r.add(Alias("example.org", "", "bob")))
    assert survey.dangling(office.store.addresses.aliases_of("alice")) == [
        "sales still leads to alice, which is nobody's now"
    ]
