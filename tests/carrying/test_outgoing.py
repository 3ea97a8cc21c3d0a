"""Carrying away what a view shows."""

from __future__ import annotations

import pytest

from mailpost.carrying.outgoing import carry
from mailpost.store.delivery import ROW
from tests.store.conftest import POSTMARK, Office, now


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    yield office
    office.store.close()


class Heap:
    """A target in memory."""

    def __init__(self):
        self.letters = {}
        self.finished = 0

    def has(self, letter):
        return letter.uidl in self.letters

    def put(self, letter, pieces):
        self.letters[letter.uidl] = b"".join(pieces())

    def finish(self):
        self.finished += 1


def test_what_a_view_shows(office):
    """Each letter as a session collects it, by its unique-id: in a row or a parcel, with the final CRLF."""
    alice = office.accounts.add("alice", None)
    for body in (b"gone\r\n", b"no end", b"x" * ROW + b"\r\n.\r\n"):
        office.deliver(body, alice)
    office.let_go(alice, 0)
    heap, steps = Heap(), []
    carried = carry(office.store.contents(alice), heap, steps.append)
    snapshot = now(office.store.maildrop(alice).open())
    expected = {snapshot.uidl(index).decode(): office.fetch(snapshot, index) for index in range(2)}
    snapshot.close()
    assert heap.letters == expected
    assert (carried.written, carried.there, carried.gone) == (2, 0, [])
    assert carried.octets == sum(steps) == sum(map(len, expected.values()))
    assert heap.finished == 1
    again = carry(office.store.contents(alice), heap, steps.append)
    assert (again.written, again.there) == (0, 2)


def test_a_letter_that_is_taken_away_meanwhile(office):
    """It is told; the others come."""
    alice = office.accounts.add("alice", None)
    for body in (b"1\r\n", b"2\r\n"):
        office.deliver(body, alice)
    contents = office.store.contents(alice)
    office.let_go(alice, 0)
    office.store.sweeper.start()
    for _ in range(10):
        office.turn()
        office.clock.advance(1)
    heap = Heap()
    carried = carry(contents, heap, lambda _: None)
    assert list(heap.letters.values()) == [POSTMARK + b"2\r\n"]
    assert carried.gone == [contents.letters[0].uidl]
