"""Letters come in: small ones into rows, large ones as parcels, each outcome its copy's own."""

import errno
import hashlib
import os

import apsw
import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from mailpost.envelope import Address, Copy, Envelope, Report, Traits
from mailpost.interfaces import IDelivery, ILetterDraft
from mailpost.outcome import Delivered
from mailpost.store import parcels, posting
from mailpost.store.delivery import ROW
from mailpost.store.parcelstream import PORTION
from mailpost.store.posting import SMALL
from mailpost.store.space import FRESH
from mailpost.wire import reply

from .conftest import POSTMARK, Office, now

GONE = 999


def codes(outcomes):
    return [outcome.reply.code for outcome in outcomes]


def parcel_files(office):
    return sorted(path.name for path in office.path.with_name("mail.db.parcels").iterdir())


def test_interfaces(office):
    """Delivery and draft keep their contracts."""
    assert verifyObject(IDelivery, office.store.delivery)
    assert verifyObject(ILetterDraft, office.store.delivery.begin())


@pytest.mark.parametrize(
    "size", [0, 1, 4096, SMALL, SMALL + 1, ROW - 1, ROW, ROW + 1, PORTION, 3 * PORTION + 5]
)
def test_octet_for_octet(office, alice, size):
    """What comes out is the postmark and what went in, of any size, with its digest kept."""
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert codes(office.deliver(body, alice, traits=Traits(final_crlf=True))) == [250]
    assert office.letters(alice) == [POSTMARK + body]
    ((octets, digest),) = office.rows("SELECT octets, digest FROM letter")
    assert (octets, digest) == (size, hashlib.sha256(body).digest())
    assert len(parcel_files(office)) == (size > ROW)


@pytest.mark.parametrize("size", [5, ROW, ROW + 1])
def test_missing_final_crlf_is_added_when_collected(office, alice, size):
    """A body that does not end with CRLF is kept as it came, and collected with one; sizes agree."""
    office.deliver(b"x" * size, alice)
    assert office.letters(alice) == [POSTMARK + b"x" * size + b"\r\n"]
    assert list(office.open(alice).sizes) == [len(POSTMARK) + size + 2]


def test_what_is_kept_of_the_envelope(office, alice):
    """Trace id, reverse-path and what was seen of the octets stand in the letter's row."""
    for path in (Address("me", "example.org"), None):
        office.store.delivery.begin().commit(
            Envelope("trace", path),
            [Copy(alice.maildrop, b"")],
            Traits(eight_bit=True, utf8=True, final_crlf=False),
            atomic=True,
        )
    office.turn()
    rows = office.rows("SELECT trace, reverse_path, flags, copies FROM letter ORDER BY letter")
    assert rows == [("trace", "me@example.org", 7, 1), ("trace", None, 7, 1)]


def test_one_letter_many_copies(office, alice, bob):
    """A letter is kept once; each copy has its own postmark and number."""
    draft = office.draft(b"hello\r\n")
    copies = [Copy(alice.maildrop, b"To: a\r\n"), Copy(bob.maildrop, b"To: b\r\n")]
    outcomes = draft.commit(Envelope("t", None), copies, Traits(), atomic=True)
    office.turn()
    assert codes(now(outcomes)) == [250, 250]
    assert office.letters(alice) == [b"To: a\r\nhello\r\n"]
    assert office.letters(bob) == [b"To: b\r\nhello\r\n"]
    assert office.rows("SELECT count(*) FROM body") == [(1,)]
    assert office.rows("SELECT letters, octets FROM maildrop WHERE letters > 0") == [(1, 14)] * 2


def test_same_maildrop_twice(office, alice):
    """Whoever names a maildrop twice gets two copies, under two numbers."""
    assert codes(office.deliver(b"hello\r\n", alice, alice)) == [250, 250]
    snapshot = office.open(alice)
    assert snapshot.uidl(0) != snapshot.uidl(1)


def test_thousand_recipients(office):
    """A letter may have very many copies."""
    accounts = [office.accounts.add(f"pupil{n}", None) for n in range(1000)]
    assert codes(office.deliver(b"hello\r\n", *accounts)) == [250] * 1000
    assert office.letters(accounts[-1]) == [POSTMARK + b"hello\r\n"]


@pytest.mark.parametrize("size", [10, ROW + 1])
def test_atomic_all_or_none(office, alice, bob, size):
    """Over SMTP a maildrop that has gone makes all try later, and nothing is kept."""
    outcomes = office.deliver(b"x" * size, alice, GONE, bob, atomic=True)
    assert codes(outcomes) == [451, 451, 451]
    assert office.letters(alice) == office.letters(bob) == []
    assert office.rows("SELECT count(*) FROM letter") == [(0,)]
    assert parcel_files(office) == []


