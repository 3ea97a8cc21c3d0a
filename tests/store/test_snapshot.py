"""An open maildrop."""

import errno
import os
import sys
import time
from unittest.mock import Mock

import pytest
from zope.interface.verify import verifyObject

from mailpost.interfaces import IMaildrop, IPieces, ISnapshot
from mailpost.outcome import MaildropInUse, TemporaryFailure
from mailpost.store.delivery import ROW
from mailpost.store.maildrops import AT_ONCE
from mailpost.store.pieces import IN_A_ROW, PIECE
from mailpost.store.snapshot import AHEAD, LETTERS
from mailpost.store.views import LetGo

from .conftest import POSTMARK, now


@pytest.fixture
def many(office, alice):
    """An account with two hundred letters."""
    waiting = [office.commit(b"%d\r\n" % n, alice) for n in range(200)]
    office.turn()
    for each in waiting:
        now(each)
    return alice


def test_interfaces(office, alice):
    """Maildrop, snapshot and pieces keep their contracts."""
    maildrop = office.store.maildrop(alice)
    assert verifyObject(IMaildrop, maildrop)
    office.deliver(b"x" * (ROW + 1), alice)
    snapshot = now(maildrop.open())
    assert verifyObject(ISnapshot, snapshot)
    pieces = now(snapshot.fetch(0))
    assert verifyObject(IPieces, pieces)
    pieces.close()


def test_empty_maildrop(office, alice):
    """An empty maildrop opens at once."""
    snapshot = office.open(alice)
    assert list(snapshot.sizes) == []
    with pytest.raises(IndexError):
        snapshot.uidl(0)


@pytest.mark.parametrize("failing", [False, True])
def test_the_lock_is_held_until_letters_are_let_go_of(office, alice, failing, monkeypatch):
    """A peer that says QUIT and is gone at once: nobody opens the view before that is settled."""
    office.store.devices.add(alice, "phone", digest=b"")
    office.deliver(b"1\r\n", alice)
    snapshot = office.open(alice)
    office.turn()
    going = snapshot.let_go([0])
    snapshot.close()
    with pytest.raises(MaildropInUse):
        office.open(alice)
    if failing:
        monkeypatch.setattr(LetGo, "apply", Mock(side_effect=TemporaryFailure("not now")))
    office.turn()
    if failing:
        with pytest.raises(TemporaryFailure):
            now(going)
    snapshot.close()
    assert len(office.open(alice).sizes) == failing
    (had, _) = [one.when for one in office.store.fetched_by(alice, 1)]
    assert had == (None if failing else office.clock.seconds())


def test_as_it_was_when_it_was_opened(office, alice):
    """What arrives later is not in it (RFC 1939 §5)."""
    office.deliver(b"1\r\n", alice)
    snapshot = office.open(alice)
    office.deliver(b"2\r\n", alice)
    assert len(snapshot.sizes) == 1
    assert office.fetch(snapshot, 0) == POSTMARK + b"1\r\n"


@pytest.mark.parametrize("letters", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 1])
def test_few_are_listed_at_once_many_in_a_thread(office, alice, letters):
    """A small maildrop costs no hop; none is cut short."""
    for _ in range(letters):
        office.commit(b"x\r\n", alice)
    office.turn()
    hops = office.hops
    snapshot = office.open(alice)
    assert len(snapshot.sizes) == letters
    assert office.hops - hops == (letters >= AT_ONCE)


def test_exceptions_do_not_cut_a_listing_short(office, many):
    """Letters that were let go of do not hide those behind them."""
    office.let_go(many, *range(1, 150))
    assert len(office.letters(many)) == 51


