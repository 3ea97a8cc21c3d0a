"""What an address comes to: aliases, details, catch-alls, and everybody once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.envelope import Destination, Group
from mailpost.outcome import Refused, TryLater
from mailpost.sorting import route as route_module
from mailpost.sorting.local import LocalSorter
from mailpost.store import Domain
from mailpost.wire import reply

from .book import ALICE, POSTMASTER, Book, at, config, sort

CAROL, DAVE = 4, 5
PEOPLE = {"postmaster": POSTMASTER, "alice": ALICE, "carol": CAROL, "dave": DAVE}
BOOKS = "xn--bcher-kva.example"


def office(aliases=(), *domains, accounts=PEOPLE, **keys):
    return LocalSorter(Book(accounts, dict(aliases), *domains), config(**keys))


def to(sorter, path):
    """Where a letter for an address goes: the addresses that it is delivered to."""
    told = sort(sorter, path)
    if isinstance(told, Destination | Group):
        return [one.delivered_to for one in told.destinations]
    return str(told.reply)[:3]


def test_an_alias():
    """One target: a Destination, known by its own name; in its domain alone."""
    sorter = office({"info@example.org": ["alice@example.org"]})
    assert sort(sorter, "Info@example.org") == Destination(ALICE, "alice@example.org")
    assert to(sorter, f"info@{BOOKS}") == "550"


def test_an_alias_in_every_domain():
    """A name without a domain is an alias in all of them; its targets are where the letter came to."""
    sorter = office({"info": ["alice"]}, Domain("added.example"))
    assert to(sorter, "info@example.org") == ["alice@example.org"]
    assert to(sorter, "info@b\u00fccher.example") == [f"alice@{BOOKS}"]
    assert to(sorter, "info@added.example") == ["alice@added.example"]
    assert to(sorter, "info@else.example") == "550"


def test_several():
    """Several targets, and aliases among them: each maildrop once."""
    sorter = office(
        {
            "all@example.org": ["sales", "carol", "dave@example.org"],
            "sales": ["alice", "carol"],
        }
    )
    assert to(sorter, "all@example.org") == [
        "alice@example.org",
        "carol@example.org",
        "dave@example.org",
    ]


def test_the_nearer_alias_counts():
    """An alias of the domain goes before one in every domain, and both before the account."""
    aliases = {"alice@example.org": ["carol"], "alice": ["dave"]}
    sorter = office(aliases)
    assert to(sorter, "alice@example.org") == ["carol@example.org"]
    assert to(sorter, f"alice@{BOOKS}") == [f"dave@{BOOKS}"]


@pytest.mark.parametrize(
    "aliases",
    [
        {"alice@example.org": ["alice@example.org", "carol"]},
        {"alice@example.org": ["alice", "carol"]},
        {"alice": ["alice", "carol"]},
        {"alice": ["alice@example.org", "carol"]},
    ],
)
def test_an_alias_that_leads_to_its_own_name(aliases):
    """It means the account: a copy for somebody else is made so."""
    assert to(office(aliases), "alice@example.org") == ["alice@example.org", "carol@example.org"]


def test_the_next_meaning_of_ones_own_name():
    """Whoever is an alias here and in every domain comes from one to the other."""
    sorter = office({"alice@example.org": ["alice", "carol"], "alice": ["dave"]})
    assert to(sorter, "alice@example.org") == ["dave@example.org", "carol@example.org"]


@pytest.mark.parametrize(
    ("path", "delivered_to"),
    [
        ("alice+shop@example.org", ["alice+shop@example.org"]),
        ("Alice+Shop@example.org", ["alice+Shop@example.org"]),
        ("alice+a+b@example.org", ["alice+a+b@example.org"]),
        ("alice+@example.org", ["alice+@example.org"]),
        ('"alice+a b"@example.org', ['"alice+a b"@example.org']),
        ("info+shop@example.org", ["carol@example.org"]),
        ("list+owner@example.org", ["dave@example.org"]),
        ("list+owner+x@example.org", ["dave@example.org"]),
        ("postmaster+x@example.org", ["postmaster@example.org"]),
        ("+alice@example.org", "550"),
        ("nobody+alice@example.org", "550"),
        ("alice-shop@example.org", "550"),
    ],
)
def test_details(path, delivered_to):
    """A detail behind + is the user's own, and stays in Delivered-To; the longest name counts."""
    sorter = office({"info": ["carol"], "list+owner@example.org": ["dave"]})
    assert to(sorter, path) == delivered_to


def test_the_separator_is_the_domains():
    """Another character, or none."""
    accounts = {**PEOPLE, "anna": 8, "anna-maria": 9}
    sorter = office(
        {},
        Domain("example.org", ours=False, separator="-"),
        Domain("added.example", separator=""),
        accounts=accounts,
    )
    assert to(sorter, "alice-shop@example.org") == ["alice-shop@example.org"]
    assert to(sorter, "alice+shop@example.org") == "550"
    assert sort(sorter, "anna-maria-shop@example.org").maildrop == 9
    assert sort(sorter, "anna-shop@example.org").maildrop == 8
    assert to(sorter, "alice+shop@added.example") == "550"


