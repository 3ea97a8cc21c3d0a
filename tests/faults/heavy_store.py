"""A process that fills a store, and leaves a long write-ahead log and many parcels in it when it is killed.

Run by the test of recovery: ``python heavy_store.py STORE NAME LETTERS PARCELS``. It says when all is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

import apsw

from mailpost.store.delivery import ROW
from tests.faults.letters import body_of
from tests.store.conftest import Office

BATCH = 250
LEFT_IN_THE_LOG = 4  # one letter of so many


def fill(path: str, user: str, letters: int, parcels: int) -> None:
    """Letters and parcels, of which the database itself has seen none of the last."""
    office = Office(Path(path), create=False)
    account = office.accounts.find(user)
    reader = apsw.Connection(path)
    for number in range(letters):
        if number == letters - letters // LEFT_IN_THE_LOG:
            office.ledger.shorten_log()
            office.turn()
            reader.execute("BEGIN; SELECT count(*) FROM letter").fetchall()
        office.commit(body_of(f"letter-{number}", 2_000), account)
        if number % BATCH == 0:
            office.turn()
    for number in range(parcels):
        office.commit(body_of(f"parcel-{number}", ROW + 2_000), account)
    office.turn()
    for _ in range(parcels // 10):  # nobody has them yet, and nobody will
        office.draft(bytes(ROW + 2_000))


if __name__ == "__main__":
    fill(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write("filled\n")
    sys.stdout.flush()
    sys.stdin.read()
