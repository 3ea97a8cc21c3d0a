"""Bringing what a source has into a maildrop."""

from __future__ import annotations

from contextlib import suppress

import pytest

from mailpost.carrying import incoming
from mailpost.carrying.incoming import Incoming
from mailpost.carrying.source import Letter, SourceGone
from mailpost.retention import Retention
from mailpost.store.delivery import ROW
from mailpost.store.errors import DiskFull
from tests.store.conftest import Office, now

NOW = 1_800_000_000


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    yield office
    office.store.close()


@pytest.fixture
def alice(office):
    return office.accounts.add("alice", "hash")


class Pile:
    """A source in memory: keys with octets and unique-ids."""

    def __init__(self, *letters, breaks_at=None):
        self._letters = letters
        self._breaks_at = breaks_at
        self.ahead = 1
        self.count = len(letters)
        self.octets = sum(len(letter[1]) for letter in letters)
        self.read = []

    def letters(self):
        for place, (key, octets, *uidl) in enumerate(self._letters):
            if place == self._breaks_at:
                raise SourceGone("it has gone")
            yield Letter(
                key, key, len(octets), lambda o=octets, k=key: self.pieces(k, o), None, 77, *uidl
            )

    def pieces(self, key, octets):
        self.read.append(key)
        if octets == b"unreadable":
            raise PermissionError(13, "Permission denied")
        for start in range(0, len(octets), 50_000):
            yield octets[start : start + 50_000]

    def close(self):
        pass


def bring(office, account, source, told=lambda _: None):
    bringing = Incoming(office.store.bringing, account.maildrop, NOW, told)
    with suppress(SourceGone):
        bringing.bring(source)
    return bringing.outcome


def uidls(office, account):
    snapshot = office.open(account)
    try:
        return [snapshot.uidl(index).decode() for index in range(len(snapshot.sizes))]
    finally:
        snapshot.close()


LARGE = b"Subject: large\r\n\r\n" + b"line\r\n" * ROW


def test_letters_come_as_they_are(office, alice):
    """Octet for octet, without a postmark, in their order; small or large, with a final CRLF or without."""
    steps = []
    pile = Pile(
        ("a", b"Subject: a\r\n\r\n", "uidl-a"), ("b", LARGE, "uidl-b"), ("c", b"no end"), ("d", b"")
    )
    outcome = bring(office, alice, pile, steps.append)
    assert (outcome.brought, outcome.there) == (4, 0)
    assert outcome.octets == sum(steps) == pile.octets
    assert office.letters(alice) == [b"Subject: a\r\n\r\n", LARGE, b"no end\r\n", b""]
    assert uidls(office, alice)[:2] == ["uidl-a", "uidl-b"]
    assert office.rows("SELECT letters, octets FROM maildrop WHERE letters > 0") == [
        (4, pile.octets + 2)
    ]
    assert len(list(office.path.with_name("mail.db.parcels").iterdir())) == 1


def test_nothing_comes_twice(office, alice):
    """A second run brings what is new alone, and reads nothing else, also after letters were collected."""
    bring(office, alice, Pile(("a", b"1\r\n", "x"), ("b", b"2\r\n")))
    office.let_go(alice, 0, 1)
    again = Pile(("a", b"1\r\n", "x"), ("b", b"2\r\n"), ("c", b"3\r\n"))
    outcome = bring(office, alice, again)
    assert (outcome.brought, outcome.there, again.read) == (1, 2, ["c"])
    assert office.letters(alice) == [b"3\r\n"]


def test_the_same_key_twice_in_one_run(office, alice):
    """It is one letter."""
    outcome = bring(office, alice, Pile(("a", b"1\r\n"), ("a", b"1\r\n")))
    assert (outcome.brought, outcome.there) == (1, 1)


def test_two_that_bring_the_same_at_once(office, alice):
    """Neither knew what the other would bring: each letter is there once, and no parcel is left over."""
    first, second = (Incoming(office.store.bringing, alice.maildrop, NOW) for _ in range(2))
    first.bring(Pile(("a", b"1\r\n"), ("b", LARGE)))
    second.bring(Pile(("a", b"1\r\n"), ("b", LARGE), ("c", b"3\r\n")))
    assert (second.outcome.brought, second.outcome.there) == (1, 2)
    assert office.letters(alice) == [b"1\r\n", LARGE, b"3\r\n"]
    assert len(list(office.path.with_name("mail.db.parcels").iterdir())) == 1


