"""What the store holds in memory stays within its limits, whatever has been posted and read."""

import apsw

from mailpost.store import sql
from mailpost.store.sqlite import READER_CACHE, execute_large

LETTER = bytes(60_000)


SIZES = (1, 2, 5, 11, 16, 24, 32)
PAGES = 2_500_000  # octets: the writer may keep 2 MB of them, prepared statements the rest


def test_statements_hold_no_letters(office):
    """Batches of every size leave nothing of their letters with the statements that are kept for the next."""
    alice = office.accounts.add("alice")
    before = apsw.memory_used()
    for size in SIZES:
        for number in range(size):
            office.commit(LETTER, alice, trace=f"{size}.{number}")
        office.turn()
    assert apsw.memory_used() - before < PAGES < sum(SIZES) * len(LETTER) / 2


def test_statements_are_kept(office):
    """The next batch of the same size is not prepared anew."""
    db = office.store._finder
    db.execute("CREATE TEMP TABLE some (octets)")
    statement = sql.times("INSERT INTO some VALUES (?)", 3)
    execute_large(db, statement, [LETTER] * 3)
    before = db.cache_stats()
    for _ in range(10):
        execute_large(db, statement, [LETTER] * 3)
    after = db.cache_stats()
    assert after["misses"] == before["misses"]
    assert after["evictions"] == before["evictions"]
    assert db.execute("SELECT count(*), sum(length(octets)) FROM some").get == (33, 33 * 60_000)


def test_pages_of_readers(office):
    """A reader keeps few pages, since there is one for each thread, and has read far more than that."""
    alice = office.accounts.add("alice")
    for _ in range(100):
        office.deliver(LETTER, alice)

    def read(db):
        db.execute("SELECT sum(length(octets || '')) FROM body").fetchall()
        return db.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0]

    assert office.store._readers.call(read) < 2 * READER_CACHE * 1024