def test_a_detail_beyond_ascii():
    """A detail may be in any letters; a name that only looks like another with it may not."""
    sorter = office()
    assert (
        sorter.sort(at("alice+gr\u00fc\u00dfe")).delivered_to == "alice+gr\u00fc\u00dfe@example.org"
    )
    assert sorter.sort(at("\u212aarol+\u00fc")).reply == reply.NO_SUCH_USER
    lookalike = office(accounts={**PEOPLE, "kate": 9})
    assert lookalike.sort(at("\u212aate+\u00fc")).reply == reply.NO_SUCH_USER


def test_an_alias_beyond_ascii():
    """An alias may be in any letters, in any case (RFC 6531)."""
    sorter = office({"b\u00fcro@example.org": ["alice"]})
    assert sorter.sort(at("B\u00dcRO")) == Destination(ALICE, "alice@example.org")
    assert sorter.sort(at("Bu\u0308ro")) == Destination(ALICE, "alice@example.org")


def test_catch_all():
    """Whatever nobody has goes there, and nothing else; a name that somebody has without its detail too."""
    sorter = office({"@example.org": ["carol"], "info@example.org": ["alice"]})
    assert to(sorter, "whatever@example.org") == ["carol@example.org"]
    assert to(sorter, "whatever+x@example.org") == ["carol@example.org"]
    assert to(sorter, "dave@example.org") == ["dave@example.org"]
    assert to(sorter, "dave+x@example.org") == ["dave+x@example.org"]
    assert to(sorter, "info@example.org") == ["alice@example.org"]
    assert to(sorter, "postmaster@example.org") == ["postmaster@example.org"]
    assert to(sorter, "abuse@example.org") == ["postmaster@example.org"]
    assert to(sorter, f"whatever@{BOOKS}") == "550"
    assert sorter.sort(at("\u212aate")).delivered_to == "carol@example.org"


def test_a_domain_of_aliases_alone():
    """Accounts' names are no addresses there; a copy is known by its account's address at home."""
    shop = Domain("shop.example", accounts=False)
    sorter = office({"info@shop.example": ["alice", "dave@shop.example"]}, shop)
    assert to(sorter, "alice@shop.example") == "550"
    assert to(sorter, "info@shop.example") == ["alice@example.org"]
    assert to(sorter, "postmaster@shop.example") == ["postmaster@shop.example"]


def test_settings_make_no_domain():
    """A row that only has settings does not make a domain the office's."""
    sorter = office({}, Domain("gone.example", ours=False))
    assert sort(sorter, "alice@gone.example").reply == reply.NOT_OUR_DOMAIN


@pytest.mark.parametrize(
    ("aliases", "keys", "postmaster", "abuse"),
    [
        ({}, {}, "postmaster", "postmaster"),
        ({}, {"postmaster": "alice"}, "alice", "alice"),
        ({"postmaster": ["carol"]}, {"postmaster": "alice"}, "carol", "carol"),
        ({"abuse@example.org": ["carol"]}, {}, "postmaster", "carol"),
        ({"abuse": ["gone"]}, {}, "postmaster", "postmaster"),
        ({"postmaster": ["gone"], "abuse": ["postmaster"]}, {}, "postmaster", "postmaster"),
        ({"postmaster": ["postmaster"]}, {}, "postmaster", "postmaster"),
        ({"root": ["postmaster"], "abuse": ["root"]}, {"postmaster": "dave"}, "dave", "dave"),
    ],
)
def test_postmaster_and_abuse(aliases, keys, postmaster, abuse):
    """They are always somewhere: by an alias, else with the postmaster (RFC 5321 §4.5.1, RFC 2142)."""
    sorter = office(aliases, **keys)
    assert sort(sorter, "postmaster@example.org").maildrop == PEOPLE[postmaster]
    assert sort(sorter, "Abuse@example.org").maildrop == PEOPLE[abuse]


def test_an_account_named_abuse():
    """Who has an account of that name has its mail."""
    assert sort(office(accounts={**PEOPLE, "abuse": 9}), "abuse@example.org").maildrop == 9


def test_dangling():
    """Where a target has gone, the others still have their copies; where all have, 550."""
    sorter = office({"team@example.org": ["gone", "alice", "gone@else.example"], "old": ["gone"]})
    assert to(sorter, "team@example.org") == ["alice@example.org"]
    assert sort(sorter, "old@example.org").reply == reply.NO_SUCH_USER


def test_a_circle(log):
    """It ends; whoever else is named has a copy, where nobody is: try later. The log names it."""
    sorter = office({"a": ["b@example.org"], "b@example.org": ["c", "carol"], "c": ["a"]})
    assert to(sorter, "a@example.org") == ["carol@example.org"]
    alone = office({"a": ["b@example.org"], "b@example.org": ["a"]})
    told = sort(alone, "a@example.org")
    assert isinstance(told, TryLater)
    assert told.reply == reply.MISROUTED
    circle = "a@example.org: a leads in a circle: a -> b@example.org -> a"
    assert log.lines("a@example.org")[-1] == circle