def test_each_maildrop_by_itself(office, alice):
    """What came for one has not come for another."""
    bob = office.accounts.add("bob", "hash")
    bring(office, alice, Pile(("a", b"1\r\n", "x")))
    assert bring(office, bob, Pile(("a", b"1\r\n", "x"))).brought == 1


def test_what_was_broken_off_goes_on(office, alice):
    """What had been read is kept; the rest comes next time."""
    letters = [(str(n), b"%d\r\n" % n) for n in range(200)]
    outcome = bring(office, alice, Pile(*letters, breaks_at=100))
    assert outcome.brought == 100
    again = Pile(*letters)
    assert bring(office, alice, again).brought == 100
    assert again.read == [key for key, _ in letters[100:]]
    assert office.letters(alice) == [octets for _, octets in letters]


def test_a_kill_between_two_batches(office, alice, monkeypatch):
    """A batch is in the store with its keys, or not at all."""
    monkeypatch.setattr(incoming, "LETTERS", 10)
    letters = [(str(n), b"%d\r\n" % n, f"u{n}") for n in range(35)]
    bringing = Incoming(office.store.bringing, alice.maildrop, NOW)
    monkeypatch.setattr(bringing, "_keep", lambda keep=bringing._keep: _until(office, 20, keep))
    with pytest.raises(KeyboardInterrupt):
        bringing.bring(Pile(*letters))
    office.restart()
    assert len(office.letters(alice)) == 20
    assert bring(office, alice, Pile(*letters)).brought == 15
    assert uidls(office, alice) == [uidl for _, _, uidl in letters]


def _until(office, letters, keep):
    if office.rows("SELECT max(letters) FROM maildrop")[0][0] >= letters:
        raise KeyboardInterrupt
    keep()


def test_a_letter_that_cannot_be_read(office, alice):
    """It is named, the others come, and it comes when it can be read."""
    outcome = bring(office, alice, Pile(("a", b"1\r\n"), ("b", b"unreadable"), ("c", b"3\r\n")))
    assert outcome.brought == 2
    assert outcome.unread == [("b", "Permission denied")]
    assert bring(office, alice, Pile(("b", b"2\r\n"))).brought == 1


def test_a_unique_id_that_another_letter_has(office, alice):
    """The same letter by another way is there already; another letter comes, under a new unique-id."""
    bring(office, alice, Pile(("maildir a", b"1\r\n", "x"), ("maildir b", LARGE, "y")))
    pile = Pile(
        ("pop3 a", b"1\r\n", "x"),
        ("pop3 b", LARGE, "y"),
        ("pop3 c", b"2\r\n", "x"),
        ("pop3 d", LARGE.replace(b"line", b"LINE"), "y"),
    )
    outcome = bring(office, alice, pile)
    assert (outcome.brought, outcome.there) == (2, 2)
    assert [name for name, _ in outcome.new_uidl] == ["pop3 c", "pop3 d"]
    assert office.letters(alice)[2:] == [b"2\r\n", LARGE.replace(b"line", b"LINE")]
    assert len(set(uidls(office, alice))) == 4
    assert len(list(office.path.with_name("mail.db.parcels").iterdir())) == 2


def test_a_unique_id_of_this_office(office, alice):
    """A letter that was here, and is brought back, keeps it; it never gets one that is yet to be given."""
    office.deliver(b"1\r\n", alice)
    office.deliver(b"2\r\n", alice)
    first, second = uidls(office, alice)
    whole = office.letters(alice)
    to_come = first.rpartition(".")[0] + ".ff"
    office.let_go(alice, 0)
    outcome = bring(
        office,
        alice,
        Pile(("a", whole[0], first), ("b", whole[1], second), ("c", b"3\r\n", to_come)),
    )
    assert (outcome.brought, outcome.there) == (2, 1)
    assert [name for name, _ in outcome.new_uidl] == ["c"]
    assert uidls(office, alice)[:2] == [second, first]
    assert to_come not in uidls(office, alice)


