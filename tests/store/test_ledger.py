"""The ledger: many operations, one commit, each its own answer."""

import errno
import threading

import pytest
from twisted.internet.defer import Deferred

from mailpost.outcome import TemporaryFailure
from mailpost.store.ledger import BATCH
from mailpost.store.writer import Anew, Operation

from .conftest import Office, now


class Note(Operation):
    """Writes a name; a bad one breaks the rules of the table."""

    def __init__(self, name):
        self.name = name

    @classmethod
    def apply(cls, db, operations):
        for note in operations:
            db.execute("INSERT INTO office VALUES (?, ?)", (note.name, ""))
        return [note.name for note in operations]


class Broken(Operation):
    """Fails in a way nobody thought of."""

    @classmethod
    def apply(cls, db, operations):
        db.execute("INSERT INTO office VALUES ('half', 'done')")
        raise ZeroDivisionError


def notes(office):
    known = {"epoch", "secret", "iterations"}
    return {name for (name,) in office.rows("SELECT name FROM office")} - known


@pytest.fixture
def commits(office):
    """How often the database was committed."""
    counted = []
    office.ledger._writer._db.set_commit_hook(lambda: bool(counted.append(1)))
    return counted


def test_group_commit(office, commits):
    """All that waits is one transaction, and is answered by one call into the reactor."""
    office.calls = 0
    waiting = [office.ledger.submit(Note(f"n{n}")) for n in range(20)]
    assert not any(each.called for each in waiting)
    assert office.ledger.turn() == 20
    assert [now(each) for each in waiting] == [f"n{n}" for n in range(20)]
    assert len(commits) == 1
    assert office.calls == 1
    assert office.ledger.turn() == 0


def test_letters_of_a_turn_are_one_commit(office, alice, bob, commits):
    """However many letters wait, they are synced once."""
    waiting = [office.commit(b"hello\r\n", alice, bob) for _ in range(37)]
    assert office.ledger.turn() == 37
    assert len(commits) == 1
    assert all(now(each) for each in waiting)
    assert len(office.letters(alice)) == len(office.letters(bob)) == 37


def test_what_comes_while_another_process_writes_goes_along(office, commits, monkeypatch):
    """The turn is taken before the batch is, so that waiting for it makes a batch larger."""
    waiting = [office.ledger.submit(Note("before"))]
    monkeypatch.setattr(
        "mailpost.store.turns._wait",
        lambda _: waiting.append(office.ledger.submit(Note("meanwhile"))),
    )
    assert office.ledger.turn() == 2
    assert [now(each) for each in waiting] == ["before", "meanwhile"]
    assert len(commits) == 1


def test_a_turn_that_cannot_be_had(office, monkeypatch):
    """Whoever waits is told so, and may come again."""

    def no_locks(_):
        raise OSError(errno.ENOLCK, "no locks available")

    note = office.ledger.submit(Note("a"))
    with monkeypatch.context() as patched:
        patched.setattr("mailpost.store.turns._wait", no_locks)
        office.turn()
    with pytest.raises(TemporaryFailure, match="no locks"):
        now(note)
    again = office.ledger.submit(Note("a"))
    office.turn()
    assert now(again) == "a"


def test_bad_operation_harms_no_neighbour(office):
    """Where one of a batch fails the others are written, and it alone is told so."""
    good = [office.ledger.submit(Note(name)) for name in ("a", "b")]
    bad = office.ledger.submit(Note("epoch"))
    good.append(office.ledger.submit(Note("c")))
    office.turn()
    assert [now(each) for each in good] == ["a", "b", "c"]
    with pytest.raises(TemporaryFailure):
        now(bad)
    assert notes(office) == {"a", "b", "c"}


def test_unexpected_failure_is_undone(office):
    """An operation that breaks off leaves nothing half done."""
    broken = office.ledger.submit(Broken())
    note = office.ledger.submit(Note("a"))
    office.turn()
    with pytest.raises(TemporaryFailure, match="ZeroDivisionError"):
        now(broken)
    assert now(note) == "a"
    assert notes(office) == {"a"}


def test_queue_is_bounded(office, alice, monkeypatch):
    """Beyond its limit the ledger refuses at once, and a letter is told to come again."""
    monkeypatch.setattr(office.ledger, "_limit", 2)
    first, second = office.ledger.submit(Note("a")), office.ledger.submit(Note("b"))
    with pytest.raises(TemporaryFailure, match="too much waits"):
        now(office.ledger.submit(Note("c")))
    outcomes = now(office.commit(b"hello\r\n", alice, alice))
    assert [outcome.reply.code for outcome in outcomes] == [451, 451]
    office.turn()
    assert (now(first), now(second)) == ("a", "b")