@pytest.mark.parametrize("size", [10, ROW + 1])
def test_each_for_itself(office, alice, bob, size):
    """Over LMTP those that can be stored are, and the one that has gone is refused."""
    outcomes = office.deliver(b"x" * size, alice, GONE, bob, atomic=False)
    assert codes(outcomes) == [250, 550, 250]
    assert outcomes[1].reply == reply.NO_SUCH_USER
    assert len(office.letters(alice)) == len(office.letters(bob)) == 1
    assert office.rows("SELECT copies FROM letter") == [(2,)]


def test_nobody_left(office):
    """A letter whose recipients have all gone is not kept."""
    assert codes(office.deliver(b"x" * (ROW + 1), GONE, atomic=False)) == [550]
    assert office.rows("SELECT count(*) FROM letter") == [(0,)]
    assert parcel_files(office) == []


def test_maildrop_gone_harms_no_neighbour(office, alice):
    """Letters of the same turn do not feel that one of them could not be stored."""
    waiting = [office.commit(b"1\r\n", alice), office.commit(b"2\r\n", alice, GONE)]
    waiting.append(office.commit(b"3\r\n", alice))
    office.turn()
    assert [codes(now(each)) for each in waiting] == [[250], [451, 451], [250]]


def test_closed_maildrop_takes_nothing(office, alice):
    """Once an account is removed no letter gets in, though its maildrop is yet to be swept."""
    office.deliver(b"old\r\n", alice)
    office.accounts.remove("alice")
    assert codes(office.deliver(b"new\r\n", alice)) == [451]


@pytest.mark.parametrize("size", [10, ROW + 1, PORTION + 1])
def test_abort_leaves_nothing(office, alice, size):
    """A draft that is aborted, twice even, was never there."""
    draft = office.draft(b"x" * size)
    draft.abort()
    draft.abort()
    office.turn()
    assert parcel_files(office) == []
    assert office.letters(alice) == []


def test_abort_after_commit_is_harmless(office, alice):
    """A session that ends after its letter was accepted cannot take it back."""
    draft = office.draft(b"x" * (ROW + 1))
    outcomes = draft.commit(Envelope("t", None), [Copy(alice.maildrop, b"")], Traits(), atomic=True)
    draft.abort()
    office.turn()
    assert codes(now(outcomes)) == [250]
    assert len(office.letters(alice)) == 1


def test_parcel_is_durable_before_its_row(office, alice, monkeypatch):
    """Write, rename, sync, sync the folder - then the row, then the answer."""
    done = []

    def watched(module, name, label):
        real = getattr(module, name)

        def watch(*args):
            done.append(label(*args))
            return real(*args)

        monkeypatch.setattr(module, name, watch)

    watched(os, "writev", lambda *_: "write")
    watched(os, "fsync", lambda *_: "sync")
    watched(type(office.path), "rename", lambda *_: "rename")
    watched(parcels, "sync_folder", lambda *_: "sync folder:")
    watched(office.ledger._writer, "perform", lambda *_: "row")
    office.deliver(b"x" * (ROW + 1), alice)
    assert done == ["write", "rename", "sync", "sync folder:", "sync", "row"]


@pytest.mark.parametrize("broken", ["writev", "fsync"])
@pytest.mark.parametrize(("error", "code"), [(errno.ENOSPC, 452), (errno.EIO, 451)])
def test_parcel_that_cannot_be_written(office, alice, monkeypatch, broken, error, code):
    """A disk that fails under a parcel makes the letter try later, and nothing is left."""

    def fail(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, broken, fail)
    assert codes(office.deliver(b"x" * (PORTION + ROW), alice)) == [code]
    monkeypatch.undo()
    assert parcel_files(office) == []
    assert office.letters(alice) == []


def test_parcel_is_kept_over_short_writes(office, alice, monkeypatch):
    """A system that writes less than it was given is given the rest."""
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda file, parts: writev(file, [parts[0][:1000]]))
    body = os.urandom(ROW + 5000)
    office.deliver(body, alice, traits=Traits())
    assert office.letters(alice) == [POSTMARK + body]