@pytest.mark.parametrize("uidl", ["", "a b", "x" * 71, "\x7f", "\xe4", "n\udce4me"])
def test_a_unique_id_that_cannot_be_one(office, alice, uidl):
    """RFC 1939 §7: the letter gets a new one, and that is told where it had one."""
    outcome = bring(office, alice, Pile(("a", b"1\r\n", uidl)))
    assert outcome.brought == 1
    assert len(outcome.new_uidl) == bool(uidl)
    assert uidls(office, alice)[0].endswith(".1")


def test_when_letters_arrived(office, alice):
    """As the source says; else the topmost Received; else the file; and never in the future."""
    received = b"Received: by a; Thu, 1 Jan 1970 00:00:09 +0000\r\n\r\n"
    future = received.replace(b"1970", b"2100")
    pile = Pile(("a", received), ("b", b"Subject: b\r\n\r\n"), ("c", future))
    bring(office, alice, pile)
    assert office.rows("SELECT arrived FROM entry ORDER BY number") == [(9,), (77,), (NOW,)]


def test_old_letters_after_new_ones(office, alice):
    """What is shown as recent, and a device's beginning, go by the date of arrival."""
    office.deliver(b"new\r\n", alice)
    bring(office, alice, Pile(("a", b"old\r\n")))
    office.deliver(b"newest\r\n", alice)
    lately = office.store.lately(alice).open()
    assert [len(b"Return-Path: <>\r\n") + 5, len(b"Return-Path: <>\r\n") + 8] == list(
        now(lately).sizes
    )
    device = office.store.devices.add(alice, "phone", digest=b"", since=NOW - 1000)
    snapshot = now(office.store.maildrop(alice, device.view).open())
    assert len(snapshot.sizes) == 2
    snapshot.close()
    assert len(office.letters(alice)) == 3


@pytest.mark.parametrize("collected", [False, True])
def test_how_long_they_are_kept(office, alice, collected):
    """The days of a retention count from when a letter came here, however old it is."""
    retention = Retention(30, collected)
    bring(office, alice, Pile(("a", b"old\r\n")))
    office.let_go(alice)
    if collected:
        office.let_go(alice, 0)
    assert office.store.keeping.overdue(alice, retention) == []
    office.clock.advance(31 * 86_400)
    assert len(office.store.keeping.overdue(alice, retention)) == 1


def test_eight_bit_headers_are_measured(office, alice):
    """A letter with UTF-8 in its header has another form for clients that do not say UTF8."""
    bring(office, alice, Pile(("a", "Subject: Grüße\r\n\r\n".encode())))
    snapshot = office.open(alice)
    snapshot.downgrade()
    assert snapshot.sizes[0] == len(office.fetch(snapshot, 0))
    assert office.fetch(snapshot, 0).isascii()
    snapshot.close()


def test_a_full_disk(office, alice):
    """The reserve stays; what was read before is kept, and no parcel is left of what was not."""
    office.store.space.reserve = 0
    found = iter([1_000_000])
    office.store.space.free = lambda: next(found, -1)
    with pytest.raises(DiskFull):
        bring(office, alice, Pile(("a", b"1\r\n"), ("b", LARGE * 2)))
    assert office.letters(alice) == [b"1\r\n"]
    assert list(office.path.with_name("mail.db.parcels").iterdir()) == []


def test_a_dry_run(office, alice):
    """It says what would come, and nothing has."""
    bring(office, alice, Pile(("a", b"1\r\n")))
    pile = Pile(("a", b"1\r\n"), ("b", b"22\r\n"))
    trial = Incoming(office.store.bringing, alice.maildrop, NOW)
    trial.count(pile)
    assert (trial.outcome.brought, trial.outcome.octets, trial.outcome.there) == (1, 4, 1)
    assert pile.read == []
    assert len(office.letters(alice)) == 1


def test_an_account_that_is_removed(office, alice):
    """What it had been brought is forgotten with it."""
    bring(office, alice, Pile(("a", b"1\r\n")))
    office.accounts.remove("alice")
    assert office.rows("SELECT count(*) FROM brought") == [(0,)]
