"""How much a maildrop may hold."""

import apsw
import pytest

from mailpost.envelope import Copy, Destination, Envelope, Group, Report, Traits
from mailpost.outcome import Delivered
from mailpost.store import NoSuchName
from mailpost.store.changes import INTERVAL
from mailpost.store.quotas import POSTMARK as MARGIN
from mailpost.store.quotas import Quotas

from .conftest import POSTMARK, Office, now

HUNDRED = b"x" * (98 - len(POSTMARK)) + b"\r\n"  # with its postmark 100 octets
FULL = "452 4.2.2"


@pytest.fixture
def office(tmp_path):
    """An office in which a maildrop may hold 1000 octets."""
    office = Office(tmp_path / "mail.db", quota=1000)
    office.store._changes.start()
    yield office
    office.store.close()


@pytest.fixture
def carol(office):
    return office.accounts.add("carol", "hash")


def set_quota(office, account, octets):
    office.store.keeping.set_quota(account, octets)
    office.clock.advance(INTERVAL)


def held(office, account):
    return office.rows("SELECT octets FROM maildrop WHERE maildrop = ?", account.maildrop)[0][0]


def codes(outcomes):
    return [
        250 if isinstance(outcome, Delivered) else f"{outcome.reply.code} {outcome.reply.enhanced}"
        for outcome in now(outcomes)
    ]


def deliver(office, *accounts, body=HUNDRED, **options):
    return codes(office.deliver(body, *accounts, **options))


def room(office, *accounts, octets=100, always=False):
    to = tuple(Destination(account.maildrop, account.name, always) for account in accounts)
    sorted_to = to[0] if len(to) == 1 else Group(to)
    return office.store.delivery.room_for(sorted_to, octets)


def test_a_maildrop_is_filled_to_its_quota_and_no_further(office, alice):
    """To the octet; what does not fit is put off, and fits again when something has gone."""
    for _ in range(10):
        assert deliver(office, alice) == [250]
    assert held(office, alice) == 1000
    assert deliver(office, alice, body=b"\r\n") == [FULL]
    office.let_go(alice, 0)
    office.store.sweeper.start()
    office.store.sweeper.search()
    while office.turn() or held(office, alice) == 1000:
        office.clock.advance(1)
    assert deliver(office, alice) == [250]
    assert deliver(office, alice) == [FULL]
    assert len(office.letters(alice)) == 10


def test_letters_that_come_at_the_same_time(office, alice, bob):
    """They do not go beyond it together, in one transaction or in several; others do not suffer."""
    committed = [office.commit(HUNDRED, to) for _ in range(15) for to in (alice, bob)]
    office.turn()
    outcomes = [codes(one)[0] for one in committed]
    assert outcomes[0::2].count(250) == outcomes[1::2].count(250) == 10
    assert held(office, alice) == held(office, bob) == 1000


def test_lmtp_decides_for_each(office, alice, bob):
    """Whose maildrop is full is put off, the others have it."""
    for _ in range(10):
        deliver(office, alice)
    assert deliver(office, alice, bob, atomic=False) == [FULL, 250]
    assert (held(office, alice), held(office, bob)) == (1000, 100)


def test_smtp_decides_for_all(office, alice, bob):
    """Nobody goes without a letter since another one's maildrop lacks room: that one goes beyond it, once."""
    for _ in range(9):
        deliver(office, alice)
    large = b"y" * 148 + b"\r\n"
    assert deliver(office, alice, bob, body=large) == [250, 250]
    assert held(office, alice) == 900 + 150 + len(POSTMARK)
    assert deliver(office, alice, bob, body=large) == [FULL, FULL]
    assert deliver(office, alice) == [FULL]
    assert held(office, bob) == 150 + len(POSTMARK)
    assert deliver(office, bob) == [250]


def test_smtp_where_nobody_has_room(office, alice, bob):
    """Then nobody goes beyond."""
    huge = b"y" * 1000 + b"\r\n"
    assert deliver(office, alice, bob, body=huge) == [FULL, FULL]
    assert deliver(office, alice, body=huge) == [FULL]
    assert held(office, alice) == 0