def test_too_deep(log):
    """Aliases of aliases are followed so far, and no letter is kept for a part of its recipients."""
    depth = route_module.MAX_DEPTH
    chain = {f"a{n}": [f"a{n + 1}"] for n in range(depth)}
    assert to(
        office({**chain, f"a{depth}": []}, accounts={**PEOPLE, f"a{depth}": 7}), "a0@example.org"
    )
    longer = office({**chain, "a0": ["alice", "a1"], f"a{depth}": ["alice"]})
    assert sort(longer, "a0@example.org").reply == reply.MISROUTED
    assert f"a{depth} is not followed" in log.lines("a0@")[-1]


def test_too_many(log):
    """A group has its limit, and none of its members has a letter that others do not get."""
    limit = route_module.MAX_TARGETS
    accounts = {**PEOPLE, **{f"u{n}": 100 + n for n in range(limit + 1)}}
    group = [f"u{n}" for n in range(limit)]
    whole = sort(office({"all": group}, accounts=accounts), "all@example.org")
    assert len(whole.destinations) == limit
    over = office({"all": [*group, f"u{limit}"]}, accounts=accounts)
    assert sort(over, "all@example.org").reply == reply.MISROUTED
    many = {f"a{n}": ["alice"] for n in range(route_module.MAX_ALIASES)}
    assert sort(office({**many, "all": list(many)}), "all@example.org").reply == reply.MISROUTED
    assert len(log.lines("all@example.org")) == 2


def test_steps():
    """Each step in words, and all of them."""
    sorter = office(
        {
            "info@example.org": ["sales@example.org", "gone", "x@else.example"],
            "sales": ["alice"],
            "@example.org": ["info@example.org", "carol"],
        },
        postmaster="dave",
    )
    steps = []
    sort(sorter, "anything@example.org", steps)
    assert [str(step) for step in steps] == [
        (
            "nobody has anything@example.org: whatever nobody has in that domain goes to"
            " info@example.org, carol"
        ),
        "info@example.org is an alias of sales@example.org, gone, x@else.example",
        "sales@example.org is an alias of alice (in every domain)",
        "alice@example.org is kept in alice's maildrop",
        "nobody has gone",
        "x@else.example is in no domain of this office, and nothing is sent on",
        "carol@example.org is kept in carol's maildrop",
    ]
    steps.clear()
    sort(sorter, "abuse+x@example.org", steps)
    sort(sorter, "Postmaster", steps)
    assert [str(step) for step in steps] == [
        "abuse+x@example.org is abuse@example.org, with a detail",
        "nobody has abuse@example.org: it goes to postmaster@example.org",
        "postmaster@example.org is kept in dave's maildrop, who is postmaster here",
        "postmaster@example.org is kept in dave's maildrop, who is postmaster here",
    ]


def test_whose_an_address_is():
    """One's own name, and every address that leads to one's maildrop, alone or with others."""
    shop = Domain("shop.example", accounts=False)
    sorter = office({"info": ["alice", "carol"], "dave": ["carol"]}, shop)

    def belongs(local, domain, name):
        return sorter.belongs(at(local, domain), name, PEOPLE[name])

    assert belongs("alice", "example.org", "alice")
    assert belongs("Alice+x", "example.org", "alice")
    assert belongs("info", "example.org", "alice")
    assert belongs("info", "shop.example", "carol")
    assert belongs("dave", "example.org", "dave")  # although its mail goes to carol just now
    assert belongs("dave", "example.org", "carol")
    assert not belongs("info", "example.org", "dave")
    assert not belongs("alice", "shop.example", "alice")
    assert not belongs("alice", "else.example", "alice")
    assert not belongs("carol", "example.org", "alice")


NAMES = ["a", "b", "c", "alice", "carol", "postmaster", "abuse", "a+b"]
PLACES = ["", "@example.org", "@xn--bcher-kva.example"]
ADDRESSES = [name + place for place in PLACES for name in NAMES] + PLACES[1:]


@given(
    st.dictionaries(
        st.sampled_from(ADDRESSES), st.lists(st.sampled_from(ADDRESSES[:-2]), max_size=4)
    ),
    st.sampled_from(ADDRESSES[len(NAMES) : -2]),
    st.booleans(),
)
def test_it_always_ends(aliases, path, accounts):
    """Whatever aliases there are, every address has an answer, each maildrop once, told or not told."""
    here = Domain("example.org", ours=False, accounts=accounts)
    sorter = office(aliases, here)
    steps = []
    told = sort(sorter, path, steps)
    assert told == sort(sorter, path)
    assert steps
    assert sorter.directory.book.looks < 2000
    if isinstance(told, Destination | Group):
        maildrops = [one.maildrop for one in told.destinations]
        assert len(set(maildrops)) == len(maildrops)
        kept = [step for step in steps if step.kind in {"account", "postmaster"}]
        assert {step.address for step in kept} >= {one.delivered_to for one in told.destinations}
    else:
        assert isinstance(told, Refused | TryLater)
        assert path.partition("@")[0] not in {"postmaster", "abuse"} or isinstance(told, TryLater)