@pytest.mark.parametrize("octets", [1, 1000, parcels.TOGETHER, 70_000])
def test_digest_of_parcel(tmp_path, octets):
    """It is that of the whole, however large the chunks are in which it comes."""
    body = os.urandom(150_000)
    folder = parcels.Parcels(tmp_path / "parcels", "deadbeef")
    file = folder.begin()
    for portion in (body[:100_000], body[100_000:]):
        file.write([portion[at : at + octets] for at in range(0, len(portion), octets)])
    assert file.keep() == hashlib.sha256(body).digest()
    assert (folder.folder / file.name).read_bytes() == body


def test_the_disk_begins_while_a_large_parcel_arrives(office, alice, monkeypatch):
    """It is told so now and then; a parcel that is soon there is left to its sync."""
    begun = []
    begin = parcels.begin_to_write
    monkeypatch.setattr(parcels, "begin_to_write", lambda file: (begun.append(file), begin(file)))
    for octets, times in ((ROW + 1, 0), (parcels.EARLY - 1, 0), (5 * parcels.EARLY // 2, 2)):
        body = os.urandom(octets)
        del begun[:]
        office.deliver(body, alice, traits=Traits())
        assert len(begun) == times
        assert office.letters(alice)[-1] == POSTMARK + body


def test_a_system_that_cannot_begin_early(office, alice, monkeypatch):
    """Where the call is missing the sync does all of it."""
    monkeypatch.setattr(parcels, "_sync_file_range", None)
    body = os.urandom(2 * parcels.EARLY)
    assert codes(office.deliver(body, alice, traits=Traits())) == [250]
    assert office.letters(alice) == [POSTMARK + body]


class Slow(Office):
    """An office whose disk does nothing until it is told to."""

    def __init__(self, path):
        self.waiting = []
        super().__init__(path)

    def _hop(self, function, *args, **kwargs):
        done = Deferred()
        self.waiting.append((done, function, args))
        return done

    def work(self):
        while self.waiting:
            done, function, args = self.waiting.pop(0)
            done.callback(function(*args))


@pytest.fixture
def slow(tmp_path):
    office = Slow(tmp_path / "mail.db")
    yield office
    office.store.close()


def test_writer_is_told_to_wait(slow):
    """While the disk is behind no more than two portions are held, and the writer waits."""
    alice = slow.accounts.add("alice", None)
    draft = slow.store.delivery.begin()
    chunk = os.urandom(PORTION // 4)
    sent = []
    while (behind := draft.write(chunk)) is None:
        sent.append(chunk)
    sent.append(chunk)
    assert len(sent) == 8
    assert len(slow.waiting) == 1
    assert draft.write(b"") is behind
    slow.work()
    assert behind.called
    outcomes = draft.commit(Envelope("t", None), [Copy(alice.maildrop, b"")], Traits(), atomic=True)
    slow.work()
    slow.turn()
    assert [type(outcome) for outcome in now(outcomes)] == [Delivered]
    (row,) = slow.rows("SELECT octets, digest FROM letter")
    assert row == (8 * len(chunk), hashlib.sha256(b"".join(sent)).digest())


def test_abort_while_the_disk_is_at_work(slow):
    """An aborted parcel is removed when the disk is through with it, and whoever waits goes on."""
    draft = slow.store.delivery.begin()
    while (behind := draft.write(b"x" * PORTION)) is None:
        pass
    draft.abort()
    slow.work()
    assert behind.called
    assert parcel_files(slow) == []


def test_intake_goes_on_where_writing_failed(slow):
    """A failed write is told by commit alone: what still arrives is taken and forgotten."""
    draft = slow.store.delivery.begin()
    while (behind := draft.write(b"x" * PORTION)) is None:
        pass
    done, _, _ = slow.waiting.pop(0)
    done.errback(OSError(errno.EIO, "broken"))
    assert behind.called
    assert draft.write(b"x" * PORTION) is None
    assert slow.waiting == []
    outcomes = draft.commit(Envelope("t", None), [Copy(1, b"")], Traits(), atomic=True)
    slow.work()
    assert codes(now(outcomes)) == [451]
    assert parcel_files(slow) == []


def test_parcel_stops_at_the_reserve(office, alice):
    """A long letter does not eat the reserve of free disk: it is answered 452, and leaves nothing."""
    draft = office.draft(b"x" * (ROW + 1))
    office.store.space.reserve = 1 << 62
    office.clock.advance(FRESH)
    draft.write(b"x" * PORTION)
    outcomes = draft.commit(Envelope("t", None), [Copy(alice.maildrop, b"")], Traits(), atomic=True)
    assert codes(now(outcomes)) == [452]
    assert parcel_files(office) == []


REPORT = b"Subject: delivered\r\n\r\n"


def commit_both(office, body, sender, *accounts, atomic=True):
    """Commit a letter and a report on it, take a turn; the outcomes."""
    copies = [Copy(getattr(account, "maildrop", account), b"") for account in accounts]
    senders = sender if isinstance(sender, tuple) else (sender,)
    to = tuple(Copy(getattr(one, "maildrop", one), POSTMARK) for one in senders)
    report = Report(Envelope("r1", None), to, REPORT, Traits(utf8=True))
    me = Address("me", "example.org")
    outcomes = office.draft(body).commit(
        Envelope("t1", me), copies, Traits(), atomic=atomic, report=report
    )
    office.turn()
    return now(outcomes)


@pytest.mark.parametrize("size", [10, ROW + 1])
@pytest.mark.parametrize("copies", [1, 2, 16, 17, 24])
def test_a_report_is_kept_with_its_letter(office, alice, bob, size, copies, monkeypatch):
    """Letter and report are two letters of one transaction, whichever way the letter's body is kept."""
    turns = []
    perform = office.ledger._writer.perform
    monkeypatch.setattr(
        office.ledger._writer, "perform", lambda given: turns.append(len(given)) or perform(given)
    )
    outcomes = commit_both(office, b"x" * size, alice, *[bob] * copies)
    assert codes(outcomes) == [250] * (copies + 1)
    assert turns == [1]
    assert office.letters(alice) == [POSTMARK + REPORT]
    assert office.letters(bob) == [b"x" * size] * copies
    rows = office.rows("SELECT trace, reverse_path, flags, copies FROM letter ORDER BY letter")
    assert rows == [("t1", "me@example.org", 0, copies), ("r1", None, 2, 1)]


def test_a_report_to_oneself(office, alice):
    """Who writes to themselves has the letter, then the report."""
    commit_both(office, b"x\r\n", alice, alice)
    assert office.letters(alice) == [b"x\r\n", POSTMARK + REPORT]


@pytest.mark.parametrize("size", [10, ROW + 1])
def test_a_report_for_nobody(office, bob, size):
    """Where the sender's maildrop has gone, the letter is kept without the report."""
    outcomes = commit_both(office, b"x" * size, GONE, bob)
    assert codes(outcomes) == [250, 550]
    assert office.letters(bob) == [b"x" * size]
    assert office.rows("SELECT trace FROM letter") == [("t1",)]


def test_a_report_to_a_group(office, alice, bob):
    """A report for several is one letter with a copy for each; one that has gone costs nobody theirs."""
    carol = office.accounts.add("carol", "hash")
    assert codes(commit_both(office, b"x\r\n", (alice, bob), carol)) == [250] * 3
    assert codes(commit_both(office, b"y\r\n", (GONE, bob), carol)) == [250, 550, 250]
    assert office.letters(alice) == [POSTMARK + REPORT]
    assert office.letters(bob) == [POSTMARK + REPORT] * 2
    assert office.letters(carol) == [b"x\r\n", b"y\r\n"]
    assert office.rows("SELECT trace, copies FROM letter ORDER BY letter") == [
        ("t1", 1),
        ("r1", 2),
        ("t1", 1),
        ("r1", 1),
    ]


@pytest.mark.parametrize("size", [10, ROW + 1])
def test_no_report_without_its_letter(office, alice, bob, size):
    """A letter that is not kept is not reported."""
    outcomes = commit_both(office, b"x" * size, (alice, bob), bob, GONE)
    assert codes(outcomes) == [451] * 4
    assert office.letters(alice) == office.letters(bob) == []
    assert office.rows("SELECT count(*) FROM letter") == [(0,)]
    assert parcel_files(office) == []


@pytest.mark.parametrize("reported", [False, True])
def test_half_a_letter_is_never_kept(office, alice, monkeypatch, reported):
    """Where a maildrop is missing the others may need two statements: they are one transaction."""
    each = posting.sql.each

    def fails_at_the_second(execute, statement, values):
        done = []

        def once(*given):
            if done:
                raise apsw.FullError
            done.append(given)
            return execute(*given)

        each(once, statement, values)

    monkeypatch.setattr(posting.sql, "each", fails_at_the_second)
    if reported:
        outcomes = commit_both(office, b"x\r\n", GONE, *[alice] * 23)
    else:
        outcomes = office.deliver(b"x\r\n", *[alice] * 23, GONE, atomic=False)
    assert codes(outcomes) == [452] * 24
    assert office.letters(alice) == []