def test_what_always_comes_in(office, alice, bob):
    """Postmaster's letters, those of a group, and the office's own reports do, however full it is."""
    for _ in range(10):
        deliver(office, alice)
    draft = office.draft(HUNDRED)
    copies = [Copy(alice.maildrop, POSTMARK, always=True), Copy(bob.maildrop, POSTMARK)]
    kept = draft.commit(Envelope("t", None), copies, Traits(), atomic=True)
    office.turn()
    assert codes(kept) == [250, 250]
    report = Report(
        Envelope("r", None), (Copy(alice.maildrop, POSTMARK, always=True),), HUNDRED, Traits()
    )
    kept = office.draft(HUNDRED).commit(
        Envelope("t", None), [Copy(bob.maildrop, POSTMARK)], Traits(), atomic=True, report=report
    )
    office.turn()
    assert codes(kept) == [250, 250]
    assert held(office, alice) == 1200


def test_a_report_on_a_letter_that_is_put_off(office, alice, bob):
    """There is neither."""
    for _ in range(10):
        deliver(office, alice)
    report = Report(
        Envelope("r", None), (Copy(bob.maildrop, POSTMARK, always=True),), HUNDRED, Traits()
    )
    kept = office.draft(HUNDRED).commit(
        Envelope("t", None), [Copy(alice.maildrop, POSTMARK)], Traits(), atomic=True, report=report
    )
    office.turn()
    assert codes(kept)[0] == FULL
    assert held(office, bob) == 0


def test_a_quota_of_its_own(office, alice, bob, carol):
    """More, none at all, or again the office's."""
    set_quota(office, alice, 2000)
    set_quota(office, bob, 0)
    for _ in range(10):
        deliver(office, alice)
        deliver(office, bob)
    assert deliver(office, alice) == deliver(office, bob) == [250]
    set_quota(office, bob, None)
    assert deliver(office, bob) == [FULL]
    assert deliver(office, alice, body=b"z" * 900 + b"\r\n") == [FULL]
    assert [(one.account, one.quota) for one in office.store.keeping.all()] == [
        ("alice", 2000),
        ("bob", None),
        ("carol", None),
        ("postmaster", None),
    ]
    office.accounts.remove("carol")
    office.ledger._writer._db.execute("DELETE FROM maildrop WHERE maildrop = ?", (carol.maildrop,))
    with pytest.raises(NoSuchName):
        office.store.keeping.set_quota(carol, 1)


def test_a_parcel(office, alice):
    """What does not fit leaves no file behind."""
    set_quota(office, alice, 150_000)
    assert deliver(office, alice, body=b"p" * 120_000 + b"\r\n") == [250]
    assert deliver(office, alice, body=b"p" * 120_000 + b"\r\n") == [FULL]
    assert len(list(office.path.with_name("mail.db.parcels").iterdir())) == 1


def test_room_at_rcpt(office, alice, bob, carol):
    """By the size that is announced, and the postmark; a group has room where one of its maildrops has."""
    assert room(office, alice, octets=1000 - MARGIN)
    assert not room(office, alice, octets=1001 - MARGIN)
    for _ in range(10):
        deliver(office, alice)
    assert not room(office, alice, octets=0)
    assert room(office, alice, octets=0, always=True)
    assert room(office, alice, bob, octets=0)
    assert not room(office, alice, bob, octets=10_000)
    set_quota(office, carol, 0)
    assert room(office, alice, carol, octets=10_000)
    office.accounts.remove("carol")
    assert room(office, carol, octets=10_000)  # the commit will tell


def test_an_office_without_quotas_is_not_asked(tmp_path):
    """Not before there is one, which is noticed within a second."""
    office = Office(tmp_path / "mail.db")
    office.store._changes.start()
    alice = office.accounts.add("alice")
    executed = []
    quotas = office.store.delivery.quotas
    assert not quotas.any
    office.store._finder.exec_trace = lambda *told: bool(executed.append(told)) or True
    assert room(office, alice, octets=1 << 40)
    assert executed == []
    office.store.keeping.set_quota(alice, 100)
    office.clock.advance(INTERVAL)
    assert not room(office, alice)
    set_quota(office, alice, None)
    executed.clear()
    assert room(office, alice)
    assert executed == []
    office.store.close()


def test_a_store_that_cannot_be_read(office, alice):
    """The commit will tell whether there is room."""
    broken = apsw.Connection(":memory:")
    quotas = Quotas.__new__(Quotas)
    quotas._db, quotas.any, quotas.default = broken, True, 1
    assert quotas.room_for(Destination(alice.maildrop, "alice"), 1 << 40)