def test_batches_are_bounded(office):
    """A turn takes so many and no more, so that nobody waits long."""
    waiting = [office.ledger.submit(Note(f"n{n}")) for n in range(BATCH + 1)]
    assert office.ledger.turn() == BATCH
    assert not waiting[-1].called
    assert office.ledger.turn() == 1
    assert waiting[-1].called


def test_close_writes_what_was_accepted(office):
    """What waits when the store is closed is written; what comes later is refused."""
    waiting = [office.ledger.submit(Note(f"n{n}")) for n in range(3)]
    office.store.close()
    assert [now(each) for each in waiting] == ["n0", "n1", "n2"]
    with pytest.raises(TemporaryFailure):
        now(office.ledger.submit(Note("late")))
    with pytest.raises(TemporaryFailure):
        office.ledger.run(Note("late"))
    assert office.ledger.turn() == 0


def test_run_without_thread(office):
    """The command line has no thread: what it runs is written when it returns, also what waited."""
    waiting = office.ledger.submit(Note("a"))
    assert office.ledger.run(Note("b")) == "b"
    assert now(waiting) == "a"
    with pytest.raises(TemporaryFailure):
        office.ledger.run(Note("b"))


class Threaded(Office):
    """An office whose ledger has its thread, and whose reactor is a queue."""

    def __init__(self, path):
        self.reactor = []
        self.rung = threading.Semaphore(0)
        super().__init__(path)
        self.ledger.start()

    def _call(self, function, *args):
        self.reactor.append((function, args))
        self.rung.release()

    def run_reactor_until(self, done):
        while not done():
            self.clock.advance(0)
            assert self.rung.acquire(timeout=10)
            function, args = self.reactor.pop(0)
            function(*args)


@pytest.fixture
def threaded(tmp_path):
    office = Threaded(tmp_path / "threaded.db")
    yield office
    office.store.close()


def test_thread_writes_and_the_reactor_is_told(threaded):
    """The thread writes; answers are given in the reactor's thread alone, once each."""
    here = threading.get_ident()
    answers = []
    waiting = [threaded.ledger.submit(Note(f"n{n}")) for n in range(500)]
    for each in waiting:
        assert isinstance(each, Deferred)
        each.addCallback(lambda name: answers.append((name, threading.get_ident())))
    threaded.run_reactor_until(lambda: len(answers) == 500)
    assert answers == [(f"n{n}", here) for n in range(500)]


def test_run_beside_the_thread(threaded):
    """A blocking caller is answered without the reactor, which may not even run."""
    assert threaded.ledger.run(Note("a")) == "a"
    with pytest.raises(TemporaryFailure):
        threaded.ledger.run(Note("a"))
    assert threaded.reactor == []


def test_close_drains_the_thread(threaded):
    """Closing waits for the thread; every answer is on its way to the reactor."""
    waiting = [threaded.ledger.submit(Note(f"n{n}")) for n in range(300)]
    threaded.store.close()
    threaded.run_reactor_until(lambda: all(each.called for each in waiting))
    threaded.open_store()
    assert len(notes(threaded)) == 300


def test_batch_gathers_until_the_reactor_is_through(office, monkeypatch):
    """Where several are busy the thread is rung once for all that came at once; alone, at once."""
    rung = []
    monkeypatch.setattr(office.ledger, "_ring", lambda: rung.append(1))
    monkeypatch.setattr(office.ledger, "_thread", object())
    office.ledger.submit(Note("a"))
    assert len(rung) == 1
    office.ledger.submit(Note("b"))
    office.ledger.turn()
    for n in range(10):
        office.ledger.submit(Note(f"n{n}"))
    assert len(rung) == 2
    office.clock.advance(0)
    assert len(rung) == 3
    office.ledger.turn()
    office.ledger.submit(Note("c"))
    office.ledger.turn()
    monkeypatch.undo()
    assert len(notes(office)) == 13


def test_operation_that_keeps_failing(office):
    """An operation that asks to be applied anew, again and again, is refused in the end."""

    class Undecided(Operation):
        @classmethod
        def apply(cls, db, operations):
            raise Anew

    undecided = office.ledger.submit(Undecided())
    office.turn()
    with pytest.raises(TemporaryFailure, match="Anew"):
        now(undecided)
