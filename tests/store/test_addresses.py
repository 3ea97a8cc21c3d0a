"""Domains and aliases in the store: found by one statement, changed by one transaction."""

from __future__ import annotations

import apsw
import pytest
from attrs import evolve

from mailpost.outcome import TemporaryFailure
from mailpost.store import Alias, BadAddress, Domain, Domains, sql, sql_addresses

INFO = Alias("example.org", "info", "alice")


def add(office, *aliases):
    return office.store.addresses.change(
        lambda register: [register.add(alias) for alias in aliases]
    )


def test_all_that_is_known_of_an_address(office, alice):
    """Domain, aliases and account, by one look."""
    assert add(office, INFO, Alias("", "info", "bob"), Alias("", "info", "carol")) == [True] * 3
    addresses = office.store.addresses
    found = addresses.find("example.org", "info")
    assert (found.domain, found.local) == ("example.org", "info")
    assert (found.settings, found.maildrop) == (None, None)
    assert found.here == ("alice",)
    assert found.everywhere == ("bob", "carol")
    assert addresses.find("", "info").here == ("bob", "carol")
    assert addresses.find("else.example", "info").here == ()
    assert addresses.find("example.org", "alice").maildrop == alice.maildrop
    assert addresses.find("example.org", "").here == ()


@pytest.mark.parametrize("count", [0, 1, 5, 64, 200])
def test_many_at_once(office, alice, count):
    """As many as there are, each with its own answer."""
    add(office, *[Alias("", f"a{n}", "alice") for n in range(count)])
    wanted = [("example.org", f"a{n}") for n in range(count)] + [("", "alice")]
    found = {(one.domain, one.local): one for one in office.store.addresses.find_all(wanted)}
    assert set(found) == set(wanted)
    assert found["", "alice"].maildrop == alice.maildrop
    assert all(found["example.org", f"a{n}"].everywhere == ("alice",) for n in range(count))


def test_domains(office):
    """A domain has settings; it is one of the office's when it was added, or by the configuration."""
    shop = Domain("shop.example", accounts=False, separator="-")
    addresses = office.store.addresses
    addresses.change(lambda register: register.set_domain(shop))
    assert addresses.domain("shop.example") == shop
    assert addresses.find("shop.example", "x").settings == shop
    domains = Domains(["example.org"], addresses)
    assert "shop.example" in domains
    assert "example.org" in domains
    assert "else.example" not in domains
    addresses.change(lambda register: register.set_domain(evolve(shop, ours=False, separator="")))
    assert addresses.domains() == [evolve(shop, ours=False, separator="")]
    assert "shop.example" not in domains
    add(office, Alias("shop.example", "info", "x"))
    addresses.change(lambda register: register.remove_domain("shop.example"))
    assert addresses.domain("shop.example") is None
    assert addresses.aliases() == []


def test_lists(office):
    """Aliases as they are listed, and those that have a name or a domain among their targets."""
    more = [
        Alias("", "all", "alice@shop.example"),
        Alias("", "all", "alicia"),
        Alias("example.org", "", "bob@my-shopX.example"),
        Alias("example.org", "", "bob@my-shop_.example"),
    ]
    add(office, INFO, *more)
    addresses = office.store.addresses
    assert addresses.aliases() == [*more, INFO]
    assert addresses.aliases_at("") == more[:2]
    assert addresses.alias("example.org", "") == more[2:]
    assert addresses.aliases_of("alice") == [more[0], INFO]
    assert addresses.aliases_of("ali") == []
    assert addresses.aliases_into("shop.example") == [more[0]]
    assert addresses.aliases_into("my-shop_.example") == [more[3]]


def test_twice(office):
    """What is there already is not added again, and what is not there is not removed."""
    assert add(office, INFO, INFO) == [True, False]
    removed = office.store.addresses.change(lambda r: [r.remove(INFO), r.remove(INFO)])
    assert removed == [True, False]
    assert office.store.addresses.aliases() == []


def test_all_or_nothing(office):
    """Work that says no, or that is not meant, leaves nothing behind; it saw what it had done."""
    seen = []

    def work(register):
        register.add(INFO)
        seen.append(register.find("example.org", "info").here)
        raise BadAddress("not so")

    addresses = office.store.addresses
    with pytest.raises(BadAddress):
        addresses.change(work)
    addresses.change(lambda r: seen.append(r.add(INFO)), dry=True)
    assert seen == [("alice",), True]
    assert addresses.aliases() == []


def test_seen_at_once(office):
    """What another process has added is there at the next look."""
    other = apsw.Connection(str(office.path))
    assert office.store.addresses.find("example.org", "info").here == ()
    other.execute("INSERT INTO alias (domain, local, target) VALUES ('example.org', 'info', 'bob')")
    other.close()
    assert office.store.addresses.find("example.org", "info").here == ("bob",)


def test_a_store_that_cannot_be_read(office):
    """It is told as temporary."""
    office.store._finder.close()
    for look in (
        lambda: office.store.addresses.find("a", "b"),
        lambda: office.store.addresses.find_all([("a", "b")]),
        lambda: office.store.addresses.domain("a"),
    ):
        with pytest.raises(TemporaryFailure):
            look()


@pytest.mark.parametrize(
    "statement",
    [
        sql_addresses.FIND,
        sql.times(sql_addresses.FIND, 3),
        sql_addresses.DOMAIN,
        sql_addresses.ALIAS,
        sql_addresses.ALIASES_AT,
        sql_addresses.ALIASES_OF,
    ],
)
def test_a_look_costs_the_same_however_many_there_are(office, statement):
    """Tables are searched by an index, and none is read from end to end."""
    values = [""] * statement.count("?")
    plan = [row[3] for row in office.rows(f"EXPLAIN QUERY PLAN {statement}", *values)]
    assert any("USING" in step for step in plan)
    tables = "account", "alias", "domain", "a", "d"
    assert not any(step.split()[:2] in [["SCAN", table] for table in tables] for step in plan), plan
