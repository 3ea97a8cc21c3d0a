"""An office for the tests of the store: everything happens at once, in the test's own thread."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from mailpost.envelope import Copy, Envelope, Traits
from mailpost.interfaces import IPieces
from mailpost.store import Policy, create_store, open_store

POSTMARK = b"Return-Path: <>\r\n"


def now(answer):
    """What a Deferred has fired with, or what was no Deferred at all."""
    if not isinstance(answer, Deferred):
        return answer
    results = []
    answer.addBoth(results.append)
    assert results, "it has not fired"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


class Office:
    """A store whose threads are the test itself; ``turn`` is one turn of the ledger."""

    def __init__(self, path, *, create=True, **settings):
        self.path = path
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.hops = 0
        self.calls = 0
        if create and not path.exists():
            create_store(path)
        self.settings = {"bin_keeps": 0, **settings}  # most tests look at what is left
        self.open_store()

    def open_store(self):
        self.store = open_store(
            self.path,
            clock=self.clock,
            call_in_reactor=self._call,
            defer_to_thread=self._hop,
            policy=Policy(**self.settings),
        )
        self.ledger = self.store.ledger
        self.accounts = self.store.accounts

    def _call(self, function, *args):
        self.calls += 1
        function(*args)

    def _hop(self, function, *args, **kwargs):
        self.hops += 1
        return execute(function, *args, **kwargs)

    def turn(self):
        while self.ledger.turn():
            pass

    def draft(self, body):
        draft = self.store.delivery.begin()
        for start in range(0, len(body), 50_000):
            now(draft.write(body[start : start + 50_000]))
        return draft

    def commit(self, body, *accounts, atomic=True, traits=None, postmark=POSTMARK, trace="t1"):
        copies = [Copy(getattr(account, "maildrop", account), postmark) for account in accounts]
        whole = Traits(final_crlf=not body or body.endswith(b"\r\n"))
        return self.draft(body).commit(
            Envelope(trace, None), copies, traits or whole, atomic=atomic
        )

    def deliver(self, body, *accounts, **options):
        """Commit a letter, take a turn; the outcomes."""
        outcomes = self.commit(body, *accounts, **options)
        self.turn()
        return now(outcomes)

    def open(self, account):
        return now(self.store.maildrop(account).open())

    def letters(self, account):
        """Every letter, whole, as a session sees it."""
        snapshot = self.open(account)
        try:
            return [self.fetch(snapshot, index) for index in range(len(snapshot.sizes))]
        finally:
            snapshot.close()

    def fetch(self, snapshot, index):
        letter = now(snapshot.fetch(index))
        if isinstance(letter, bytes):
            return letter
        assert IPieces.providedBy(letter)
        pieces = []
        while piece := now(letter.read()):
            pieces.append(piece)
        letter.close()
        return b"".join(pieces)

    def let_go(self, account, *indexes):
        snapshot = self.open(account)
        going = snapshot.let_go(indexes)
        self.turn()
        now(going)
        snapshot.close()

    def rows(self, statement, *values):
        return self.store._finder.execute(statement, values).fetchall()

    def restart(self):
        self.store.close()
        self.open_store()


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    yield office
    office.store.close()


@pytest.fixture
def alice(office):
    return office.accounts.add("alice", "hash")


@pytest.fixture
def bob(office):
    return office.accounts.add("bob", "hash")