def test_letters_are_read_ahead(office, many):
    """A client that reads in order costs one hop for many letters, each handed out once."""
    snapshot = office.open(many)
    hops = office.hops
    letters = [office.fetch(snapshot, index) for index in range(200)]
    assert letters == [POSTMARK + b"%d\r\n" % n for n in range(200)]
    assert office.hops - hops == -(-200 // LETTERS)
    assert not snapshot._ahead
    assert office.fetch(snapshot, 3) == letters[3]


def test_reading_ahead_is_bounded_in_octets(office, alice):
    """No more than a budget of octets is held for a client that may go away."""
    for _ in range(20):
        office.deliver(os.urandom(40_000), alice)
    snapshot = office.open(alice)
    office.fetch(snapshot, 0)
    assert sum(map(len, snapshot._ahead.values())) < AHEAD
    snapshot.close()
    assert snapshot._ahead is None


def test_letters_at_hand(office, many):
    """Those read ahead are given together as well, each once, up to the first that was not."""
    snapshot = office.open(many)
    hops = office.hops
    assert snapshot.at_hand([0, 1]) == []
    assert office.fetch(snapshot, 0) == POSTMARK + b"0\r\n"
    assert snapshot.at_hand([1, 3, 2]) == [POSTMARK + b"%d\r\n" % n for n in (1, 3, 2)]
    assert snapshot.at_hand([4, 1, 5]) == [POSTMARK + b"4\r\n"]
    assert snapshot.at_hand([LETTERS]) == []
    assert office.hops - hops == 1
    snapshot.close()
    assert snapshot.at_hand([5]) == []


def test_any_order(office, many):
    """Letters may be asked for in any order, and again."""
    snapshot = office.open(many)
    for index in (199, 0, 5, 4, 3, 199, 100, 101, 0):
        assert office.fetch(snapshot, index) == POSTMARK + b"%d\r\n" % index


def test_gaps_and_large_letters_between(office, alice):
    """What was let go of is skipped, and a parcel between small letters disturbs nothing."""
    bodies = [b"0\r\n", b"1\r\n", b"x" * (ROW + 1), b"3\r\n", b"y" * ROW, b"5", b"6\r\n"]
    for body in bodies:
        office.deliver(body, alice)
    office.let_go(alice, 1, 3)
    expected = [POSTMARK + bodies[n] + b"\r\n" * (n in {2, 4, 5}) for n in (0, 2, 4, 5, 6)]
    assert office.letters(alice) == expected
    snapshot = office.open(alice)
    assert list(snapshot.sizes) == [len(letter) for letter in expected]


def test_uidl_is_short_unique_and_printable(office, many, bob):
    """1 to 70 octets of 0x21 to 0x7E, never the same twice (RFC 1939 §7)."""
    office.deliver(b"x\r\n", bob)
    snapshot = office.open(many)
    uidls = [snapshot.uidl(index) for index in range(200)] + [office.open(bob).uidl(0)]
    assert len(set(uidls)) == 201
    assert all(1 <= len(uidl) <= 30 for uidl in uidls)
    assert all(0x21 <= octet <= 0x7E for octet in b"".join(uidls))


def test_migrated_letters_keep_their_uidl(office, alice):
    """A letter that was brought from elsewhere keeps its unique-id, others beside it theirs."""
    office.deliver(b"1\r\n", alice)
    office.deliver(b"2\r\n", alice)
    office.ledger._writer._db.execute("UPDATE entry SET uidl = 'old-one' WHERE number = 1")
    snapshot = office.open(alice)
    assert snapshot.uidl(0) == b"old-one"
    assert snapshot.uidl(1).endswith(b".2")


def test_pieces(office, alice):
    """A parcel is read in pieces, with its postmark before and the missing CRLF after."""
    body = os.urandom(2 * PIECE + 7)
    office.deliver(body, alice)
    pieces = now(office.open(alice).fetch(0))
    read = []
    while piece := now(pieces.read()):
        assert len(piece) <= PIECE + len(POSTMARK)
        read.append(piece)
    assert b"".join(read) == POSTMARK + body + b"\r\n"
    assert now(pieces.read()) == b""
    pieces.close()
    pieces.close()
    with pytest.raises(TemporaryFailure):
        now(pieces.read())


def test_parcel_that_is_missing(office, alice):
    """A parcel that cannot be read is a temporary failure, not an empty letter."""
    office.deliver(b"x" * (ROW + 1), alice)
    for path in office.path.with_name("mail.db.parcels").iterdir():
        path.unlink()
    with pytest.raises(TemporaryFailure, match="cannot be read"):
        now(office.open(alice).fetch(0))


def test_parcel_that_has_become_shorter(office, alice):
    """A parcel that ends before its end is a temporary failure, not a shorter letter."""
    office.deliver(b"x" * (3 * PIECE), alice)
    pieces = now(office.open(alice).fetch(0))
    (path,) = office.path.with_name("mail.db.parcels").iterdir()
    os.truncate(path, PIECE)
    assert len(now(pieces.read())) == PIECE + len(POSTMARK)
    with pytest.raises(TemporaryFailure, match="shorter"):
        now(pieces.read())


def test_a_parcel_in_memory_takes_few_hops(office, alice):
    """What the system has in memory is read without a hop, but only a few pieces in a row."""
    octets = os.urandom((2 * IN_A_ROW + 3) * PIECE)
    office.deliver(octets, alice)
    snapshot = office.open(alice)
    hops = office.hops
    pieces = now(snapshot.fetch(0))
    assert b"".join(iter(lambda: now(pieces.read()), b"")) == POSTMARK + octets + b"\r\n"
    # The first of each row is read in a thread: one, and IN_A_ROW without, twice; then the last.
    assert office.hops - hops == 3
    pieces.close()


@pytest.mark.parametrize(
    "error", [BlockingIOError(errno.EAGAIN, "not there"), OSError(errno.EOPNOTSUPP, "never")]
)
def test_a_parcel_on_the_disk_is_read_in_a_thread(office, alice, error, monkeypatch):
    """Nobody waits for the disk in the reactor's thread, nor for a file system that cannot tell."""
    octets = os.urandom(3 * PIECE)
    office.deliver(octets, alice)
    snapshot = office.open(alice)
    hops = office.hops
    monkeypatch.setattr(os, "preadv", Mock(side_effect=error))
    pieces = now(snapshot.fetch(0))
    assert b"".join(iter(lambda: now(pieces.read()), b"")) == POSTMARK + octets + b"\r\n"
    assert office.hops - hops == 3
    pieces.close()


def test_a_parcel_partly_in_memory(office, alice, monkeypatch):
    """Where less comes than was asked for, the rest is read next."""
    octets = os.urandom(PIECE + 100_000)
    office.deliver(octets, alice)

    def some(file, buffers, place, flags):
        return real(file, [memoryview(buffers[0])[:4096]], place, flags)

    real = os.preadv
    monkeypatch.setattr(os, "preadv", some)
    pieces = now(office.open(alice).fetch(0))
    assert b"".join(iter(lambda: now(pieces.read()), b"")) == POSTMARK + octets + b"\r\n"
    pieces.close()


def test_letters_taken_from_under_a_session(office, many):
    """Letters that are not there any more fail one by one; the others are read."""
    snapshot = office.open(many)
    office.ledger._writer._db.execute("DELETE FROM entry WHERE number IN (1, 3)")
    with pytest.raises(TemporaryFailure):
        office.fetch(snapshot, 0)
    assert office.fetch(snapshot, 1) == POSTMARK + b"1\r\n"
    with pytest.raises(TemporaryFailure):
        office.fetch(snapshot, 2)
    assert office.fetch(snapshot, 3) == POSTMARK + b"3\r\n"


def test_store_that_cannot_be_read(office, many):
    """A maildrop that cannot be opened is a temporary failure, and is not left locked."""
    snapshot = office.open(many)
    office.store._readers.close()
    with pytest.raises(TemporaryFailure):
        now(snapshot.fetch(0))
    snapshot.close()
    with pytest.raises(TemporaryFailure):
        office.open(many)
    office.restart()
    office.open(many).close()


def test_idle_session_is_small(office, alice):
    """A session that waits, of a maildrop with a few letters, holds less than a kilobyte."""
    for _ in range(10):
        office.deliver(b"x\r\n", alice)
    snapshot = office.open(alice)
    places = snapshot
    parts = [snapshot, places, places.numbers, places.sizes]
    assert sum(map(sys.getsizeof, parts)) < 1024


def test_hundred_thousand_letters(office, alice):
    """A maildrop of 100,000 letters opens in a moment and costs few octets a letter."""
    office.ledger._writer._db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        " INSERT INTO entry (maildrop, number, letter, octets, arrived, postmark)"
        " SELECT ?, i, i, 1000 + i % 5000, 0, x'' FROM n",
        (alice.maildrop,),
    )
    begun = time.perf_counter()
    snapshot = office.open(alice)
    took = time.perf_counter() - begun
    assert len(snapshot.sizes) == 100_000
    assert snapshot.uidl(99_999).endswith(b".186a0")
    assert sys.getsizeof(snapshot.sizes) + sys.getsizeof(snapshot.numbers) < 900_000
    assert took < 0.5  # some 35 ms; a busy machine may take longer


def test_maildrop_that_cannot_be_listed(office, alice):
    """Where even a short look fails the maildrop is not left locked."""
    office.store._finder.close()
    maildrop = office.store.maildrop(alice)
    for _ in range(2):
        with pytest.raises(TemporaryFailure):
            maildrop.open()
